"""Plan and start, backfill, and the plain steps from one phase to the next and back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store import clock
from metrics_store.errors import (
    GateNotMet,
    InvalidValue,
    MetricsStoreError,
    MigrationExists,
    Unfinished,
    WrongPhase,
)
from metrics_store.legacy import control, importing
from metrics_store.legacy.control import PHASES, Control, Gates, Phase
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import ImportReport, Progress
from metrics_store.phases import doctor, explaining, gates, replaying, steps
from metrics_store.phases.gates import Requirement
from metrics_store.phases.operator import Operator
from metrics_store.phases.reconciling import keep_what_was_there
from metrics_store.results import Result

log = logging.getLogger("metrics_store")

#: The phase that `advance` leads to; the others have commands of their own.
_NEXT = {
    Phase.LEGACY: Phase.DUAL_WRITE,
    Phase.DUAL_WRITE: Phase.SHADOW,
    Phase.SHADOW: Phase.DUAL_READ,
}
_OWN_COMMAND = {Phase.DUAL_READ: "cutover", Phase.DATABASE: "complete", Phase.COMPLETE: "rollback"}


@dataclass(frozen=True, slots=True)
class Changed(Result):
    """A change of phase, done or only looked at.

    Args:
        executed: whether it was done.
        requirements: what the gate asked for.
        forced: why an unmet gate was passed.
        archived: where ``complete`` put the JSON file.
    """

    command: str
    executed: bool
    from_phase: str
    to_phase: str
    epoch: int
    requirements: tuple[Requirement, ...]
    forced: str | None
    archived: str | None = None


@dataclass(frozen=True, slots=True)
class Backfilled(Result):
    """What a backfill came to: a pass over a copy of the file, and a second one over the same.

    Args:
        replayed: records of the spill that were taken in before.
        first: the pass.
        second_inserted: rows that the second pass added; more than none is a fault.
    """

    replayed: int
    first: ImportReport
    second_inserted: int

    @property
    def fine(self) -> bool:
        """Whether the gate is content with it."""
        return self.first.fine and self.second_inserted == 0


def start(
    operator: Operator, *, zone: str | None, wanted: Gates, execute: bool
) -> tuple[Control | None, doctor.Diagnosis]:
    """Begin a migration, in the phase ``legacy``.

    Returns:
        The control file, None in a dry run; and what the doctor found.

    Raises:
        MigrationExists: it was begun before.
        GateNotMet: the doctor found an error.
        OtherMigration: the store belongs to another legacy file.
    """
    check_gates(wanted)
    if control.read(operator.json_file) is not None:
        raise MigrationExists(operator.json_file)
    diagnosis = doctor.examine(operator, zone)
    if not diagnosis.healthy:
        errors = [f.detail for f in diagnosis.findings if f.verdict == "error"]
        raise GateNotMet("; ".join(errors), hint="See metrics-store legacy doctor.")
    if not execute:
        return None, diagnosis
    with operator.at_work():
        if control.read(operator.json_file) is not None:
            raise MigrationExists(operator.json_file)
        store = operator.store(create=True)
        steps.reached("start", "store")
        now = operator.now()
        there = Control(
            clock.new_id(operator.clock.now_us()),
            1,
            Phase.LEGACY,
            operator.json_file,
            store.path,
            diagnosis.zone,
            wanted,
            now,
            now,
        )
        operator.save(there)
        operator.mirror(there)
        operator.step(there, "start", "store", path=store.path)
        operator.step(there, "start", "control", zone=diagnosis.zone, by=operator.by())
        operator.step(there, "start", "mirror")
        return there, diagnosis


def check_gates(wanted: Gates) -> None:
    """Refuse sizes that no gate can have.

    Raises:
        InvalidValue: one is out of range.
    """
    if wanted.shadow_reads < 0 or wanted.max_verify_age <= 0 or wanted.soak < 0:
        raise InvalidValue("a gate cannot ask for less than nothing")
    if not 0 <= wanted.sample_rate <= 1:
        raise InvalidValue(f"--sample-rate {wanted.sample_rate}", hint="It is from 0 to 1.")
    if wanted.sample_rate == 0 and wanted.shadow_reads > 0:
        raise InvalidValue(
            "--sample-rate 0 compares no read, and the gate asks for some",
            hint="Say --shadow-reads 0 too, if that is meant.",
        )


def backfill(operator: Operator, progress: Callable[[Progress], None] | None = None) -> Backfilled:
    """Take the whole legacy file in, twice: the second pass shows that nothing counts twice.

    Raises:
        WrongPhase: the JSON file no longer decides.
        LegacyFileError: the file cannot be read.
        WriteError: the store does not take it; the next backfill goes on from there.
    """
    with operator.at_work():
        there = operator.require(
            Phase.DUAL_WRITE, Phase.SHADOW, Phase.DUAL_READ, command="backfill"
        )
        replayed = replaying.replay(operator, there)
        operator.step(there, "backfill", "spill", taken=replayed.taken)
        up_to = importing.last_seq(operator.store())
        copy = copy_stable(Path(operator.json_file), operator.folder("backfill"))
        try:
            reports = []
            for step in ("first_pass", "second_pass"):
                report = importing.take_in(
                    operator.store(),
                    copy.source,
                    zone=there.zone,
                    progress=progress,
                    copy=copy,
                    up_to_seq=up_to,
                )
                reports.append(report)
                first = reports[0]
                operator.step(
                    there,
                    "backfill",
                    step,
                    sha256=report.sha256,
                    read=first.read,
                    inserted=first.inserted,
                    matched=first.matched,
                    upgraded=first.upgraded,
                    quarantined=first.quarantined,
                    conserved=all(report.conserved for report in reports),
                    second=report.inserted if len(reports) == 2 else None,
                    clean=report.comparison.clean and report.torn is None,
                )
        finally:
            copy.path.unlink(missing_ok=True)
        return Backfilled(replayed.taken, reports[0], reports[1].inserted)


def advance(operator: Operator, *, execute: bool, force: bool, reason: str | None) -> Changed:
    """Go on to the next phase, if its gate is met.

    Raises:
        GateNotMet: it is not, and ``force`` was not given.
        WrongPhase: from here another command leads on.
    """
    forced = forced_because(force, reason)
    with operator.at_work():
        there = operator.control()
        if there.intent is not None:
            raise Unfinished(f"{there.intent.command}, begun {there.intent.begun_at}")
        if there.phase not in _NEXT:
            own = _OWN_COMMAND[there.phase]
            raise WrongPhase(
                f"advance ends at {Phase.DUAL_READ}, and this is {there.phase}",
                hint=f"From here: metrics-store legacy {own}",
            )
        operator.require(there.phase, command="advance")
        if there.phase.in_store and execute:
            operator.step(there, "advance", "spill", taken=replaying.replay(operator, there).taken)
            explaining.explain_reads(operator, there)
        asked = gates.requirements(operator, there)
        refuse_unmet(asked, forced, execute=execute)
        to = _NEXT[there.phase]
        if not execute:
            return Changed("advance", False, there.phase, to, there.epoch, asked, forced)
        operator.step(there, "advance", "gate", met=[r.name for r in asked if r.met])
        if there.phase is Phase.LEGACY:
            operator.store(create=True)
        with operator.nobody_writes():
            unmet = [requirement for requirement in asked if not requirement.met]
            changed = operator.enter(there, to, forced if unmet else None)
            operator.step(changed, "advance", "commit", to=to, forced=forced if unmet else None)
            operator.mirror(changed)
        operator.step(changed, "advance", "mirror")
        return Changed("advance", True, there.phase, to, changed.epoch, asked, forced)


def step_back(operator: Operator, *, execute: bool) -> Changed:
    """From a dual phase to the one before. The JSON file has everything, so nothing is copied.

    It works with a broken store, too.
    """
    with operator.at_work():
        there = operator.require(
            Phase.DUAL_WRITE, Phase.SHADOW, Phase.DUAL_READ, command="rollback"
        )
        if there.intent is not None:
            raise Unfinished(f"{there.intent.command}, begun {there.intent.begun_at}")
        to = PHASES[PHASES.index(there.phase) - 1]
        if not execute:
            return Changed("rollback", False, there.phase, to, there.epoch, (), None)
        with operator.nobody_writes():
            changed = operator.enter(there, to)
            operator.step(changed, "back", "commit", to=to)
        _mirror_if_it_can(operator, changed)
        operator.step(changed, "back", "mirror")
        return Changed("rollback", True, there.phase, to, changed.epoch, (), None)


def cancel(operator: Operator, *, execute: bool) -> Control:
    """Give up a cutover or rollback that did not reach its commit point.

    Raises:
        GateNotMet: it did; there is only the way on.
        WrongPhase: nothing was begun.
    """
    with operator.at_work():
        there = operator.control()
        if there.intent is None:
            raise WrongPhase("nothing is unfinished", hint="There is nothing to cancel.")
        if there.intent.committed:
            raise GateNotMet(
                f"the {there.intent.command} has passed its commit point",
                hint="Finish it: metrics-store legacy resume --execute",
            )
        if not execute:
            return there
        left = Path(f"{operator.json_file}.rollback.tmp")
        left.unlink(missing_ok=True)
        if there.intent.command == "rollback":
            keep_what_was_there(operator, there, "before-rollback")
        changed = operator.save(replace(there, intent=None))
        operator.step(changed, "cancel", "done", cancelled=there.intent.command)
        return changed


def forced_because(force: bool, reason: str | None) -> str | None:
    """The reason for passing a gate.

    Raises:
        InvalidValue: ``--force`` without a reason, or the other way round.
    """
    if force != bool(reason and reason.strip()):
        raise InvalidValue("--force and --reason go together", hint='--force --reason "why"')
    return reason.strip() if reason and force else None


def refuse_unmet(asked: tuple[Requirement, ...], forced: str | None, *, execute: bool) -> None:
    """Refuse to pass a gate that is not met. A dry run tells, and refuses nothing.

    Raises:
        GateNotMet: with what is missing, and what to do about the first of it.
    """
    unmet = [requirement for requirement in asked if not requirement.met]
    if unmet and forced is None and execute:
        detail = "; ".join(f"{r.name}: {r.detail}" for r in unmet)
        raise GateNotMet(detail, hint=unmet[0].todo)


def _mirror_if_it_can(operator: Operator, there: Control) -> None:
    try:
        operator.mirror(there)
    except MetricsStoreError as error:
        log.warning("the store does not know yet: %s", error)
