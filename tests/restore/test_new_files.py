"""Restoring where the store's file cannot be opened at all, or is not there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from contents import contents, ids, record, restored_property, settings_of
from kept import FIRST, Kept

from metrics_store import MetricsStore
from metrics_store.backup import restoring, restoring_aside
from metrics_store.errors import NothingToUndo, RestoreFailed, RestoreRefused, StoreBusy

GARBAGE = b"\xfe" * 300


@pytest.fixture
def ruined(kept: Kept) -> Kept:
    """A store whose header is gone, with a log beside it."""
    kept.store.close()
    with kept.path.open("r+b") as file:
        file.write(GARBAGE)
    Path(f"{kept.path}-wal").write_bytes(b"what a log had")
    Path(f"{kept.path}-shm").write_bytes(b"and its index")
    return kept


_HOLD = """
import sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
store.record_invocation("s")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held_open() -> Iterator[Callable[[Path], None]]:
    """Let another process have a store open until the test ends."""
    holders: list[subprocess.Popen[str]] = []

    def hold(path: Path) -> None:
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"

    yield hold
    for holder in holders:
        holder.kill()
        holder.communicate()


def aside(kept: Kept) -> dict[str, bytes]:
    """What lies aside, by the end of its name."""
    found = {}
    for path in kept.path.parent.glob("m.db.unreadable-*"):
        found[path.name.removeprefix("m.db.unreadable-20260310T130000000000")] = path.read_bytes()
    return found


def test_what_cannot_be_opened_is_moved_aside_with_its_log(ruined: Kept) -> None:
    before = ruined.path.read_bytes()
    told = ruined.plan()
    assert (told.state, told.way, told.lost, told.logs[0].before) == (
        "unreadable", "new_file", None, None,
    )  # fmt: skip
    assert aside(ruined) == {}
    done = ruined.restore()
    assert done.moved_aside == told.moved_aside
    assert aside(ruined) == {
        "": before, "-wal": b"what a log had", "-shm": b"and its index",
    }  # fmt: skip
    assert contents(ruined.path) == contents(ruined.backup)
    assert restored_property(ruined.path)["moved_aside"] == list(done.moved_aside)
    with MetricsStore(ruined.path) as store:
        record(store, ["after"])
    assert ids(ruined.path) == {*FIRST, "after"}


def test_there_is_no_taking_that_back_but_a_word_where_it_lies(ruined: Kept) -> None:
    done = ruined.restore()
    with pytest.raises(NothingToUndo) as refused:
        ruined.undo()
    assert done.moved_aside[0] in refused.value.hint


def test_a_new_file_has_the_mode_and_owner_of_the_old_one(ruined: Kept) -> None:
    ruined.path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(ruined.path, 1234, 4321)
    ruined.restore()
    there = ruined.path.stat()
    assert stat.S_IMODE(there.st_mode) == 0o640
    if os.geteuid() == 0:
        assert (there.st_uid, there.st_gid) == (1234, 4321)


def test_a_store_that_is_gone_is_put_there_again(kept: Kept) -> None:
    kept.store.close()
    kept.path.unlink()
    told = kept.plan()
    assert (told.state, told.way, told.moved_aside) == ("missing", "new_file", ())
    assert not kept.path.exists()
    done = kept.restore()
    assert (done.gained, done.lost) == (20, 0)
    assert contents(kept.path) == contents(kept.backup)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_a_log_that_was_left_behind_is_not_taken_for_the_new_files(kept: Kept) -> None:
    kept.store.close()
    kept.path.unlink()
    Path(f"{kept.path}-wal").write_bytes(b"stale")
    kept.restore()
    assert aside(kept) == {"-wal": b"stale"}
    assert contents(kept.path) == contents(kept.backup)


def test_an_empty_file_with_a_log_is_moved_aside_before_sqlite_deletes_it(kept: Kept) -> None:
    kept.store.close()
    os.truncate(kept.path, 0)
    Path(f"{kept.path}-wal").write_bytes(b"all there is")
    assert kept.plan().state == "unreadable"
    kept.restore()
    assert aside(kept) == {"": b"", "-wal": b"all there is"}
    assert contents(kept.path) == contents(kept.backup)


def test_an_empty_file_is_restored_into(kept: Kept) -> None:
    kept.store.close()
    os.truncate(kept.path, 0)
    told = kept.plan()
    assert (told.state, told.way, told.lost, told.gained) == ("empty", "in_place", 0, 20)
    done = kept.restore()
    assert (done.safety, done.moved_aside) == (None, ())
    assert contents(kept.path) == contents(kept.backup)
    with pytest.raises(NothingToUndo):
        kept.undo()


def test_the_directory_is_made_for_a_store_that_never_was(kept: Kept, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "new.db"
    settings = settings_of(target)
    assert restoring.plan(kept.backup, settings, kept.clock).state == "missing"
    assert not (tmp_path / "a").exists()
    restoring.restore(kept.backup, settings, kept.clock)
    assert contents(target) == contents(kept.backup)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert os.listdir(tmp_path / "a" / "b") == ["new.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_store_that_is_gone_under_a_process_that_has_it_open(
    kept: Kept, held_open: Callable[[Path], None]
) -> None:
    kept.store.close()
    held_open(kept.path)
    kept.path.unlink()
    with pytest.raises(StoreBusy, match="is open in"):
        kept.restore()
    assert not kept.path.exists()
    assert Path(f"{kept.path}-wal").exists()
    assert kept.plan().state == "missing"


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_store_that_is_gone_under_this_very_process(kept: Kept) -> None:
    kept.path.unlink()
    with pytest.raises(StoreBusy, match=f"process.*{os.getpid()}|a process"):
        kept.restore()
    kept.store.close()
    kept.restore()
    assert contents(kept.path) == contents(kept.backup)


def test_what_somebody_made_there_meanwhile_is_not_overwritten(kept: Kept, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(b"new")
    before = kept.path.read_bytes()
    with pytest.raises(RestoreFailed, match="made by somebody meanwhile"):
        restoring_aside.put_new(content, str(kept.path), {})
    assert kept.path.read_bytes() == before


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_not_touched(kept: Kept, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "there"
    if kind == "directory":
        target.mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(target)
    else:
        pytest.skip("there are no named pipes")
    with pytest.raises(RestoreRefused, match="not a regular file"):
        restoring.restore(kept.backup, settings_of(target), kept.clock)
    assert target.exists()


def test_a_store_behind_a_symlink_is_restored_where_it_lies(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(kept.path)
    settings = settings_of(tmp_path / "link.db")
    done = restoring.restore(kept.backup, settings, kept.clock)
    assert done.database == str(kept.path)
    assert (tmp_path / "link.db").is_symlink()
    assert ids(kept.path) == {*FIRST}
