"""What a check comes to: what it looked at, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from metrics_store.results import Result, plain

Severity = Literal["error", "warning"]
Level = Literal["quick", "standard", "deep"]

#: Findings of one kind that are named; of the rest the number is.
MOST = 100


@dataclass(frozen=True, slots=True)
class Finding(Result):
    """One thing that is not as it should be.

    Args:
        severity: ``error``, or ``warning`` where nothing is lost or wrong yet.
        kind: a stable word, such as ``row_digest``.
        table: the table, index, view or trigger it is about; empty for the file as a whole.
        row: which of its rows; empty if it is about no single row.
        detail: what is wrong.
        action: what to do.
        repairable: whether ``check --repair`` puts it right.
    """

    severity: Severity
    kind: str
    table: str
    row: str
    detail: str
    action: str
    repairable: bool = False


@dataclass(frozen=True, slots=True)
class Look(Result):
    """One thing that was looked at.

    Args:
        what: its name.
        count: how many.
        unit: of what, in the plural; empty where nothing is counted.
        seconds: how long it took.
        found: how many findings it gave.
    """

    what: str
    count: int
    unit: str
    seconds: float
    found: int


@dataclass(frozen=True, slots=True)
class CheckReport(Result):
    """What a check came to.

    Args:
        path: the database.
        level: how thorough it was.
        schema_version: of the database; None if it could not be read.
        rows: of all logs together; None if they could not be counted.
        findings: at most :data:`MOST` of each kind, errors first.
        further: of kinds with more findings, how many more.
        looked_at: in the order of looking.
    """

    path: str
    level: Level
    schema_version: int | None
    rows: int | None
    findings: tuple[Finding, ...]
    looked_at: tuple[Look, ...]
    further: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are no errors."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of findings there are, each once."""
        return tuple(dict.fromkeys(finding.kind for finding in self.findings))

    @property
    def seconds(self) -> float:
        """How long everything took."""
        return sum(look.seconds for look in self.looked_at)

    def as_dict(self) -> dict[str, object]:
        """As a document: the fields, and what they add up to."""
        return {
            "path": self.path,
            "level": self.level,
            "schema_version": self.schema_version,
            "rows": self.rows,
            "ok": self.ok,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "seconds": self.seconds,
            "findings": plain(self.findings),
            "further": plain(self.further),
            "looked_at": plain(self.looked_at),
        }


class Findings:
    """What a check has found so far."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, finding: Finding) -> None:
        """Add one; past :data:`MOST` of a kind it is only counted."""
        count = self._counts.get(finding.kind, 0)
        if count < MOST:
            if finding in self._found:
                return
            self._found.append(finding)
        self._counts[finding.kind] = count + 1

    def count(self, *kinds: str) -> int:
        """How many of some kinds there are."""
        return sum(self._counts.get(kind, 0) for kind in kinds)

    def of(self, *kinds: str) -> tuple[Finding, ...]:
        """The findings of some kinds."""
        return tuple(finding for finding in self._found if finding.kind in kinds)

    def sorted(self) -> tuple[Finding, ...]:
        """All of them, errors first, each kind together, in the order of finding."""
        kinds = list(dict.fromkeys(finding.kind for finding in self._found))
        return tuple(
            sorted(self._found, key=lambda f: (f.severity != "error", kinds.index(f.kind)))
        )

    def further(self) -> dict[str, int]:
        """Of kinds with more findings than are named, how many more."""
        return {kind: n - MOST for kind, n in self._counts.items() if n > MOST}
