"""Going on with a cutover or rollback that a crash cut short."""

from __future__ import annotations

from collections.abc import Callable

from metrics_store.errors import WrongPhase
from metrics_store.legacy.report import Progress
from metrics_store.phases import beginning, cutting_over, rolling_back
from metrics_store.phases.cutting_over import CutOver
from metrics_store.phases.operator import Operator
from metrics_store.phases.rolling_back import RolledBack


def resume(
    operator: Operator,
    *,
    execute: bool,
    force: bool = False,
    reason: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> CutOver | RolledBack:
    """Go on with what was begun, under the word that was given then.

    Args:
        force, reason: pass a gate that was not forced at the beginning.

    Raises:
        WrongPhase: nothing was begun.
        MetricsStoreError: as the command that is gone on with.
    """
    beginning.forced_because(force, reason)
    there = operator.control()
    if there.intent is None:
        raise WrongPhase("nothing is unfinished", hint="There is nothing to resume.")
    if there.intent.command == "rollback":
        return rolling_back.rollback(operator, execute=execute, progress=progress)
    word = reason if force else there.intent.reason
    return cutting_over.cutover(
        operator, execute=execute, force=bool(word), reason=word, progress=progress
    )
