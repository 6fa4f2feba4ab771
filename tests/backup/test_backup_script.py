"""scripts/backup.sh, and the units for systemd that do the same."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore, manifest
from metrics_store.cli.application import run

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "backup.sh"
UNITS = ROOT / "examples" / "systemd"
Done = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell")


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Done]:
    """Run the script with this Python in the place of the environment that it would install."""
    folder = tmp_path / "checkout" / "scripts"
    folder.mkdir(parents=True)
    shutil.copy(SCRIPT, folder / SCRIPT.name)
    command = folder.parent / "bin" / "metrics-store"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m metrics_store.cli "$@"\n')
    command.chmod(0o700)
    (folder / "_venv.sh").write_text(
        f"VENV={shlex.quote(str(folder.parent))}\nneed_venv() {{ :; }}\n"
    )

    def ran(*arguments: object) -> Done:
        kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
        return subprocess.run(
            [str(folder / SCRIPT.name), *map(str, arguments)],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return ran


def test_it_explains_itself(script: Callable[..., Done]) -> None:
    for option in ("-h", "--help"):
        done = script("--quiet", option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: scripts/backup.sh ")
    assert os.access(SCRIPT, os.X_OK)


def test_it_makes_a_backup_and_keeps_to_the_rules(
    script: Callable[..., Done], store: MetricsStore, tmp_path: Path
) -> None:
    store.record_invocation("deploy")
    store.close()
    named = ("--db", "m.db", "--keep-last", 1, "--keep-daily", 0, "--keep-weekly", 0)
    for _ in range(2):
        done = script("my backups", *named)
        assert done.returncode == 0, done.stderr
    assert "Backed up m.db" in done.stdout
    assert "1 older backup" in done.stdout
    [entry] = manifest.of_directory(tmp_path / "my backups")
    assert entry.manifest is not None
    assert json.loads(script("--json", *named).stdout)["manifest"]["size"] == entry.size


def test_for_cron_it_says_nothing_unless_something_is_wrong(
    script: Callable[..., Done], store: MetricsStore, tmp_path: Path
) -> None:
    store.close()
    done = script("--quiet", "--db", "m.db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(manifest.of_directory(tmp_path / "m.db.backups")) == 1
    done = script("--quiet", "--db", "none.db")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no store here" in done.stderr


def _unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((UNITS / name).read_text(encoding="utf-8"))
    return unit


def test_the_units_call_a_command_that_there_is(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    service = _unit("metrics-store-backup.service")["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "metrics-store"
    name, _, path = service["Environment"].partition("=")
    assert path.startswith(service["ReadWritePaths"])
    monkeypatch.setenv(name, str(tmp_path / "m.db"))
    assert "--gently" in words
    words.remove("--gently")  # it would slow down every test that comes after this one
    assert run(words) == 0
    assert len(manifest.of_directory(tmp_path / "m.db.backups")) == 1
    timer = _unit("metrics-store-backup.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"
