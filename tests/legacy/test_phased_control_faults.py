"""A control file that cannot be believed: writes wait, reads raise, and nothing is guessed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import Migration, refused
from settable_clock import SettableClock

from metrics_store.errors import ControlError, ControlUnreadable
from metrics_store.legacy import control, locks
from metrics_store.phases import reconciling
from metrics_store.trackers.phased import PhasedTracker

Mend = Callable[[], object]


def _control_of(migration: Migration) -> Path:
    return Path(control.control_path(migration.json_file))


def _with(**members: object) -> Callable[[Migration], None]:
    def edit(migration: Migration) -> None:
        file = _control_of(migration)
        file.write_text(json.dumps({**json.loads(file.read_text()), **members}))

    return edit


DAMAGE: dict[str, Callable[[Migration], object]] = {
    "torn": lambda migration: os.truncate(_control_of(migration), 200),
    "newer": _with(format=2),
    "another file's": _with(json_file="/elsewhere/m.json"),
    "gone": lambda migration: _control_of(migration).unlink(),
}


def damaged(migration: Migration, damage: Callable[[Migration], object]) -> Mend:
    """Damage the control file; what is returned mends it."""
    file = _control_of(migration)
    whole = file.read_text()
    damage(migration)
    return lambda: file.write_text(whole)


def both(migration: Migration) -> tuple[bytes, int]:
    """The JSON file, and how many rows the store has."""
    rows = migration.store.query("SELECT count(*) AS n FROM skill_invocation")[0]["n"]
    file = migration.json_file
    return file.read_bytes() if file.exists() else b"", int(str(rows))


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "dual_read", "database", "complete"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_writes_spill_and_reads_raise_until_it_is_mended(
    migration: Migration, damage: Callable[[Migration], object], phase: str
) -> None:
    migration.to(phase)
    raising, logging = migration.tracker("raise"), migration.tracker("log")
    begun, logged = raising.track_invocation("s", "raised"), logging.track_invocation("s", "logged")
    migration.call(raising, "before")
    before = both(migration)
    mend = damaged(migration, damage)
    logged()
    migration.call(logging, "began unknown")
    assert isinstance(refused(begun), ControlError)
    for tracker in (raising, logging):
        for read in (tracker.get_summary, tracker.get_all_metrics, tracker.generate_report):
            assert isinstance(refused(read), ControlError)
    assert both(migration) == before
    assert len(migration.spilled().waiting) == 2
    mend()
    begun()
    if phase == "legacy":
        migration.to("dual_write")
        migration.backfill()
    reconciling.reconcile(migration.operator, "db", execute=True)
    expected = dict.fromkeys(("before", "raised", "logged", "began unknown"), 1)
    assert migration.in_store() == expected
    assert migration.store.query("SELECT * FROM skill_inflight") == []
    if phase in ("database", "complete"):
        migration.rollback()
    assert migration.in_json() == expected
    assert migration.backfill().fine
    assert migration.in_store() == expected


@pytest.mark.parametrize("phase", ["dual_write", "database"])
@pytest.mark.parametrize("named", [True, False])
def test_a_tracker_that_never_saw_it_does_not_take_a_lost_one_for_none(
    migration: Migration, phase: str, named: bool, clock: SettableClock
) -> None:
    migration.to(phase)
    before = both(migration)
    mend = damaged(migration, DAMAGE["gone"])
    db = migration.db if named else None
    raising = PhasedTracker(migration.json_file, db, "raise", clock=clock)
    logging = PhasedTracker(migration.json_file, db, "log", clock=clock)
    for tracker in (raising, logging):
        assert isinstance(refused(tracker.get_all_metrics), ControlUnreadable)
    refused(lambda: raising.track_invocation("s", "raised")())
    logging.track_invocation("s", "logged")()
    mend()
    assert both(migration) == before
    assert [one.call.workflow_path for one in migration.spilled().waiting] == ["logged"]


def test_without_one_and_without_a_store_it_is_the_legacy_phase(
    tmp_path: Path, clock: SettableClock
) -> None:
    """That is how every runner starts, long before anybody thinks of a migration."""
    tracker = PhasedTracker(tmp_path / "m.json", tmp_path / "m.db", "raise", clock=clock)
    tracker.track_invocation("s", "p")()
    assert tracker.get_summary()["total_invocations"] == 1


def test_a_tracker_notices_a_migration_that_is_begun_and_one_that_is_lost(
    tmp_path: Path, clock: SettableClock
) -> None:
    tracker = PhasedTracker(tmp_path / "skill_metrics.json", None, "raise", clock=clock)
    tracker.track_invocation("s", "before")()
    kept = (tmp_path / "skill_metrics.json").read_bytes()
    migration = Migration(tmp_path, clock)
    migration.json_file.write_bytes(kept)
    migration.to("dual_write")
    migration.call(tracker, "after")
    assert migration.in_store() == {"after": 1}
    assert migration.in_json() == {"before": 1, "after": 1}
    damaged(migration, DAMAGE["gone"])
    assert isinstance(refused(tracker.get_summary), ControlUnreadable)


def test_a_call_that_began_while_the_phase_was_changing_is_recorded_once(
    migration: Migration,
) -> None:
    """It waits for the operator's lock, and finds another phase than the one it saw before."""
    migration.to("database")
    tracker = migration.tracker()
    migration.call(tracker, "before")
    begun = []
    waiting = threading.Thread(target=lambda: begun.append(tracker.track_invocation("s", "racing")))

    def meanwhile() -> None:
        waiting.start()
        waiting.join(0.2)

    migration.happens_after("rollback.export_rest", meanwhile)
    migration.rollback()
    waiting.join()
    migration.call(tracker, "after")
    begun[0]()
    expected = dict.fromkeys(("before", "racing", "after"), 1)
    assert migration.in_json() == expected
    assert migration.backfill().first.inserted == 0
    assert migration.in_store() == expected
    assert migration.store_total() == 3


def test_a_runner_waits_for_a_change_of_phase_and_then_follows_it(migration: Migration) -> None:
    migration.to("dual_read")
    tracker = migration.tracker()
    begun = tracker.track_invocation("s", "p")
    ended = threading.Thread(target=begun)

    def meanwhile() -> None:
        ended.start()
        ended.join(0.2)
        assert ended.is_alive()

    migration.happens_after("cutover.sync_rest", meanwhile)
    migration.to("database")
    ended.join()
    assert migration.in_store() == {"p": 1}
    assert migration.in_json() == {}


def test_a_phase_lock_that_is_never_free_is_said_and_the_record_waits(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.to("dual_write")
    take = locks._take
    monkeypatch.setattr(
        locks, "_take", lambda handle, path, shared, _: take(handle, path, shared, 0.1)
    )
    raising, logging = migration.tracker("raise"), migration.tracker("log")
    begun = raising.track_invocation("s", "raised")
    with locks.held(locks.phase_lock(migration.json_file)):
        refused(begun)
        migration.call(logging, "logged")
    begun()
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert migration.in_store() == migration.in_json() == {"raised": 1, "logged": 1}
