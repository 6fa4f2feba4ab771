"""Stores that cannot be read, or not all of them: what can be said is said, nothing is hidden."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from examining import files
from settable_clock import SettableClock

from metrics_store import MetricsStore, Settings, sqlite
from metrics_store.errors import ForeignDatabase, OpenError, StoreNotFound


@pytest.fixture
def filled(store: MetricsStore) -> Path:
    """A store with a few hundred runs, closed."""
    store.record_invocations(
        {"skill_name": f"s{n % 7}", "workflow_path": f"way {n}"} for n in range(400)
    )
    store.close()
    return Path(store.path)


def crashed(open_store: Callable[..., MetricsStore], tmp_path: Path) -> Path:
    """What a kill leaves of a store with runs in its log: its three files."""
    store = open_store("live.db")
    for _ in range(20):
        store.record_invocation("a")
    folder = tmp_path / "image"
    folder.mkdir()
    for suffix in ("", "-wal", "-shm"):
        shutil.copyfile(f"{store.path}{suffix}", folder / f"x.db{suffix}")
    store.close()
    return folder / "x.db"


def test_a_crashed_store_is_read_with_its_log_and_left_as_it_was(
    open_store, look, tmp_path: Path
) -> None:
    path = crashed(open_store, tmp_path)
    before = files(path.parent)
    assert look(path).metrics.invocations_total == 20
    assert files(path.parent) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when it was started")
@pytest.mark.parametrize("fault", ["missing", "cut off"])
def test_a_store_whose_log_is_lost_is_critical_and_its_traces_are_kept(
    open_store, look, run, damaged, tmp_path: Path, fault: str
) -> None:
    path = crashed(open_store, tmp_path)
    damaged(path)
    log = Path(f"{path}-wal")
    if fault == "missing":
        log.unlink()
    else:
        os.truncate(log, 1000)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    report = look(path)
    assert report.status == "CRITICAL"
    assert [(f.level, f.kind) for f in report.findings] == [("CRITICAL", "log")]
    assert "check" in report.findings[0].hint
    assert report.metrics.database_mb is not None
    assert report.metrics.invocations_total is None
    done = run("--db", path, "--json")
    assert (done.code, json.loads(done.out)["status"]) == (1, "CRITICAL")
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_damage_in_one_table_hides_nothing_of_the_others(filled: Path, look, run, damaged) -> None:
    damaged(filled)
    connection = sqlite.connect(str(filled), read_only=True)
    [(page,)] = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'skill_invocation_by_time'"
    )
    connection.close()
    with filled.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    report = look(filled)
    assert report.status == "CRITICAL"
    [finding] = [f for f in report.findings if f.level == "CRITICAL"]
    assert finding.kind == "store"
    assert "damaged" in finding.detail
    assert report.metrics.in_flight == 0
    assert report.metrics.schema_version == report.metrics.schema_latest
    assert report.metrics.invocations_day is None
    done = run("--db", filled, "--metric", "invocations_day")
    assert (done.code, done.out) == (1, "unknown\n")
    assert "CRITICAL" in done.err
    assert "damaged" in done.err
    done = run("--db", filled, "--metric", "in_flight")
    assert (done.code, done.out) == (0, "0\n")


def test_a_file_that_is_no_database_any_more_is_critical(
    filled: Path, look, run, damaged, tmp_path: Path
) -> None:
    damaged(filled)
    filled.write_bytes(b"all zeros would be taken for nothing" * 500)
    before = files(tmp_path)
    report = look(filled)
    assert report.status == "CRITICAL"
    assert "backup" in report.findings[0].hint
    done = run("--db", filled)
    assert (done.code, done.err) == (1, "")
    assert " CRITICAL " in done.out
    assert files(tmp_path) == before


def test_an_empty_file_is_an_error(look, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    report = look(path)
    assert [(f.level, f.kind) for f in report.findings] == [("ERROR", "schema")] * 1 + [
        ("WARNING", "schema")
    ]
    assert report.metrics.invocations_total is None
    assert path.read_bytes() == b""


def test_what_is_no_store_of_ours_is_not_judged(look, run, tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        look(tmp_path / "missing.db")
    with pytest.raises(OpenError, match="a directory"):
        look(tmp_path)
    other = tmp_path / "other.sqlite"
    connection = sqlite.connect(str(other))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(ForeignDatabase):
        look(other)
    for path in ("missing.db", tmp_path, other):
        done = run("--db", path, "--json")
        assert (done.code, done.out) == (3, "")
        assert done.err.startswith("error: ")
        assert "hint: " in done.err


_MENDS_THE_LOG = """
import fcntl, os, sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
store.record_invocation("a")
index = os.open(sys.argv[1] + "-shm", os.O_RDWR)
for byte in (120, 122):  # writing and recovery
    fcntl.lockf(index, fcntl.LOCK_EX, 1, byte)
kept = os.pread(index, 96, 0)
os.pwrite(index, bytes(96), 0)
print("ready", flush=True)
sys.stdin.read()
os.pwrite(index, kept, 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it locks as SQLite does on Unix")
def test_a_store_whose_log_somebody_mends_is_an_error_after_a_while(
    filled: Path, look, beside, clock: SettableClock
) -> None:
    beside(_MENDS_THE_LOG, filled)
    began = clock.us
    report = look(filled, settings=Settings(database=filled))
    assert 5 <= (clock.us - began) / 1e6 < 6, "it waits for five seconds at most"
    assert (report.status, report.findings[0].kind) == ("ERROR", "store")
    assert report.metrics.database_mb is not None


def test_a_folder_that_may_not_be_written_is_no_hindrance(
    filled: Path, look, tmp_path: Path
) -> None:
    filled.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert look(filled).metrics.invocations_total == 400
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="to root every folder can be read"
)
def test_a_folder_of_backups_that_may_not_be_read_is_said(filled: Path, look) -> None:
    folder = filled.with_name("m.db.backups")
    folder.mkdir(mode=0o000)
    try:
        [finding] = look(filled).findings
        assert (finding.level, finding.kind) == ("WARNING", "backup")
        assert str(folder) in finding.detail
    finally:
        folder.chmod(0o700)


def test_a_disk_that_does_not_tell_its_room_is_said(filled: Path, look) -> None:
    def fails(_: str) -> None:
        raise OSError(5, "Input/output error")

    report = look(filled, room=fails)
    assert [(f.level, f.kind) for f in report.findings] == [("WARNING", "disk")]
    assert report.metrics.disk_days_left is None
    assert report.metrics.invocations_total == 400
