"""The end: the store serves, the JSON file goes into the archive and is never deleted by us."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from pathlib import Path

from metrics_store.errors import LegacyNotWritable
from metrics_store.legacy.control import Phase
from metrics_store.phases import beginning, gates, harvesting, replaying
from metrics_store.phases.beginning import Changed
from metrics_store.phases.operator import Operator
from metrics_store.replacing import sync_directory


def complete(operator: Operator, *, execute: bool, force: bool, reason: str | None) -> Changed:
    """End the migration. The rollback stays possible.

    Raises:
        WrongPhase: the phase is not ``database``.
        GateNotMet: it has not served long enough, or somebody still writes the JSON file.
        LegacyNotWritable: the JSON file cannot be moved.
    """
    forced = beginning.forced_because(force, reason)
    with operator.at_work():
        there = operator.require(Phase.DATABASE, command="complete")
        if execute:
            replaying.replay(operator, there)
        asked = gates.requirements(operator, there)
        beginning.refuse_unmet(asked, forced, execute=execute)
        to = Phase.COMPLETE
        if not execute:
            return Changed("complete", False, there.phase, to, there.epoch, asked, forced)
        operator.step(there, "complete", "gate", met=[r.name for r in asked if r.met])
        unmet = [requirement for requirement in asked if not requirement.met]
        with operator.nobody_writes():
            archived = _archive(operator)
            operator.step(there, "complete", "archive", file=archived)
            there_with = replace(there, archived=archived or there.archived, json_seen=None)
            changed = operator.enter(there_with, to, forced if unmet else None)
            operator.step(changed, "complete", "commit", forced=forced if unmet else None)
            operator.mirror(changed)
        if archived is not None:
            harvesting.take_in_aside(operator, there, Path(archived))
        operator.step(changed, "complete", "mirror")
        return Changed(
            "complete", True, there.phase, to, changed.epoch, asked, forced, changed.archived
        )


def _archive(operator: Operator) -> str | None:
    path = Path(operator.json_file)
    if not path.exists():
        # A completion that was cut short has moved it already.
        moved = sorted(path.parent.glob(f"{glob.escape(path.name)}.archived-*"))
        return str(moved[-1]) if moved else None
    moment = operator.stamp()
    archived = path.with_name(f"{path.name}.archived-{moment}")
    try:
        # A new name, not a copy: whoever still writes makes a new file, and is noticed by it.
        os.rename(path, archived)
        sync_directory(path.parent)
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error
    return str(archived)
