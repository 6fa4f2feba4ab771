"""A JSON file that fails under the runners' tracker while it decides: nothing lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import Migration, refused

from metrics_store.errors import LegacyFileError, WriteError
from metrics_store.legacy import locks
from metrics_store.phases import reconciling
from metrics_store.trackers import candidate

Hold = Callable[[Path], Callable[[], None]]


def reconciled(migration: Migration) -> None:
    migration.pass_time(candidate.COOL_DOWN + 1)
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert len(migration.spilled()) == 0


def _torn(migration: Migration) -> Callable[[], object]:
    whole = migration.json_file.read_text()
    migration.json_file.write_text(whole[: len(whole) // 2])
    return lambda: migration.json_file.write_text(whole)


def _no_lock(migration: Migration) -> Callable[[], object]:
    lock = Path(locks.data_lock(migration.json_file))
    lock.unlink(missing_ok=True)
    lock.mkdir()
    return lock.rmdir


def _a_folder(migration: Migration) -> Callable[[], object]:
    aside = migration.json_file.rename(migration.json_file.with_name("aside.json"))
    migration.json_file.mkdir()

    def mend() -> None:
        migration.json_file.rmdir()
        aside.rename(migration.json_file)

    return mend


UNWRITABLE = {"torn": _torn, "no lock": _no_lock, "a folder": _a_folder}


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "dual_read"])
@pytest.mark.parametrize("damage", UNWRITABLE.values(), ids=UNWRITABLE)
def test_the_json_file_failing_is_raised_and_the_same_call_again_is_recorded_once(
    migration: Migration, damage: Callable[[Migration], Callable[[], object]], phase: str
) -> None:
    migration.to(phase)
    tracker = migration.tracker("raise")
    migration.call(tracker, "before")
    mend = damage(migration)
    again = tracker.track_invocation("s", "again")
    for _ in range(2):
        assert isinstance(refused(lambda: again()), LegacyFileError)
    assert not again.ended
    mend()
    migration.call(tracker, "between")
    again()
    expected = dict.fromkeys(("before", "between", "again"), 1)
    assert migration.in_json() == expected
    assert migration.json_total() == 3
    if phase == "legacy":
        migration.to("dual_write")
    migration.backfill()
    assert migration.in_store() == expected


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "dual_read"])
@pytest.mark.parametrize("damage", UNWRITABLE.values(), ids=UNWRITABLE)
def test_the_json_file_failing_is_logged_and_the_record_lands_on_both_sides_once(
    migration: Migration,
    damage: Callable[[Migration], Callable[[], object]],
    phase: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    migration.to(phase)
    tracker = migration.tracker("log")
    migration.call(tracker, "before")
    mend = damage(migration)
    migration.call(tracker, "spilled")
    assert "waits in the spill" in caplog.text
    mend()
    migration.call(tracker, "after")
    if phase == "legacy":
        migration.to("dual_write")
    reconciled(migration)
    expected = dict.fromkeys(("before", "spilled", "after"), 1)
    assert migration.in_store() == expected
    assert migration.in_json() == expected
    assert migration.json_total() == 3
    assert migration.backfill().first.inserted == 0


def test_a_replay_that_fails_half_way_records_nothing_twice(
    migration: Migration, hold_lock: Hold
) -> None:
    migration.to("dual_write")
    mend = _torn(migration)
    migration.call(migration.tracker("log"), "spilled")
    mend()
    let_go = hold_lock(migration.db)
    for _ in range(2):
        # It is in the JSON file by then, and not in the store.
        error = refused(lambda: reconciling.reconcile(migration.operator, "db", execute=True))
        assert isinstance(error, WriteError)
    let_go()
    reconciled(migration)
    assert migration.in_json() == migration.in_store() == {"spilled": 1}
    assert migration.json_total() == 1
