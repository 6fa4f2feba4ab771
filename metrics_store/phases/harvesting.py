"""Taking in what somebody wrote to the JSON file after the store had taken over."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store.legacy import importing
from metrics_store.legacy.control import Control, Fingerprint, Phase
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import ImportReport, Progress
from metrics_store.phases import fingerprints, replaying
from metrics_store.phases.operator import Operator
from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Harvest(Result):
    """What was found in the JSON file.

    Args:
        written: whether somebody wrote to it since it was last looked at.
        report: the pass over it; None if nobody did.
        replayed: records of the spill that were taken in.
    """

    written: bool
    report: ImportReport | None
    replayed: int

    @property
    def found(self) -> int:
        """Records that the store did not have, or not whole."""
        report = self.report
        return 0 if report is None else report.inserted + report.upgraded + report.quarantined


def harvest(operator: Operator, progress: Callable[[Progress], None] | None = None) -> Harvest:
    """Take in the writes of a process that missed the cutover.

    Raises:
        WrongPhase: the JSON file decides; that is what a backfill is for.
        LegacyFileError: the file cannot be read.
    """
    with operator.at_work():
        there = operator.require(Phase.DATABASE, Phase.COMPLETE, command="harvest")
        _, found = take_in(operator, there, "harvest", progress)
        operator.step(operator.control(), "harvest", "done")
        return found


def take_in(
    operator: Operator,
    there: Control,
    command: str,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Control, Harvest]:
    """Harvest within another command; the caller is at work."""
    replayed = replaying.replay(operator, there).taken
    path = operator.json_file
    if not os.path.exists(path) or not fingerprints.has_changed(path, there.json_seen):
        return there, Harvest(False, None, replayed)
    copy = copy_stable(Path(path), operator.folder("harvest"))
    try:
        report = importing.take_in(
            operator.store(), Path(path), zone=there.zone, progress=progress, copy=copy
        )
    finally:
        copy.path.unlink(missing_ok=True)
    # Of the copy that was taken in; whatever was written since is noticed the next time.
    seen = Fingerprint(copy.size, copy.mtime_ns, copy.sha256)
    there = operator.save(replace(there, json_seen=seen))
    step = "take_in" if command == "harvest" else "harvest"
    operator.step(
        there,
        command,
        step,
        alarm="somebody wrote to the JSON file after the cutover",
        sha256=report.sha256,
        read=report.read,
        inserted=report.inserted,
        upgraded=report.upgraded,
        quarantined=report.quarantined,
    )
    return there, Harvest(True, report, replayed)


def take_in_aside(operator: Operator, there: Control, aside: Path) -> int:
    """Take in what was written to a file that was just put aside, after it was last looked at.

    A process without our locks may have had it open.

    Returns:
        How many records were new.
    """
    seen = there.json_seen
    if seen is not None and not fingerprints.has_changed(str(aside), seen):
        return 0
    copy = copy_stable(aside, operator.folder("harvest"))
    try:
        # Under the name it had: its records are of that file's history.
        of_file = replace(copy, source=Path(operator.json_file))
        report = importing.take_in(operator.store(), of_file.source, zone=there.zone, copy=of_file)
    finally:
        copy.path.unlink(missing_ok=True)
    return report.inserted + report.upgraded + report.quarantined
