"""Whether a migration lost or doubled anything: what has to be so, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import spill, verifying
from metrics_store.legacy.control import Control
from metrics_store.phases import fingerprints
from metrics_store.phases.operator import Operator
from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Check(Result):
    """One thing that has to be so.

    Args:
        name: a short fixed word.
        holds: whether it is so.
        detail: what was found.
    """

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class PassLine(Result):
    """A pass over a legacy file.

    Args:
        part: it was over the records alone that had changed since a copy was taken in; the hash
            and size are those of this part.
        read: elements of the file; None if the pass was cut short, and another went on.
    """

    pass_id: int
    source: str
    sha256: str
    size: int
    started_at: str
    finished_at: str | None
    part: bool
    read: int | None
    inserted: int | None
    matched: int | None
    upgraded: int | None
    quarantined: int | None
    torn: str | None

    @property
    def conserved(self) -> bool:
        """Whether every element is accounted for."""
        if self.read is None:
            return True
        kept = (self.inserted, self.matched, self.upgraded, self.quarantined)
        return self.read == sum(n or 0 for n in kept)


def checks(
    operator: Operator,
    there: Control,
    passes: tuple[PassLine, ...],
    differences: tuple[Mapping[str, object], ...],
) -> tuple[Check, ...]:
    """Look whether all is as it has to be.

    Args:
        passes: every pass over a legacy file.
        differences: every difference that was ever found.

    Raises:
        ReadError: the store cannot be read.
    """
    leaking = [line.pass_id for line in passes if not line.conserved]
    ended = sum(line.read is not None for line in passes)
    still_open = sum(bool(difference["open"]) for difference in differences)
    explained = sum(difference["explanation"] is not None for difference in differences)
    intent = there.intent
    return (
        Check(
            "conserved",
            not leaking,
            f"{ended:,} passes, each with read = inserted + matched + upgraded + quarantined"
            if not leaking
            else f"passes that do not add up: {', '.join(map(str, leaking))}",
        ),
        _verified(operator, there),
        Check(
            "differences",
            not still_open,
            f"{explained:,} explained, {still_open:,} that nobody has explained",
        ),
        _no_spill(there),
        _no_zombies(there),
        Check(
            "finished",
            intent is None,
            "no command is unfinished"
            if intent is None
            else f"a {intent.command} was begun {intent.begun_at}",
        ),
    )


def _verified(operator: Operator, there: Control) -> Check:
    last = verifying.last(operator.store())
    if last is None:
        return Check("verified", False, "no full verify was finished")
    detail = (
        f"verify {last.verify_id}, {last.finished_at}: {last.compared:,} compared, "
        f"{last.equal:,} equal, {sum(last.explained.values()):,} explained, "
        f"{sum(last.unexplained.values()):,} unexplained when it ended"
    )
    if last.source != there.json_file:
        return Check("verified", False, f"the last one was of {last.source}")
    # What people have explained since is among the differences.
    return Check("verified", last.torn is None, detail)


def _no_spill(there: Control) -> Check:
    try:
        waiting = spill.contents(there.json_file)
    except MetricsStoreError as error:
        return Check("spill", False, str(error))
    n, damaged = len(waiting.waiting), len(waiting.damaged)
    return Check("spill", not len(waiting), f"{n:,} records wait, {damaged:,} damaged lines")


def _no_zombies(there: Control) -> Check:
    if there.phase.in_json:
        return Check("zombies", True, "the JSON file is still written, as it is meant to be")
    changed = fingerprints.has_changed(there.json_file, there.json_seen)
    said = "somebody wrote to the JSON file and was not harvested"
    return Check("zombies", not changed, said if changed else "nobody writes to the JSON file")
