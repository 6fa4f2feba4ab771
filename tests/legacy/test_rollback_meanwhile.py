"""A rollback while others write, and one that is cut short: nothing is lost on the way."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from json_tracking import naive
from leaving import Migration, refused
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import RehearsalFailed
from metrics_store.phases import beginning, reconciling, resuming, rolling_back


def die() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["intend", "harvest", "export", "lock", "export_rest", "load",
                                  "replace", "commit", "mirror"])  # fmt: skip
def test_what_a_zombie_writes_at_any_step_is_lost_by_neither_side(
    migration: Migration, clock: SettableClock, step: str
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    zombie = LegacyTracker(migration.json_file, naive(clock))
    migration.to("database")
    migration.call(migration.tracker(), "since")
    clock.advance(1)
    migration.happens_after(f"rollback.{step}", zombie.track_invocation("s", "zombie"))
    migration.rollback()
    migration.backfill()
    expected = dict.fromkeys(("before", "since", "zombie"), 1)
    assert migration.in_store() == expected
    if migration.in_json() != expected:
        # It overwrote the new file, or wrote the old one: the operator can bring the file up.
        reconciling.reconcile(migration.operator, "json", execute=True)
    assert migration.in_json() == expected


@pytest.mark.parametrize("step", ["replace", "load", "export"])
def test_what_a_zombie_wrote_before_the_operator_died_is_not_lost_either(
    migration: Migration, clock: SettableClock, step: str
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    zombie = LegacyTracker(migration.json_file, naive(clock))
    migration.to("database")
    clock.advance(1)

    if step == "replace":
        migration.happens_after("rollback.load", zombie.track_invocation("s", "zombie"))
        migration.happens_after("rollback.replace", die)
    else:
        begun = zombie.track_invocation("s", "zombie")

        def write_and_die() -> None:
            begun()
            die()

        migration.happens_after(f"rollback.{step}", write_and_die)
    with pytest.raises(KeyboardInterrupt):
        migration.rollback()
    assert migration.phase == "database"
    resuming.resume(migration.operator, execute=True)
    migration.backfill()
    assert migration.phase == "dual_write"
    assert migration.in_store() == {"before": 1, "zombie": 1}


def test_a_rollback_that_is_given_up_leaves_the_store_serving_with_all_there_is(
    migration: Migration, clock: SettableClock
) -> None:
    migration.to("dual_write")
    zombie = LegacyTracker(migration.json_file, naive(clock))
    migration.to("database")
    migration.call(migration.tracker(), "since")

    migration.happens_after("rollback.load", zombie.track_invocation("s", "zombie"))
    migration.happens_after("rollback.replace", die)
    with pytest.raises(KeyboardInterrupt):
        migration.rollback()
    beginning.cancel(migration.operator, execute=True)
    assert migration.phase == "database"
    migration.call(migration.tracker(), "later")
    migration.to("complete").rollback()
    migration.backfill()
    assert migration.in_store() == dict.fromkeys(("since", "zombie", "later"), 1)


def test_a_runner_that_never_stops_loses_and_doubles_nothing(tmp_path: Path) -> None:
    migration = Migration(tmp_path).to("database")
    tracker = migration.tracker()
    stop, made = threading.Event(), [0]

    def work() -> None:
        while not stop.is_set():
            tracker.track_invocation("s", str(made[0]))()
            made[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(2):
        migration.to("database").rollback()
    stop.set()
    thread.join()
    assert made[0] > 2
    assert migration.in_json() == Counter(str(n) for n in range(made[0]))
    assert migration.backfill().first.inserted == 0
    assert migration.in_store() == migration.in_json()


def test_the_rehearsal_changes_neither_side_and_refuses_a_file_it_cannot_give_back(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.to("dual_read")
    migration.call(migration.tracker(), "p")
    before = (migration.json_file.read_bytes(), migration.store.query("SELECT * FROM rollup"))
    done = rolling_back.rehearse(migration.operator)
    assert (done.records, done.kept, done.read_back) == (1, 1, 1)
    after = (migration.json_file.read_bytes(), migration.store.query("SELECT * FROM rollup"))
    assert after == before
    assert migration.operator.control().rehearsed == migration.operator.control().epoch
    lossy: Callable[..., object] = lambda *_: iter(())  # noqa: E731
    monkeypatch.setattr("metrics_store.phases.exported.stored.up_to", lossy)
    assert isinstance(refused(lambda: rolling_back.rehearse(migration.operator)), RehearsalFailed)


@pytest.mark.parametrize("step", ["spill", "take_in", "export", "replace"])
def test_bringing_the_json_file_up_loses_nothing_that_is_written_meanwhile(
    migration: Migration, clock: SettableClock, step: str
) -> None:
    migration.to("dual_write")
    legacy = LegacyTracker(migration.json_file, naive(clock))
    migration.call(migration.tracker(), "erased by the legacy tracker")
    clock.advance(1)
    legacy.track_invocation("s", "legacy")()
    assert migration.in_json() == {"legacy": 1}
    clock.advance(1)
    migration.happens_after(f"reconcile.{step}", legacy.track_invocation("s", "meanwhile"))
    reconciling.reconcile(migration.operator, "json", execute=True)
    migration.backfill()
    expected = dict.fromkeys(("erased by the legacy tracker", "legacy", "meanwhile"), 1)
    assert migration.in_store() == expected
    migration.to("database").rollback()
    assert migration.in_json() == expected
