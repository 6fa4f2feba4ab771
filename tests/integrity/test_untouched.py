"""A check that does not repair leaves every byte as it was, and the folder too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import problems, python_path
from damaging import LOG, content, folder_state, make, tamper

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import MetricsStoreError
from metrics_store.integrity import access, check_file

_CRASH = """
import os, sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1], durability="normal")
store.record_invocations({"skill_name": f"s{n % 3}", "workflow_path": "w"} for n in range(190))
for n in range(10):
    store.record_invocation("one by one")  # whatever was folded, these were not
store.track_invocation("cut short")
os.kill(os.getpid(), 9)
"""
_CHECK = """
import ctypes, encodings.ascii, json, os, sys
from metrics_store.integrity import check_file
if os.geteuid() == 0:
    # Root may write anywhere. What is imported late is imported now: it may lie out of reach.
    check_file(sys.argv[3], level="deep")
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps(check_file(sys.argv[1], level=sys.argv[2]).as_dict()))
"""


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """What a killed process has left: some of 200 invocations in the log alone."""
    path = tmp_path / "crashed" / "m.db"
    path.parent.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CRASH, str(path)],
        env={**os.environ, "PYTHONPATH": python_path()},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{path}-wal").stat().st_size > 50_000
    return path


@pytest.mark.parametrize("level", ["quick", "standard", "deep"])
def test_a_closed_store_is_left_as_it_was(sound: Path, level: str) -> None:
    before = folder_state(sound.parent)
    assert check_file(sound, level=level).ok
    assert folder_state(sound.parent) == before


@pytest.mark.parametrize("level", ["quick", "standard", "deep"])
@pytest.mark.parametrize("index", ["with its -shm", "without a -shm"])
def test_a_crash_image_is_left_as_it_was_and_seen_whole(
    crashed: Path, level: str, index: str
) -> None:
    if index == "without a -shm":
        os.unlink(f"{crashed}-shm")
    before = folder_state(crashed.parent)
    report = check_file(crashed, level=level)
    assert report.rows == 200
    assert report.ok
    assert folder_state(crashed.parent) == before


def test_what_a_killed_process_left_in_flight_is_a_warning(crashed: Path) -> None:
    report = check_file(crashed)
    [finding] = report.findings
    assert (finding.kind, finding.severity) == ("in_flight_without_process", "warning")
    assert finding.table == "skill_inflight"
    assert "metrics-store reap" in finding.action


def test_an_empty_log_and_one_that_was_folded_are_left_as_they_were(
    sound: Path, crashed: Path
) -> None:
    Path(f"{sound}-wal").touch()
    # Folded by a process that was killed before it could remove the log.
    connection = sqlite.connect(str(crashed))
    connection.execute("PRAGMA wal_checkpoint(FULL)")
    images = crashed.parent.parent / "folded"
    images.mkdir()
    for ending in ("", "-wal", "-shm"):
        shutil.copyfile(f"{crashed}{ending}", images / f"m.db{ending}")
    connection.close()
    for path in (sound, images / "m.db"):
        before = folder_state(path.parent)
        assert check_file(path).ok
        assert folder_state(path.parent) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: os.unlink(f"{path}-wal"),
        lambda path: os.truncate(f"{path}-wal", 32 + 24 + 4096),
        lambda path: os.truncate(f"{path}-wal", 20),
    ],
    ids=["removed", "cut", "cut to nothing"],
)
def test_a_lost_log_is_found_again_and_again_for_its_traces_are_kept(
    crashed: Path, spoil: Callable[[Path], None], damaged: Callable[[Path], None]
) -> None:
    damaged(crashed)
    spoil(crashed)
    before = folder_state(crashed.parent)
    for level in ("quick", "standard", "deep"):
        report = check_file(crashed, level=level)
        [finding] = [f for f in report.errors if f.kind.startswith("log_")]
        assert "--accept-loss" in finding.action
        assert folder_state(crashed.parent) == before
    with pytest.raises(MetricsStoreError):
        MetricsStore(crashed)
    # Now that a process has met it, a note tells of it.
    for ending in ("-shm", "-wal"):
        Path(f"{crashed}{ending}").unlink(missing_ok=True)
    assert any(kind.startswith("log_") for kind in check_file(crashed).kinds)


def test_a_store_that_is_open_is_checked_beside_it(store: MetricsStore, tmp_path: Path) -> None:
    store.record_invocation("one")
    before = folder_state(tmp_path)
    assert check_file(store.path, level="deep").rows == 1
    assert {k: v for k, v in folder_state(tmp_path).items() if "-shm" not in k} == {
        k: v for k, v in before.items() if "-shm" not in k
    }
    store.record_invocation("two")
    assert check_file(store.path, level="deep").rows == 2


def test_a_damaged_store_is_left_as_it_was(spoilt: Path) -> None:
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept", "DELETE FROM rollup", "DROP VIEW skill_day")
    with spoilt.open("r+b") as file:
        file.seek(70_000)
        file.write(b"x" * 9000)
    before = folder_state(spoilt.parent)
    assert not check_file(spoilt, level="deep").ok
    assert folder_state(spoilt.parent) == before


@pytest.fixture
def locked_folder(made_once: Path, crashed: Path) -> Iterator[Path]:
    """A folder that nobody may write, with a closed store and a crash image."""
    folder = Path(tempfile.mkdtemp(prefix="metrics-store-locked-"))
    shutil.copyfile(made_once, folder / "m.db")
    for ending in ("", "-wal", "-shm"):
        shutil.copyfile(f"{crashed}{ending}", folder / f"crashed.db{ending}")
        shutil.copyfile(f"{crashed}{ending}", folder / f"bare.db{ending}")
    (folder / "bare.db-shm").unlink()
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="there are no modes to speak of")
@pytest.mark.parametrize("name", ["m.db", "crashed.db", "bare.db"])
def test_a_folder_that_may_not_be_written_is_no_hindrance(
    locked_folder: Path, made_once: Path, name: str
) -> None:
    before = folder_state(locked_folder)
    done = subprocess.run(
        [sys.executable, "-c", _CHECK, str(locked_folder / name), "deep", str(made_once)],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"ok": true' in done.stdout
    assert ('"rows": 300' if name == "m.db" else '"rows": 200') in done.stdout
    assert folder_state(locked_folder) == before


def test_a_store_that_was_written_during_the_check_is_looked_at_again(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    reading = access.reading

    def noted(path: str, how: access.How) -> object:
        looked.append(how)
        if len(looked) == 1:
            # What another process does in the meantime.
            code = (
                "import sys; from metrics_store import MetricsStore\n"
                "MetricsStore(sys.argv[1]).record_invocation('meanwhile')"
            )
            env = {**os.environ, "PYTHONPATH": python_path()}
            subprocess.run([sys.executable, "-c", code, path], check=True, env=env)
        return reading(path, how)

    monkeypatch.setattr("metrics_store.integrity.access.reading", noted)
    report = check_file(sound, level="deep")
    assert looked == ["immutable", "shared"]
    assert report.findings == ()
    assert report.rows == 301
    assert problems(sound) == []


def test_a_finished_copy_needs_no_looking_around(sound: Path, tmp_path: Path) -> None:
    before = folder_state(tmp_path)
    assert check_file(sound, level="deep", immutable=True).ok
    assert folder_state(tmp_path) == before
    path = tmp_path / "empty.db"
    make(path, 0)
    assert check_file(path, level="deep", immutable=True).findings == ()
    assert content(path, [LOG]) == {LOG: []}
