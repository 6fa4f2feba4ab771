"""Restoring where the store is damaged but can be opened: into the file, whoever has it open."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from contents import contents, ids, record
from kept import FIRST, SINCE, Kept

from metrics_store import MetricsStore, manifest, opening, sqlite
from metrics_store.errors import LogLost, RestoreRefused, StoreBusy
from metrics_store.integrity import check_file
from metrics_store.integrity.expected import newest

Damaged = Callable[[str | os.PathLike[str]], None]


def overwrite(path: Path, place: int, content: bytes) -> None:
    """Damage a file that nobody has open."""
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def flip(path: Path) -> None:
    """Damage one letter of a row, on each page that has it."""
    path.write_bytes(path.read_bytes().replace(b"of old-7", b"of Old-7"))


def page_of(path: Path, text: bytes) -> int:
    """Where the page begins that has a text."""
    return path.read_bytes().index(text) // 4096 * 4096


@pytest.fixture
def closed(kept: Kept, damaged: Damaged) -> Iterator[Kept]:
    """The store is closed; its safety copies may be as damaged as it is."""
    kept.store.close()
    yield kept
    for path in kept.backup.parent.glob("*.db"):
        if path != kept.backup:
            damaged(path)


def test_a_file_that_was_cut_in_half_is_restored_into(closed: Kept) -> None:
    os.truncate(closed.path, closed.path.stat().st_size // 2)
    told = closed.plan()
    assert (told.state, told.way, told.lost) == ("damaged", "in_place", None)
    done = closed.restore()
    assert contents(closed.path) == contents(closed.backup)
    assert done.safety_findings
    assert done.problems == ()
    held = manifest.read(Path(str(done.safety)))
    assert held.findings == done.safety_findings


def test_a_schema_that_cannot_be_read_is_restored_over(closed: Kept) -> None:
    overwrite(closed.path, 110, b"\xa5" * 3900)
    told = closed.plan()
    assert (told.state, told.way, told.lost) == ("damaged", "in_place", None)
    closed.restore()
    assert contents(closed.path) == contents(closed.backup)
    with MetricsStore(closed.path) as store:
        record(store, ["after"])


def test_rows_that_cannot_be_read_are_in_the_safety_copy_as_they_are(closed: Kept) -> None:
    place = page_of(closed.path, b"of new-3")
    overwrite(closed.path, place, b"\xff" * 100)
    page = closed.path.read_bytes()[place : place + 4096]
    done = closed.restore()
    assert (done.state, done.lost) == ("damaged", None)
    assert page in Path(str(done.safety)).read_bytes()
    assert check_file(closed.path, level="deep").ok


def test_a_row_that_is_not_what_its_digest_says_is_no_hindrance(closed: Kept) -> None:
    flip(closed.path)
    done = closed.restore()
    assert (done.safety_findings, done.lost) == (1, len(SINCE))
    assert check_file(closed.path, level="deep").ok


def test_taking_it_back_brings_the_damage_back_too_and_says_so(
    closed: Kept, damaged: Damaged
) -> None:
    damaged(closed.path)
    flip(closed.path)
    done = closed.restore()
    with pytest.raises(RestoreRefused, match="is not whole"):
        closed.restore(Path(str(done.safety)))
    back = closed.undo()
    assert any("row_digest" in finding for finding in back.findings)
    assert back.problems == ()  # a standard check reads no digests
    assert not check_file(closed.path, level="deep").ok
    assert ids(closed.path) == {*FIRST, *SINCE}
    assert closed.undo().problems == ()
    assert contents(closed.path) == contents(closed.backup)


_CRASH = """
import os, signal, sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
store.record_invocation("s", invocation_id="in-the-log")
os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(path: Path) -> None:
    """Let a process record one more, and die with the store open."""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run(
        [sys.executable, "-c", _CRASH, str(path)], env=environment, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="it is killed by a signal")
