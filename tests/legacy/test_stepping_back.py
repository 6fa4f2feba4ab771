"""Back by one dual phase: the JSON file has everything, whatever has become of the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import Migration, refused

from metrics_store.errors import MetricsStoreError, Unfinished, WrongPhase
from metrics_store.legacy.control import PHASES, Phase
from metrics_store.phases import beginning, reconciling, rolling_back, status
from metrics_store.trackers import candidate

Damaged = Callable[[Path], None]


@pytest.mark.parametrize("phase", PHASES[1:4])
def test_from_every_dual_phase_one_gets_back_to_the_start_and_on_again(
    migration: Migration, phase: Phase
) -> None:
    migration.to(phase)
    tracker = migration.tracker()
    called = 0
    while migration.phase != "legacy":
        migration.call(tracker, f"p{called}")
        called += 1
        before = PHASES.index(migration.phase)
        migration.back()
        assert PHASES.index(migration.phase) == before - 1
    migration.call(tracker, f"p{called}")
    migration.to("dual_write")
    assert migration.backfill().first.inserted == 1
    assert migration.in_store() == migration.in_json() == {f"p{n}": 1 for n in range(called + 1)}


@pytest.mark.parametrize("how", ["corrupt", "missing", "a folder"])
def test_a_broken_store_does_not_stand_in_the_way_back(
    migration: Migration, how: str, damaged: Damaged
) -> None:
    damaged(migration.db)
    migration.to("dual_read")
    tracker = migration.tracker()
    migration.call(tracker, "before")
    migration.operator.close()
    tracker.close()
    aside = migration.db.with_name("aside")
    migration.db.rename(aside)
    if how == "corrupt":
        migration.db.write_bytes(b"no store " * 999)
    elif how == "a folder":
        migration.db.mkdir()
    assert status.status(migration.operator).store_error
    with pytest.raises(MetricsStoreError):
        tracker.get_summary()
    for expected in ("shadow", "dual_write", "legacy"):
        migration.back()
        assert migration.phase == expected
        migration.call(tracker, expected)
        assert tracker.get_summary()["total_invocations"] == len(migration.in_json())
    if how == "a folder":
        migration.db.rmdir()
    aside.replace(migration.db)
    migration.pass_time(candidate.COOL_DOWN)
    migration.to("dual_write")
    reconciling.reconcile(migration.operator, "db", execute=True)
    expected_paths = dict.fromkeys(("before", "shadow", "dual_write", "legacy"), 1)
    assert migration.in_store() == migration.in_json() == expected_paths
    assert len(migration.spilled()) == 0


@pytest.mark.parametrize("how", ["corrupt", "missing"])
@pytest.mark.parametrize("phase", ["database", "complete"])
def test_a_rollback_of_a_broken_store_says_so_and_changes_nothing(
    migration: Migration, phase: str, how: str, damaged: Damaged
) -> None:
    damaged(migration.db)
    migration.to("dual_write")
    with migration.tracker() as tracker:
        migration.call(tracker, "before")
    migration.to(phase)
    migration.operator.close()
    aside = migration.db.with_name("aside")
    migration.db.rename(aside)
    if how == "corrupt":
        migration.db.write_bytes(b"no store " * 999)
    refused(migration.rollback)
    assert migration.phase == phase
    assert not migration.db.exists() or how == "corrupt"
    aside.replace(migration.db)
    migration.rollback()
    assert migration.in_json() == {"before": 1}


def test_back_from_an_unfinished_cutover_is_refused_and_after_a_cancel_it_is_not(
    migration: Migration,
) -> None:
    migration.to("dual_read")

    def die() -> None:
        raise KeyboardInterrupt

    migration.happens_after("cutover.backup", die)
    with pytest.raises(KeyboardInterrupt):
        migration.to("database")
    assert isinstance(refused(migration.back), Unfinished)
    beginning.cancel(migration.operator, execute=True)
    migration.back()
    assert migration.phase == "shadow"


def test_back_from_a_rollback_that_is_not_ended_is_refused(migration: Migration) -> None:
    migration.to("database")
    migration.call(migration.tracker(), "p")

    def die() -> None:
        raise KeyboardInterrupt

    migration.happens_after("rollback.commit", die)
    with pytest.raises(KeyboardInterrupt):
        migration.rollback()
    assert migration.phase == "dual_write"
    assert isinstance(refused(migration.back), Unfinished)
    rolling_back.rollback(migration.operator, execute=True)
    assert migration.in_json() == {"p": 1}
    migration.back()
    assert migration.phase == "legacy"


@pytest.mark.parametrize("phase", ["legacy", "database", "complete"])
def test_from_the_other_phases_there_is_no_step_back(migration: Migration, phase: str) -> None:
    migration.to(phase)
    assert isinstance(refused(migration.back), WrongPhase)
    assert migration.phase == phase


def test_a_dry_run_changes_nothing(migration: Migration) -> None:
    migration.to("shadow")
    told = beginning.step_back(migration.operator, execute=False)
    assert (told.executed, told.to_phase) == (False, "dual_write")
    assert migration.phase == "shadow"
