"""Where a migration stands, and the next command to type."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_store import clock
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import spill
from metrics_store.legacy.control import Change, Control, Phase
from metrics_store.phases import gates
from metrics_store.phases.gates import Reads, Requirement
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.sql import query

_PROGRAM = "metrics-store legacy"
#: Where each phase reads from and writes to, as DESIGN has it.
SIDES = {
    Phase.LEGACY: ("JSON", "JSON"),
    Phase.DUAL_WRITE: ("JSON", "JSON, then the store"),
    Phase.SHADOW: ("JSON, the store compared", "JSON, then the store"),
    Phase.DUAL_READ: ("the store, JSON compared", "JSON, then the store"),
    Phase.DATABASE: ("the store", "the store"),
    Phase.COMPLETE: ("the store", "the store"),
}
_ONWARD = {
    Phase.LEGACY: "advance --execute",
    Phase.DUAL_WRITE: "advance --execute",
    Phase.SHADOW: "advance --execute",
    Phase.DUAL_READ: "cutover --execute",
    Phase.DATABASE: "complete --execute",
}
#: Bytes of a file's beginning from which its number of records is estimated.
_SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Running(Result):
    """A pass over the JSON file that is not finished.

    Args:
        stage: ``streaming`` or ``settling``.
        records: read so far.
        about: records of the file, estimated from its beginning.
        seconds_left: at the present rate; None while that cannot be told.
    """

    stage: str
    records: int
    about: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Status(Result):
    """Where a migration stands.

    Args:
        phase: one of the six.
        reads, writes: which side answers and which is written.
        epoch: how often the phase has changed, plus one.
        entered_at, started_at: UTC text.
        in_phase: seconds since it was entered.
        spill: records that wait for the store, damaged lines too.
        open_mismatches: differences that nobody has explained.
        requirements: what the gate to the next phase asks for.
        compared: the compared reads of this phase; None where none are compared.
        running: the backfill that is under way, if one is.
        unfinished: the cutover or rollback that was begun and not ended.
        store_error: why the store cannot be asked; None if it can.
        next_command: what to type next; empty if there is nothing to do.
        advice: what to do if that is no command.
        changes: every change of phase so far.
    """

    json_file: str
    database: str
    migration_id: str
    phase: str
    reads: str
    writes: str
    epoch: int
    zone: str
    started_at: str
    entered_at: str
    in_phase: float
    spill: int
    open_mismatches: int
    requirements: tuple[Requirement, ...]
    compared: Reads | None
    running: Running | None
    unfinished: str | None
    store_error: str | None
    next_command: str
    advice: str
    changes: tuple[dict[str, object], ...]

    @property
    def fine(self) -> bool:
        """Whether nothing asks for a person: no zombie, no mismatch, nothing unfinished."""
        zombies = any(r.name == "zombies" and not r.met for r in self.requirements)
        return not (zombies or self.open_mismatches or self.unfinished or self.store_error)


def status(operator: Operator) -> Status:
    """Look where the migration stands; nothing is changed.

    Raises:
        NoMigration: none was begun.
        ControlError: the control file cannot be read.
    """
    there = operator.control()
    error: str | None = None
    open_ones, compared, running = 0, None, None
    asked: tuple[Requirement, ...] = ()
    try:
        ahead = operator.mirrored()
        if ahead is not None and ahead[0] > there.epoch:
            error = (
                f"the control file is older than the store's word: epoch {there.epoch}, and the "
                f"store was told of epoch {ahead[0]}, {ahead[1]}"
            )
        open_ones = _open(operator, there)
        asked = gates.requirements(operator, there)
        if there.phase in (Phase.SHADOW, Phase.DUAL_READ):
            compared = gates.reads(operator, there.epoch)
        running = _running(operator, there)
    except MetricsStoreError as broken:
        error = f"{broken}"
    command, advice = _next(there, asked, error)
    return Status(
        there.json_file,
        there.database,
        there.migration_id,
        there.phase,
        *SIDES[there.phase],
        there.epoch,
        there.zone,
        there.started_at,
        there.entered_at,
        max(0.0, (operator.clock.now_us() - clock.parse(there.entered_at)) / clock.MICROSECONDS),
        _spilled(there),
        open_ones,
        asked,
        compared,
        running,
        None if there.intent is None else there.intent.command,
        error,
        command,
        advice,
        tuple(_plain(change) for change in there.changes),
    )


def _next(there: Control, asked: tuple[Requirement, ...], error: str | None) -> tuple[str, str]:
    if there.intent is not None:
        return f"{_PROGRAM} resume --execute", ""
    if error is not None and error.startswith("the control file is older"):
        return f"{_PROGRAM} resume --execute", "Runners' records wait in the spill until then."
    if error is not None:
        back = f"{_PROGRAM} rollback --execute" if there.phase.in_json else ""
        return back, "Mend the store, or go back a phase."
    for requirement in asked:
        if not requirement.met:
            todo = requirement.todo
            return (todo, "") if todo.startswith(_PROGRAM) else ("", todo)
    onward = _ONWARD.get(there.phase)
    if onward is None:
        return "", "Nothing is left to do; the way back is metrics-store legacy rollback."
    advice = ""
    if there.phase is Phase.LEGACY:
        advice = "First let every runner use open_tracker in the place of its tracker."
    return f"{_PROGRAM} {onward}", advice


def _open(operator: Operator, there: Control) -> int:
    with operator.store().database.read() as connection:
        found = connection.execute(query("phases.open_differences"), (there.epoch,)).fetchone()
    return int(sum(found))


def _spilled(there: Control) -> int:
    try:
        return len(spill.contents(there.json_file))
    except MetricsStoreError:
        return 0  # the gate says why it cannot be read


def _running(operator: Operator, there: Control) -> Running | None:
    with operator.store().database.read() as connection:
        source = connection.execute(query("phases.source_id"), (there.json_file,)).fetchone()
        if source is None:
            return None
        found = connection.execute(query("phases.running_pass"), source).fetchone()
    if found is None:
        return None
    position, size, started_at, stage = found
    about = max(position, _estimated(there.json_file, size))
    spent = (operator.clock.now_us() - clock.parse(started_at)) / clock.MICROSECONDS
    left = (about - position) * spent / position if position and spent > 0 else None
    return Running(stage, position, about, left)


def _estimated(path: str, size: int) -> int:
    try:
        with open(path, "rb") as file:
            head = file.read(_SAMPLE)
    except OSError:
        return 0
    return size * head.count(b'"invoked_at"') // max(1, len(head))


def _plain(change: Change) -> dict[str, object]:
    return {
        "epoch": change.epoch,
        "from": change.from_phase,
        "to": change.to_phase,
        "at": change.at,
        "by": change.by,
        "forced": change.forced,
    }