def test_a_store_whose_log_was_lost_is_open_again_after_a_restore(closed: Kept) -> None:
    crash(closed.path)
    Path(f"{closed.path}-wal").unlink()
    told = closed.plan()
    assert told.state == "damaged"
    with pytest.raises(LogLost):  # a look has not done away with the traces
        MetricsStore(closed.path)
    assert closed.plan().state == "damaged"
    done = closed.restore()
    assert done.problems == ()
    assert not os.path.exists(opening.marker(str(closed.path)))
    with MetricsStore(closed.path) as store:
        record(store, ["after"])
    assert ids(closed.path) == {*FIRST, "after"}


@pytest.mark.skipif(sys.platform == "win32", reason="it is killed by a signal")
def test_a_lost_log_is_still_known_after_a_restore_that_failed(
    closed: Kept, tmp_path: Path
) -> None:
    crash(closed.path)
    Path(f"{closed.path}-wal").unlink()
    closed.plan()
    # What is there cannot be copied: the directory of backups is a file now.
    good = tmp_path / "good.db"
    shutil.copyfile(closed.backup, good)
    shutil.rmtree(tmp_path / "m.db.backups")
    (tmp_path / "m.db.backups").touch()
    with pytest.raises(Exception, match=r"m\.db\.backups"):
        closed.restore(good)
    with pytest.raises(LogLost):
        MetricsStore(closed.path)
    closed.clock.advance(1)
    (tmp_path / "m.db.backups").unlink()
    closed.restore(good)


@pytest.mark.skipif(sys.platform == "win32", reason="it is killed by a signal")
def test_what_a_crash_left_in_the_log_is_in_the_safety_copy(closed: Kept) -> None:
    crash(closed.path)
    done = closed.restore()
    assert done.lost == len(SINCE) + 1
    assert "in-the-log" in ids(str(done.safety))


def test_a_store_that_is_locked_all_the_while_is_left_alone(
    kept: Kept, hold_lock: Callable[[Path], Callable[[], None]]
) -> None:
    let_go = hold_lock(kept.path)
    before = kept.clock.monotonic
    with pytest.raises(StoreBusy, match="waited 30"):
        kept.restore()
    assert kept.clock.monotonic - before < 31_000_000
    assert kept.plan().lost == 7  # a look needs no lock
    let_go()
    assert ids(kept.path) == {*FIRST, *SINCE}
    backups = [path for path in kept.backup.parent.iterdir() if path.suffix == ".db"]
    assert backups == [kept.backup]
    kept.restore()


def test_an_older_schema_is_brought_to_this_one_before_it_goes_live(
    kept: Kept, tmp_path: Path
) -> None:
    from metrics_store import schema
    from metrics_store.clock import Clock
    from metrics_store.connection import Database
    from metrics_store.settings import Settings

    old = tmp_path / "old.db"
    shutil.copyfile(kept.backup, old)
    database = Database(Settings(database=old, durability="normal"), Clock())
    schema.roll_back(database, 4)
    database.close()
    told = kept.plan(old)
    assert (told.there.schema_version, told.schema_version) == (4, newest())
    assert (told.same_store, told.there.store_id) == (None, None)
    before = sqlite.connect(str(kept.path)).execute(
        "SELECT value FROM store_property WHERE name = 'store_id'"
    )
    wanted = before.fetchone()
    done = kept.restore(old)
    assert done.problems == ()
    assert ids(kept.path) == {*FIRST}
    after = kept.store.query("SELECT value FROM store_property WHERE name = 'store_id'")
    assert (after[0]["value"],) == wanted
    record(kept.store, ["after"])


def test_a_restore_beside_another_one_is_refused(kept: Kept, tmp_path: Path) -> None:
    from metrics_store.backup.restoring_place import place_of

    with (
        place_of(str(kept.path), make=True),
        pytest.raises(RestoreRefused, match="another process is restoring"),
    ):
        kept.restore()
    kept.restore()
