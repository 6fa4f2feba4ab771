"""What retention would do, and what it did."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Due(Result):
    """What is past its time in one family.

    Args:
        family, table: whose log it is.
        keep_days: how long rows stay; None for ever.
        before_at: rows of before that moment go, but for those that are to stay; None if all stay.
        rows: of the log.
        due: of them, those that go.
        oldest_at: the oldest row's moment; None in an empty log.
        rollups_due: numbers of days or hours that go.
        deleted: rows that retention has deleted so far.
        held: why nothing goes although it is past its time; empty if nothing is in the way.
    """

    family: str
    table: str
    keep_days: float | None
    before_at: str | None
    rows: int
    due: int
    oldest_at: str | None
    rollups_due: int
    deleted: int
    held: str


@dataclass(frozen=True, slots=True)
class Plan(Result):
    """What retention would do now.

    Args:
        now_at: what it takes for now.
        families: each of them.
    """

    now_at: str
    families: tuple[Due, ...]

    @property
    def rows(self) -> int:
        """Rows that go."""
        return sum(due.due for due in self.families if not due.held)

    @property
    def rollups(self) -> int:
        """Numbers of days and hours that go."""
        return sum(due.rollups_due for due in self.families if not due.held)


@dataclass(frozen=True, slots=True)
class Deleted(Result):
    """What went from one family: rows, and numbers of days or hours."""

    family: str
    table: str
    rows: int
    rollups: int


@dataclass(frozen=True, slots=True)
class Applied(Result):
    """What retention did.

    Args:
        families: those of which something went.
        batches: transactions it took.
        longest: seconds of the longest of them; so long a writer waited at most.
        seconds: of all of it.
        bytes_before, bytes_after: of the store's file.
        complete: False if it stopped at its time; the rest is for the next time.
    """

    families: tuple[Deleted, ...]
    batches: int
    longest: float
    seconds: float
    bytes_before: int
    bytes_after: int
    complete: bool
