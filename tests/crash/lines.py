"""What a round of a campaign of faults came to: one line, and what the table at the end adds up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One round.

    Args:
        what: what was injected and where, short, so that the round can be repeated.
        cases: how many things were tried.
        passed: how many of them came to what they should.
        acknowledged: records that the store had said it keeps.
        lost: of them, those it had not kept.
        doubled: records that were there more than once.
        figure: a number to be watched, the worst of which the table shows; None without one.
        unit: what the figure is in.
        wrong: what was found, a line each; empty when all is well.
        skipped: why nothing could be tried here; empty when it was.
    """

    what: str
    cases: int = 1
    passed: int = 1
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    figure: float | None = None
    unit: str = ""
    wrong: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def fine(self) -> bool:
        """Whether everything came to what it should."""
        return not (self.wrong or self.lost or self.doubled or self.passed < self.cases)


@dataclass(slots=True)
class Tally:
    """What the lines of a section add up to."""

    name: str
    cases: int = 0
    passed: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    worst: float | None = None
    unit: str = ""
    failed: bool = False
    skipped: str = ""
    seconds: float = 0.0

    def add(self, line: Line) -> None:
        """Count a line in."""
        self.skipped = line.skipped
        if line.skipped:
            return
        self.cases += line.cases
        self.passed += line.passed
        self.acknowledged += line.acknowledged
        self.lost += line.lost
        self.doubled += line.doubled
        self.failed = self.failed or not line.fine
        if line.figure is not None:
            self.worst = line.figure if self.worst is None else max(self.worst, line.figure)
            self.unit = line.unit

    def row(self) -> tuple[str, ...]:
        """Its row of the table; the columns are :data:`COLUMNS`."""
        if self.skipped and not self.cases:
            return (self.name, *("-" for _ in COLUMNS[1:-1]), f"skipped: {self.skipped}")
        worst = "" if self.worst is None else f"{self.worst:,.4g} {self.unit}".rstrip()
        return (
            self.name,
            f"{self.cases:,}",
            f"{self.passed:,}",
            f"{self.acknowledged:,}",
            f"{self.lost:,}",
            f"{self.doubled:,}",
            worst,
            f"{self.seconds:,.0f}",
            "FAILED" if self.failed else "fine" if self.cases else "-",
        )


COLUMNS = (
    "fault",
    "cases",
    "passed",
    "acknowledged",
    "lost",
    "doubled",
    "worst",
    "seconds",
    "verdict",
)


def table(tallies: list[Tally]) -> list[str]:
    """The table at the end, a line each."""
    rows = [COLUMNS, *(tally.row() for tally in tallies)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS) - 1)]
    return ["  ".join(_cells(row, widths)).rstrip() for row in rows]


def _cells(row: tuple[str, ...], widths: list[int]) -> list[str]:
    name, *numbers, verdict = row
    aligned = (f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=True))
    return [f"{name:<{widths[0]}}", *aligned, verdict]
