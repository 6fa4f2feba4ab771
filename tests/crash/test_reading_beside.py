"""Whoever reads beside a writer, and may not write, is right or refused; never is it stale."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from checking import python_path
from neighbours import RECORDS, Looking, Neighbour, read, state, written
from unprivileged import SOMEBODY, as_user, command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user"
)


@pytest.mark.parametrize("shm", [0o444, 0o000])
def test_beside_a_process_that_writes_a_reader_is_right_or_refused(
    db: Path, neighbour: Callable[[], Neighbour], shm: int
) -> None:
    db.chmod(0o444 if os.geteuid() == 0 else 0o644)  # somebody else than root must open it first
    writer = neighbour()
    writer.record()
    db.chmod(0o444)
    Path(f"{db}-wal").chmod(0o444)
    Path(f"{db}-shm").chmod(shm)
    db.parent.chmod(0o555)
    seen = []
    for n in range(3):
        seen.append(as_user(lambda: read(db)))
        # With an index it may read, SQLite reads beside the writer.
        assert seen[-1] == (RECORDS + 1 + n if shm else "StoreNotWritable")
        assert as_user(lambda: written(db)) == "StoreNotWritable"
        writer.record()
    assert len(seen) == 3


def test_one_that_was_opened_before_somebody_wrote_is_never_served_stale(
    db: Path, neighbour: Callable[[], Neighbour]
) -> None:
    if os.geteuid() == 0:
        db.chmod(0o644)
        db.parent.chmod(0o755)
    else:
        # The directory denies making files only until the writer comes: its owner may write.
        db.parent.chmod(0o555)
    reader = Looking(db)
    assert reader.look() == str(RECORDS)
    db.parent.chmod(0o755)
    writer = neighbour()
    expected = RECORDS
    for ending in (None, None, writer.close):
        writer.record()
        expected += 1
        if ending is not None:
            ending()  # what was in the log is in the file itself now
        assert reader.look() in (str(expected), "ReadError", "StoreNotWritable")
    assert reader.look() == str(expected)
    reader.end()


@pytest.mark.parametrize("index", ["there", "gone"])
def test_what_a_crash_left_is_read_whole_or_not_at_all(
    db: Path, neighbour: Callable[[], Neighbour], index: str
) -> None:
    writer = neighbour()
    for _ in range(5):
        writer.record()
    writer.kill()
    if index == "gone":
        Path(f"{db}-shm").unlink()
    for file in db.parent.iterdir():
        file.chmod(0o444)
    before = state(db.parent)
    db.parent.chmod(0o555)
    assert as_user(lambda: read(db)) in (RECORDS + 5, "StoreNotWritable")
    done = as_user(lambda: command("--db", db, "skills", "list"))
    assert done[0] == (0 if str(RECORDS + 5) in done[1] else 3)
    assert as_user(lambda: written(db)) == "StoreNotWritable"
    assert state(db.parent) == before
    db.parent.chmod(0o755)
    for file in db.parent.iterdir():
        file.chmod(0o600)
    assert read(db) == RECORDS + 5


@pytest.mark.parametrize("shm", [0o444, 0o000])
def test_an_index_that_may_not_be_written_is_told_of(
    db: Path, neighbour: Callable[[], Neighbour], shm: int
) -> None:
    db.parent.chmod(0o777)
    db.chmod(0o666)
    writer = neighbour()
    writer.record()
    Path(f"{db}-shm").chmod(shm)
    assert as_user(lambda: written(db)) == "StoreNotWritable"
    assert as_user(lambda: read(db)) in (RECORDS + 1, "StoreNotWritable")
    writer.record()


@root_only
def test_a_reader_never_shuts_the_owner_out(db: Path) -> None:
    for owned in (db, db.parent):
        os.chown(owned, SOMEBODY, SOMEBODY)
    db.chmod(0o644)
    db.parent.chmod(0o777)
    reader = Looking(db)
    assert reader.look() == str(RECORDS)
    # While the reader has it open, and when it has gone.
    assert as_user(lambda: written(db), SOMEBODY) == "written"
    reader.end()
    assert as_user(lambda: written(db), SOMEBODY) == "written"
    assert as_user(lambda: read(db)) == RECORDS + 2


@cache
def _mounts() -> bool:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    tried = ["unshare", "--mount", "--propagation", "private", "mount", "--bind", "/mnt", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


_ON_MOUNT = """
import sys
from metrics_store import MetricsStore
from metrics_store.errors import MetricsStoreError
for line in sys.stdin:
    try:
        with MetricsStore(sys.argv[1], read_only=line == "read\\n") as store:
            if line != "read\\n":
                store.record_invocation("x")
            said = len(store.query("SELECT 1 FROM skill_invocation"))
    except MetricsStoreError as error:
        assert error.hint, repr(error)
        said = type(error).__name__
    print(said, flush=True)
"""


def test_a_file_system_that_is_mounted_read_only(
    db: Path, place: Path, neighbour: Callable[[], Neighbour]
) -> None:
    if not _mounts():
        pytest.skip("this user may not mount a file system in a namespace of its own")
    mounted = place / "mounted"
    mounted.mkdir()
    source, target = shlex.quote(str(db.parent)), shlex.quote(str(mounted))
    mount = f"mount --bind {source} {target} && mount -o remount,ro,bind {target}"
    program = shlex.join([sys.executable, "-c", _ON_MOUNT, str(mounted / "m.db")])
    unshare = ["unshare", "--mount", "--propagation", "private"]
    reader = subprocess.Popen(
        [*unshare, "sh", "-c", f"{mount} && exec {program}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )

    def asked(what: str) -> str:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(f"{what}\n")
        reader.stdin.flush()
        return reader.stdout.readline().strip()

    try:
        assert asked("read") == str(RECORDS)
        assert asked("write") == "StoreNotWritable"
        writer = neighbour()  # outside it can be written
        for n in range(3):
            writer.record()
            assert asked("read") in (str(RECORDS + 1 + n), "StoreNotWritable")
            assert asked("write") == "StoreNotWritable"
        writer.kill()
        assert asked("read") in (str(RECORDS + 3), "StoreNotWritable")
        writer = neighbour()
        writer.close()
        assert asked("read") == str(RECORDS + 3)
    finally:
        reader.communicate()
