"""Going on with a cutover or rollback that a crash cut short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from metrics_store.errors import WrongPhase
from metrics_store.legacy.control import Change, Control, Phase
from metrics_store.legacy.report import Progress
from metrics_store.phases import beginning, cutting_over, rolling_back
from metrics_store.phases.beginning import Changed
from metrics_store.phases.cutting_over import CutOver
from metrics_store.phases.operator import Operator
from metrics_store.phases.rolling_back import RolledBack

_MENDED = "the control file was older than what the store had been told"


def resume(
    operator: Operator,
    *,
    execute: bool,
    force: bool = False,
    reason: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> CutOver | RolledBack | Changed:
    """Go on with what was begun, under the word that was given then.

    Args:
        force, reason: pass a gate that was not forced at the beginning.

    Raises:
        WrongPhase: nothing was begun.
        MetricsStoreError: as the command that is gone on with.
    """
    beginning.forced_because(force, reason)
    there = operator.control()
    ahead = operator.mirrored()
    if ahead is not None and ahead[0] > there.epoch:
        return _take_the_stores_word(operator, there, ahead, execute=execute)
    if there.intent is None:
        raise WrongPhase("nothing is unfinished", hint="There is nothing to resume.")
    if there.intent.command == "rollback":
        return rolling_back.rollback(operator, execute=execute, progress=progress)
    word = reason if force else there.intent.reason
    return cutting_over.cutover(
        operator, execute=execute, force=bool(word), reason=word, progress=progress
    )


def _take_the_stores_word(
    operator: Operator, there: Control, ahead: tuple[int, str, str], *, execute: bool
) -> Changed:
    """Mend a control file that is older than the phase the store has been told of."""
    epoch, phase, since = ahead
    to = Phase(phase)
    if execute:
        with operator.at_work(), operator.nobody_writes():
            change = Change(epoch, there.phase, to, operator.now(), operator.by(), _MENDED)
            operator.save(
                replace(
                    there,
                    epoch=epoch,
                    phase=to,
                    entered_at=since,
                    intent=None,
                    changes=(*there.changes, change),
                )
            )
    return Changed("resume", execute, there.phase, to, epoch, (), _MENDED)
