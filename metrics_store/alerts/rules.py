"""Rules and hooks as values, and the rules that are shipped."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from metrics_store.families.alerts import SEVERITIES

Comparison = Literal["above", "below"]
#: The rank of each severity; 0 is none.
RANKS = {severity: rank for rank, severity in enumerate(SEVERITIES, 1)}


def severity_of(rank: int) -> str:
    """The severity of a rank from 1 on."""
    return SEVERITIES[rank - 1]


@dataclass(frozen=True, slots=True)
class Rule:
    """When there is to be an alert.

    Args:
        name: unique within a file.
        metric: what is looked at, of :mod:`metrics_store.alerts.metrics`.
        compare: on which side of a level it is bad; the level itself is still fine.
        levels: pairs of severity and limit.
        window_us: how far back it looks, microseconds; None for a metric of this moment.
        for_us: for how long a level is passed before an alert is opened or escalated.
        clear_us: for how long it is not before the alert is de-escalated or resolved.
        subject: which subjects, as a pattern with ``*`` and ``?``.
        at_least: fewer runs than that say nothing.
        type: of its alerts.
        title: of its alerts; by default the metric's.
    """

    name: str
    metric: str
    compare: Comparison
    levels: tuple[tuple[str, float], ...]
    type: str
    window_us: int | None = None
    for_us: int = 0
    clear_us: int = 0
    subject: str = "*"
    at_least: int = 1
    title: str = ""

    def rank(self, value: float | None) -> int:
        """The rank of the gravest level that a value passes; 0 for none, and for no value."""
        if value is None:
            return 0
        above = self.compare == "above"
        passed = (
            RANKS[severity]
            for severity, limit in self.levels
            if (value > limit if above else value < limit)
        )
        return max(passed, default=0)

    def limit(self, rank: int) -> float:
        """The limit that was passed to get to a rank: of the gravest level up to it."""
        fitting = [(RANKS[name], limit) for name, limit in self.levels if RANKS[name] <= rank]
        return max(fitting)[1] if fitting else self.levels[0][1]

    def is_about(self, subject: str) -> bool:
        """Whether a subject is one of those looked at."""
        return self.subject == "*" or fnmatchcase(subject, self.subject.replace("[", "[[]"))


@dataclass(frozen=True, slots=True)
class Hook:
    """Who is told of alerts: a command or a web address.

    Args:
        name: unique within a file; the store remembers by it what it was told.
        command: the program and its arguments; no shell sees them.
        webhook: http or https address.
        headers: further headers of the request.
        timeout: seconds for one try.
        tries: of one evaluation.
        backoff: seconds between the first two tries; twice as long after each.
        on: the events it is told of.
        at_least: the least severity it is told of.
    """

    name: str
    command: tuple[str, ...] = ()
    webhook: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 10.0
    tries: int = 3
    backoff: float = 1.0
    on: tuple[str, ...] = ("opened", "escalated")
    at_least: str = "info"

    def wants(self, event: str, severity: str) -> bool:
        """Whether it is to be told of such an event."""
        return event in self.on and RANKS[severity] >= RANKS[self.at_least]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What a file of rules says."""

    rules: tuple[Rule, ...]
    hooks: tuple[Hook, ...] = ()
