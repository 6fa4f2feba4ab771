"""A store that fails under the runners' tracker: who hears of it, for how long, what is left."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import Migration, refused
from settable_clock import SettableClock

from metrics_store import sqlite
from metrics_store.errors import WriteError
from metrics_store.phases import reconciling
from metrics_store.trackers import candidate, phased

#: Seconds in which a machine under load gets round to something.
SLACK = 2.0
Hold = Callable[[Path], Callable[[], None]]
Damaged = Callable[[Path], None]


def reconciled(migration: Migration) -> None:
    migration.pass_time(candidate.COOL_DOWN + 1)
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert len(migration.spilled()) == 0


# The candidate: a store on trial


def test_a_locked_store_costs_a_caller_one_wait_and_the_next_ones_none(
    tmp_path: Path, hold_lock: Hold
) -> None:
    migration = Migration(tmp_path).to("dual_write")
    tracker = migration.tracker()
    tracker.track_invocation("s", "before")()
    let_go = hold_lock(migration.db)
    took = []
    for name in ("first", "second", "third"):
        completer = tracker.track_invocation("s", name)
        began = time.monotonic()
        completer()
        took.append(time.monotonic() - began)
    assert candidate.PATIENCE <= took[0] < candidate.PATIENCE + SLACK
    assert max(took[1:]) < SLACK
    let_go()
    reasons = [one.reason for one in migration.spilled().waiting]
    assert "StoreBusy" in reasons[0]
    assert reasons[1:] == ["the store failed a moment ago"] * 2
    assert migration.in_json() == dict.fromkeys(("before", "first", "second", "third"), 1)
    reconciled(migration)
    assert migration.in_store() == migration.in_json()


def test_after_the_cool_down_the_store_is_tried_again(
    migration: Migration, clock: SettableClock, hold_lock: Hold
) -> None:
    migration.to("dual_write")
    tracker = migration.tracker()
    let_go = hold_lock(migration.db)
    migration.call(tracker, "spilled")
    let_go()
    migration.call(tracker, "in the cool-down")
    clock.advance(candidate.COOL_DOWN)
    migration.call(tracker, "taken")
    assert migration.in_store() == {"taken": 1}
    reconciled(migration)
    assert migration.in_store() == migration.in_json()


def _corrupt(migration: Migration) -> None:
    migration.db.write_bytes(b"no store at all " * 1000)


def _missing(migration: Migration) -> None:
    migration.db.unlink()


def _folder(migration: Migration) -> None:
    migration.db.unlink()
    migration.db.mkdir()


def _newer(migration: Migration) -> None:
    connection = sqlite.connect(str(migration.db))
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _anothers(migration: Migration) -> None:
    folder = migration.db.parent / "another"
    folder.mkdir()
    another = Migration(folder).to("dual_write")
    another.operator.close()
    shutil.copyfile(another.db, migration.db)


BROKEN = {"corrupt": _corrupt, "missing": _missing, "a folder": _folder, "newer": _newer,
          "another migration's": _anothers}  # fmt: skip


@pytest.mark.parametrize("phase", ["dual_write", "shadow", "dual_read"])
@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_store_on_trial_that_is_broken_reaches_no_writer_and_is_brought_up_later(
    migration: Migration, damage: Callable[[Migration], None], phase: str, damaged: Damaged
) -> None:
    damaged(migration.db)
    migration.to(phase)
    migration.call(migration.tracker(), "before")
    migration.operator.close()
    aside = migration.db.with_name("aside")
    _fold_the_log_back(migration.db)
    shutil.copyfile(migration.db, aside)
    damage(migration)
    began = time.monotonic()
    for on_error in ("raise", "log"):
        migration.call(migration.tracker(on_error), f"under {on_error}")  # type: ignore[arg-type]
    assert time.monotonic() - began < 2 * (candidate.PATIENCE + SLACK)
    assert len(migration.spilled().waiting) == 2
    _put_back(aside, migration.db)
    reconciled(migration)
    assert migration.in_store() == dict.fromkeys(("before", "under raise", "under log"), 1)
    assert migration.in_json() == migration.in_store()


def _fold_the_log_back(db: Path) -> None:
    connection = sqlite.connect(str(db))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _put_back(aside: Path, db: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        left = Path(f"{db}{suffix}")
        if left.is_dir():
            left.rmdir()
        else:
            left.unlink(missing_ok=True)
    aside.rename(db)


def test_a_full_disk_reaches_no_caller_and_what_cannot_be_spilled_waits_in_memory(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    migration = Migration(tmp_path).to("dual_write")
    migration.operator.close()
    code = """
import resource, sys
from metrics_store import open_tracker
tracker = open_tracker(sys.argv[1], sys.argv[2], "log")
tracker.track_invocation("s", "before")()
soft = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, soft[1]))
for n in range(3):
    tracker.track_invocation("s", f"full {n}")()
resource.setrlimit(resource.RLIMIT_FSIZE, soft)
tracker.track_invocation("s", "after")()
"""
    python(code, migration.json_file, migration.db)
    reconciled(migration)
    expected = dict.fromkeys(("before", "full 0", "full 1", "full 2", "after"), 1)
    assert migration.in_store() == expected
    assert migration.in_json() == expected


def test_what_cannot_even_be_spilled_is_written_as_soon_as_it_can(
    migration: Migration, hold_lock: Hold
) -> None:
    migration.to("dual_write")
    tracker = migration.tracker()
    spill_file = Path(f"{migration.json_file}.spill.jsonl")
    spill_file.mkdir()
    let_go = hold_lock(migration.db)
    migration.call(tracker, "a")
    migration.call(tracker, "b")
    let_go()
    spill_file.rmdir()
    migration.call(tracker, "c")
    assert len(migration.spilled().waiting) == 3
    reconciled(migration)
    assert migration.in_store() == migration.in_json() == {"a": 1, "b": 1, "c": 1}


# The store, once it decides


@pytest.mark.parametrize("phase", ["database", "complete"])
def test_the_store_failing_is_raised_once_it_decides_and_trying_again_is_safe(
    tmp_path: Path, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    monkeypatch.setattr(phased, "STORE_PATIENCE", 0.2)
    migration = Migration(tmp_path).to(phase)
    raising, logging = migration.tracker("raise"), migration.tracker("log")
    begun, logged = raising.track_invocation("s", "raised"), logging.track_invocation("s", "logged")
    let_go = hold_lock(migration.db)
    began = time.monotonic()
    assert isinstance(refused(begun), WriteError)
    assert isinstance(refused(lambda: raising.track_invocation("s", "never began")), WriteError)
    logged()
    begun_while_locked = logging.track_invocation("s", "began while locked")
    begun_while_locked()
    assert time.monotonic() - began < 5 * (0.2 + candidate.PATIENCE + SLACK)
    let_go()
    begun()
    assert len(migration.spilled().waiting) == 2
    reconciled(migration)
    assert migration.in_store() == dict.fromkeys(("raised", "logged", "began while locked"), 1)
    assert migration.store.query("SELECT * FROM skill_inflight") == []
    migration.rollback()
    assert migration.in_json() == migration.in_store()
