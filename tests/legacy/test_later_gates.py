"""The gates of the later phases, and what a force leaves behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from leaving import EMPTY, WORD, Migration, asked, refused, stopped_by, unforced, unmet
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import InvalidValue, WrongPhase
from metrics_store.legacy import control, verifying
from metrics_store.legacy.control import Gates
from metrics_store.phases import (
    beginning,
    completing,
    cutting_over,
    harvesting,
    rolling_back,
    status,
)
from metrics_store.phases.gates import span


@pytest.fixture
def strict(tmp_path: Path, clock: SettableClock) -> Migration:
    """One whose gates ask for something."""
    return Migration(tmp_path, clock, gates=Gates(shadow_reads=3, max_verify_age=3600, soak=7200))


def test_out_of_dual_read_a_fresh_verify_and_a_rehearsal_are_asked_for(
    strict: Migration, clock: SettableClock
) -> None:
    strict.to("dual_read")
    strict.call(strict.tracker(), "p")
    verify = lambda: verifying.verify(strict.store, strict.json_file, zone="UTC")  # noqa: E731
    assert "none was finished" in stopped_by(strict, "verify", "rehearsal")
    assert verify().clean
    stopped_by(strict, "rehearsal")
    rolling_back.rehearse(strict.operator)
    assert unmet(strict) == set()
    clock.advance(3601)
    assert "older than 1 h" in stopped_by(strict, "verify")
    verify()
    clock.advance(-7200)
    assert unmet(strict) == {"verify"}  # the clock was set back: nobody knows how old it is
    clock.advance(7200)
    unforced(strict)
    assert strict.phase == "database"


def test_a_rehearsal_of_an_earlier_phase_does_not_do(strict: Migration) -> None:
    strict.to("dual_read")
    verifying.verify(strict.store, strict.json_file, zone="UTC")
    rolling_back.rehearse(strict.operator)
    strict.back()
    strict.to("dual_read")
    assert "rehearsal" in unmet(strict)


def test_a_verify_that_found_something_or_of_another_file_does_not_do(strict: Migration) -> None:
    strict.to("dual_read")
    rolling_back.rehearse(strict.operator)
    other = strict.json_file.with_name("other.json")
    other.write_text(EMPTY)
    verifying.verify(strict.store, other, zone="UTC")
    assert "other.json" in stopped_by(strict, "verify")
    whole = strict.json_file.read_text()
    LegacyTracker(strict.json_file).track_invocation("s", "only in the file")()
    assert not verifying.verify(strict.store, strict.json_file, zone="UTC").clean
    assert "1 unexplained" in stopped_by(strict, "verify")
    strict.json_file.write_text(whole)


def test_out_of_database_the_soak_is_asked_for(strict: Migration, clock: SettableClock) -> None:
    strict.to("database")
    assert "2 h asked for" in stopped_by(strict, "soak")
    clock.advance(7199)
    assert "Wait another 1 s" in asked(strict)["soak"].todo
    clock.advance(1)
    unforced(strict)
    assert strict.phase == "complete"


@pytest.mark.parametrize("phase", ["database", "complete"])
def test_a_zombie_is_noticed_and_harvested(migration: Migration, phase: str) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    zombie = LegacyTracker(migration.json_file)
    migration.to(phase)
    assert unmet(migration) == set()
    assert status.status(migration.operator).fine
    zombie.track_invocation("s", "zombie")()
    assert unmet(migration) == {"zombies"}
    found = status.status(migration.operator)
    assert not found.fine
    assert "harvest" in f"{found.next_command} {found.advice}"
    if phase == "database":
        stopped_by(migration, "zombies")
    assert harvesting.harvest(migration.operator).found == 1
    assert unmet(migration) == set()
    assert migration.in_store() == {"before": 1, "zombie": 1}
    zombie.track_invocation("s", "again")()
    assert unmet(migration) == {"zombies"}


def test_a_file_that_was_only_touched_is_no_zombie(migration: Migration) -> None:
    migration.to("database")
    os.utime(migration.json_file, (1, 1))
    assert unmet(migration) == set()


def test_a_force_is_kept_with_its_reason_and_a_gate_that_was_met_keeps_none(
    strict: Migration,
) -> None:
    beginning.advance(strict.operator, execute=True, force=True, reason="not needed")
    strict.to("complete")
    changes = strict.operator.control().changes
    assert [change.forced for change in changes] == [None, WORD, WORD, WORD, WORD]
    told = {
        (step.command, step.detail["forced"])
        for step in strict.operator.steps(strict.operator.control())
        if step.step == "commit"
    }
    assert told == {("advance", None), ("advance", WORD), ("cutover", WORD), ("complete", WORD)}


@pytest.mark.parametrize(("force", "reason"), [(True, None), (True, "  "), (False, "why")])
def test_force_and_reason_go_together(strict: Migration, force: bool, reason: str | None) -> None:
    strict.to("dual_write")
    for command in (beginning.advance, completing.complete, cutting_over.cutover):
        error = refused(
            lambda command=command: command(  # type: ignore[misc]
                strict.operator, execute=True, force=force, reason=reason
            )
        )
        assert isinstance(error, InvalidValue)
    assert strict.phase == "dual_write"


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "shadow", "dual_read", "database"])
def test_a_dry_run_says_what_is_missing_and_changes_nothing(
    migration: Migration, phase: str
) -> None:
    migration.to(phase)
    before = Path(control.control_path(migration.json_file)).read_bytes()
    commands = (beginning.advance, cutting_over.cutover, completing.complete)
    done = 0
    for command in commands:
        try:
            told = command(migration.operator, execute=False, force=False, reason=None)
        except WrongPhase:
            continue
        done += 1
        assert not told.executed
        assert told.requirements
    assert done == 1
    assert Path(control.control_path(migration.json_file)).read_bytes() == before


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min"), (3600, "1 h"), (90061, "1 d 1 h")]
)
def test_a_length_of_time_is_told_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
