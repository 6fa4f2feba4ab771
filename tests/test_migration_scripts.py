"""scripts/cutover_to_database.sh and scripts/rollback_to_json.sh: the commands in their order."""

from __future__ import annotations

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
from migrating import Migration, legacy_file

SCRIPTS = Path(__file__).parents[1] / "scripts"
CUTOVER, ROLLBACK = "cutover_to_database.sh", "rollback_to_json.sh"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell")


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script with this Python in the place of the environment that it would install."""
    folder = tmp_path / "checkout" / "scripts"
    folder.mkdir(parents=True)
    for name in (CUTOVER, ROLLBACK):
        shutil.copy(SCRIPTS / name, folder / name)
    command = folder.parent / "bin" / "metrics-store"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m metrics_store.cli "$@"\n')
    command.chmod(0o700)
    (folder / "_venv.sh").write_text(
        f"VENV={shlex.quote(str(folder.parent))}\n"
        "say() { printf '%s\\n' \"$*\" >&2; }\n"
        "need_venv() { :; }\n"
    )

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
        return subprocess.run(
            [str(folder / name), *map(str, arguments)],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Migration:
    """A migration in the phase dual_read, of a file that is not the default one."""
    from metrics_store.cli import main

    class Done:
        def __init__(self, code: int, out: str, err: str) -> None:
            self.code, self.out, self.err = code, out, err

    def call(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    path = legacy_file(tmp_path).rename(tmp_path / "my metrics.json")
    migration = Migration(call, path, ("--json-file", path))
    migration.begin("--db", "m.db")
    migration.until("dual_read")
    return migration


@pytest.mark.parametrize("name", [CUTOVER, ROLLBACK])
def test_each_explains_itself(script, name: str) -> None:
    for option in ("-h", "--help"):
        done = script(name, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: scripts/{name} ")
    assert os.access(SCRIPTS / name, os.X_OK)


def test_the_cutover_verifies_and_rehearses_first_and_only_then_does_it(
    script, migration: Migration, tmp_path: Path
) -> None:
    file = ("--json-file", migration.json_file)
    dry = script(CUTOVER, *file)
    assert dry.returncode == 0, dry.stderr
    assert "Would cut over" in dry.stdout
    order = ["== status", "== verify", "Nothing is unexplained", "== rehearsal", "Rehearsed"]
    places = [dry.stderr.index(text) for text in order]
    assert places == sorted(places)
    assert migration.phase == "dual_read"
    done = script(CUTOVER, f"--json-file={migration.json_file}", "--execute", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["executed"] is True
    assert migration.phase == "database"
    back = script(ROLLBACK, *file)
    assert "Would roll back from database to dual_write" in back.stdout
    done = script(ROLLBACK, *file, "--execute", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["to_phase"] == "dual_write"
    assert migration.phase == "dual_write"


def test_the_cutover_stops_where_the_verify_finds_something(script, migration: Migration) -> None:
    document = json.loads(migration.json_file.read_bytes())
    document["invocations"][-1]["error_type"] = "by hand"
    migration.json_file.write_text(json.dumps(document, indent=2))
    done = script(CUTOVER, "--json-file", migration.json_file, "--execute")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Something is unexplained" in done.stderr
    assert "== rehearsal" not in done.stderr
    assert migration.phase == "dual_read"


def test_each_ends_with_the_code_of_what_it_calls(script, tmp_path: Path) -> None:
    for name in (CUTOVER, ROLLBACK):
        done = script(name, "--json-file", "none.json")
        assert done.returncode == 2
        assert "no such legacy file: none.json" in done.stderr
        assert done.stdout == ""
