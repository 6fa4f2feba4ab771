"""What health comes to: a status, what was found, and every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from metrics_store.health.metrics import Metrics

Level = Literal["WARNING", "ERROR", "CRITICAL"]
Status = Literal["OK", "WARNING", "ERROR", "CRITICAL"]
#: From good to bad.
STATUSES: tuple[Status, ...] = ("OK", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that asks for a person.

    Args:
        level: how much so.
        kind: what it is about, one word: ``disk``, ``backup``, ``clock``.
        metric: the number that tells; empty if something could not be looked at.
        value: that number.
        threshold: the limit that it is past.
        detail: both in a sentence.
        hint: what to do about it.
    """

    level: Level
    kind: str
    metric: str
    value: float | None
    threshold: float | None
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How a store is.

    Args:
        database: its file.
        at: when it was looked at, UTC text.
        status: the level of the worst finding, or ``OK``.
        findings: the worst first.
        metrics: every number.
    """

    database: str
    at: str
    status: Status
    findings: tuple[Finding, ...]
    metrics: Metrics

    def reaches(self, level: Level) -> bool:
        """Whether the status is a level or worse."""
        return STATUSES.index(self.status) >= STATUSES.index(level)

    def about(self, metric: str) -> HealthReport:
        """The report with what was found of one metric; of all that kept it from being known."""
        known = getattr(self.metrics, metric) is not None
        wanted = (metric,) if known else (metric, "")
        findings = tuple(finding for finding in self.findings if finding.metric in wanted)
        return replace(self, status=worst(findings), findings=findings)

    def as_dict(self) -> dict[str, object]:
        """For JSON; the keys are always the same."""
        return asdict(self)


def worst(findings: tuple[Finding, ...]) -> Status:
    """The status that findings come to."""
    return max((finding.level for finding in findings), key=STATUSES.index, default="OK")
