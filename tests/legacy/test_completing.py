"""The end of a migration: the JSON file is archived, and whoever still writes it is found out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from json_tracking import naive
from leaving import Migration, refused, unmet
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import GateNotMet, WrongPhase
from metrics_store.phases import beginning, completing, harvesting


def complete(migration: Migration, *, force: bool = False) -> None:
    migration.pass_time(1)
    reason = "a test" if force else None
    completing.complete(migration.operator, execute=True, force=force, reason=reason)


def archive(migration: Migration) -> Path:
    archived = migration.operator.control().archived
    assert archived is not None
    return Path(archived)


@pytest.fixture
def zombie(migration: Migration, clock: SettableClock) -> LegacyTracker:
    """A legacy tracker that nobody told; the migration is in ``database``."""
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    tracker = LegacyTracker(migration.json_file, naive(clock))
    migration.to("database")
    return tracker


def test_the_file_is_archived_by_a_rename_and_never_deleted(migration: Migration) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "p")
    migration.to("database")
    before = (migration.json_file.read_bytes(), os.stat(migration.json_file).st_ino)
    complete(migration)
    archived = archive(migration)
    assert (archived.read_bytes(), os.stat(archived).st_ino) == before
    assert archived.parent == migration.json_file.parent
    assert not migration.json_file.exists()
    assert migration.tracker().get_summary()["total_invocations"] == 1


def test_without_a_file_it_ends_as_well(migration: Migration) -> None:
    migration.to("database")
    migration.json_file.unlink()
    complete(migration)
    assert migration.phase == "complete"
    assert migration.operator.control().archived is None


def test_a_zombie_stands_in_the_way_until_it_is_harvested(
    migration: Migration, zombie: LegacyTracker
) -> None:
    zombie.track_invocation("s", "zombie")()
    assert isinstance(refused(lambda: complete(migration)), GateNotMet)
    assert migration.phase == "database"
    harvesting.harvest(migration.operator)
    complete(migration)
    assert migration.in_store() == {"before": 1, "zombie": 1}


@pytest.mark.parametrize("step", ["gate", "archive", "commit"])
def test_what_a_zombie_writes_at_that_very_moment_is_taken_in(
    migration: Migration, zombie: LegacyTracker, step: str
) -> None:
    migration.happens_after(f"complete.{step}", zombie.track_invocation("s", "zombie"))
    complete(migration)
    if step != "gate":
        assert unmet(migration) == {"zombies"}
        harvesting.harvest(migration.operator)
    assert unmet(migration) == set()
    assert migration.in_store() == {"before": 1, "zombie": 1}


def test_a_forced_end_archives_nothing_that_is_not_in_the_store(
    migration: Migration, zombie: LegacyTracker
) -> None:
    zombie.track_invocation("s", "zombie")()
    complete(migration, force=True)
    assert migration.in_store() == {"before": 1, "zombie": 1}
    assert migration.operator.control().changes[-1].forced == "a test"


def test_a_file_that_a_zombie_makes_anew_is_harvested_in_complete(
    migration: Migration, zombie: LegacyTracker
) -> None:
    complete(migration)
    zombie.track_invocation("s", "zombie")()
    assert migration.json_file.exists()
    assert harvesting.harvest(migration.operator).found == 1
    assert harvesting.harvest(migration.operator).found == 0
    assert migration.in_store() == {"before": 1, "zombie": 1}
    archive(migration)
    migration.rollback()
    assert migration.in_json() == migration.in_store()


def test_an_end_that_is_interrupted_can_be_repeated(migration: Migration) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "p")
    migration.to("database")

    def die() -> None:
        raise KeyboardInterrupt

    migration.happens_after("complete.archive", die)
    with pytest.raises(KeyboardInterrupt):
        complete(migration)
    assert migration.phase == "database"
    assert migration.tracker().get_summary()["total_invocations"] == 1
    complete(migration)
    assert migration.phase == "complete"
    migration.rollback()
    assert migration.in_json() == {"p": 1}


def test_an_end_that_was_interrupted_knows_where_the_archive_is(migration: Migration) -> None:
    migration.to("database")

    def die() -> None:
        raise KeyboardInterrupt

    migration.happens_after("complete.archive", die)
    with pytest.raises(KeyboardInterrupt):
        complete(migration)
    complete(migration)
    assert archive(migration).exists()


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "shadow", "dual_read", "complete"])
def test_it_follows_the_database_phase_and_no_other(migration: Migration, phase: str) -> None:
    migration.to(phase)
    assert isinstance(refused(lambda: complete(migration)), WrongPhase)
    assert migration.phase == phase
    if phase == "complete":
        step = lambda: beginning.advance(  # noqa: E731
            migration.operator, execute=True, force=False, reason=None
        )
        assert isinstance(refused(step), WrongPhase)
