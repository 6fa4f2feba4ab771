"""The gates: what each asks for, when it is met, what it says if not, and what a force leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import EMPTY, WORD, Interrupted, Migration, refused
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import GateNotMet, InvalidValue, MigrationExists, WrongPhase
from metrics_store.legacy import control, spill, verifying
from metrics_store.legacy.control import Gates
from metrics_store.phases import (
    beginning,
    completing,
    cutting_over,
    gates,
    harvesting,
    reconciling,
    rolling_back,
    status,
)
from metrics_store.phases.gates import Requirement, span

STRICT = Gates(shadow_reads=3, max_verify_age=3600, soak=7200)


@pytest.fixture
def strict(tmp_path: Path, clock: SettableClock) -> Migration:
    return Migration(tmp_path, clock, gates=STRICT)


def asked(migration: Migration) -> dict[str, Requirement]:
    found = gates.requirements(migration.operator, migration.operator.control())
    for requirement in found:
        assert requirement.detail
        assert bool(requirement.todo) == (not requirement.met)
    return {requirement.name: requirement for requirement in found}


def unmet(migration: Migration) -> set[str]:
    return {name for name, requirement in asked(migration).items() if not requirement.met}


def onward(migration: Migration) -> object:
    """The command that leads on, without force."""
    operator = migration.operator
    match str(migration.phase):
        case "dual_read":
            return cutting_over.cutover(operator, execute=True)
        case "database":
            return completing.complete(operator, execute=True, force=False, reason=None)
        case _:
            return beginning.advance(operator, execute=True, force=False, reason=None)


def stopped_by(migration: Migration, *names: str) -> str:
    """That the way on is refused for these reasons, and that the phase stays."""
    before = migration.phase
    assert unmet(migration) == set(names)
    error = refused(lambda: onward(migration))
    assert isinstance(error, GateNotMet)
    for name in names:
        assert name in error.detail
    assert migration.phase == before
    return error.detail


def spilled(migration: Migration, name: str, hold_lock: Callable[[Path], Callable[[], None]]) -> None:
    let_go = hold_lock(migration.db)
    migration.call(migration.tracker(), name)
    let_go()


def test_start_asks_the_doctor(tmp_path: Path, clock: SettableClock) -> None:
    file = tmp_path / "m.json"
    file.write_text(EMPTY[:30])
    operator = Interrupted(file, tmp_path / "m.db", now=clock)
    start = lambda: beginning.start(operator, zone="UTC", wanted=STRICT, execute=True)  # noqa: E731
    error = refused(start)
    assert isinstance(error, GateNotMet)
    assert "not whole" in error.detail
    assert control.read(file) is None
    file.write_text(EMPTY)
    error = refused(
        lambda: beginning.start(operator, zone="Mars/Base", wanted=STRICT, execute=True)
    )
    assert "Mars/Base" in error.detail
    there, _ = start()
    assert there is not None
    assert isinstance(refused(start), MigrationExists)


@pytest.mark.parametrize(
    "wrong",
    [Gates(shadow_reads=-1), Gates(max_verify_age=0), Gates(soak=-1), Gates(sample_rate=1.5),
     Gates(sample_rate=-0.1), Gates(sample_rate=float("nan")), Gates(sample_rate=0.0)],
)  # fmt: skip
def test_gates_of_impossible_sizes_are_refused(wrong: Gates) -> None:
    with pytest.raises(InvalidValue):
        beginning.check_gates(wrong)


def test_out_of_legacy_the_doctor_is_asked_once_more(strict: Migration) -> None:
    strict.json_file.write_text(EMPTY[:40])
    assert "not whole" in stopped_by(strict, "file")
    strict.json_file.write_text(EMPTY)
    assert unmet(strict) == set()
    onward(strict)
    assert strict.phase == "dual_write"


def test_out_of_dual_write_a_backfill_of_this_phase_is_asked_for(strict: Migration) -> None:
    strict.to("dual_write")
    assert "none since this phase began" in stopped_by(strict, "backfill")
    strict.backfill()
    assert unmet(strict) == set()
    assert "a second pass inserted 0" in asked(strict)["backfill"].detail
    strict.back()
    strict.to("dual_write")
    stopped_by(strict, "backfill")
    strict.backfill()
    onward(strict)
    assert strict.phase == "shadow"


def test_a_backfill_that_is_not_clean_does_not_do(strict: Migration) -> None:
    strict.to("dual_write")
    strict.call(strict.tracker(), "p")
    record = {**strict.records()[0], "error_type": "somebody edited this"}
    document = json.loads(strict.json_file.read_text()) | {"invocations": [record]}
    strict.json_file.write_text(json.dumps(document, indent=2))
    assert not strict.backfill().fine
    assert "found differences" in stopped_by(strict, "backfill")


def test_the_spill_is_replayed_before_the_gate_is_looked_at(
    migration: Migration, hold_lock: Callable[[Path], Callable[[], None]]
) -> None:
    migration.to("dual_write")
    migration.backfill()
    spilled(migration, "p", hold_lock)
    assert unmet(migration) == {"spill"}
    assert "1 record waits" in asked(migration)["spill"].detail
    onward(migration)
    assert migration.phase == "shadow"
    assert migration.in_store() == {"p": 1}


@pytest.mark.parametrize("phase", ["dual_write", "shadow", "dual_read", "database"])
def test_a_line_of_the_spill_that_cannot_be_read_stands_in_the_way(
    migration: Migration, phase: str
) -> None:
    migration.to(phase)
    Path(spill.spill_path(migration.json_file)).write_text("torn\n")
    before = {name for name in unmet(migration) if name != "spill"}
    assert "1 line of it cannot be read" in stopped_by(migration, "spill", *before)
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert unmet(migration) == before
    assert any("torn" in file.read_text() for file in migration.json_file.parent.glob("*.damaged*"))


def test_out_of_shadow_reads_that_agree_are_asked_for(strict: Migration) -> None:
    strict.to("shadow")
    tracker = strict.tracker()
    assert "0 of 3 compared reads" in stopped_by(strict, "shadow reads")
    strict.call(tracker, "p")
    tracker.get_all_metrics()
    tracker.get_summary()
    assert "2 of 3" in stopped_by(strict, "shadow reads")
    tracker.get_skill_metrics("s")
    onward(strict)
    assert strict.phase == "dual_read"


def test_out_of_shadow_a_difference_stands_in_the_way_until_it_is_explained(
    strict: Migration,
) -> None:
    strict.to("shadow")
    tracker = strict.tracker()
    for _ in range(3):
        tracker.get_summary()
    strict.store.track_invocation("only in the store").complete()
    tracker.get_summary()
    assert "1 difference of" in stopped_by(strict, "mismatches")
    found = asked(strict)["mismatches"]
    assert "verify" in found.todo


def test_a_difference_whose_cause_is_gone_is_explained_at_the_next_advance(
    strict: Migration,
) -> None:
    strict.to("shadow")
    tracker = strict.tracker()
    whole = strict.json_file.read_text()
    strict.call(tracker, "p")
    now = strict.json_file.read_text()
    strict.json_file.write_text(whole)  # a legacy tracker has rewritten it from its own memory
    strict.tracker().get_summary()
    strict.json_file.write_text(now)
    for _ in range(3):
        strict.tracker().get_summary()
    onward(strict)
    assert strict.phase == "dual_read"
    (kept,) = strict.store.query("SELECT explanation FROM legacy_difference")
    assert "resolved" in str(kept["explanation"])


def test_reads_that_could_not_be_compared_do_not_count(
    strict: Migration, hold_lock: Callable[[Path], Callable[[], None]]
) -> None:
    strict.to("shadow")
    spilled(strict, "p", hold_lock)
    tracker = strict.tracker()
    for _ in range(5):
        tracker.get_summary()
    reconciling.reconcile(strict.operator, "db", execute=True)
    assert "shadow reads" in unmet(strict)


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
    onward(strict)
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
    onward(strict)
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
def test_a_dry_run_says_what_is_missing_and_changes_nothing(migration: Migration, phase: str) -> None:
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
