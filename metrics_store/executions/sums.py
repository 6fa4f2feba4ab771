"""What executions come to: whole days from the rollups, what a window cuts from the log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from metrics_store.executions import money
from metrics_store.executions.windows import Window
from metrics_store.families.executions import POOLS, REPOSITORIES, TASKS, TIERS
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Executions, successes, success rate, mean duration, cost, mean quality.
Figures = tuple[int, int, float | None, float | None, Decimal | None, float | None]


@dataclass(slots=True)
class Part:
    """A measure: how many have it, their sum, and its extremes where they are known."""

    n: int = 0
    total: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, n: int, total: int, least: int | None = None, most: int | None = None) -> None:
        """Add what others come to."""
        self.n += n
        self.total += total
        if least is not None:
            self.least = least if self.least is None else min(self.least, least)
        if most is not None:
            self.most = most if self.most is None else max(self.most, most)

    def mean(self, unit: int) -> float | None:
        """The mean in a unit of so many; None of nothing."""
        return self.total / self.n / unit if self.n else None


class Sums:
    """What the executions of one group come to."""

    __slots__ = ("cost", "duration", "n", "quality", "savings", "successes")

    def __init__(self) -> None:
        self.n = self.successes = 0
        self.duration, self.cost, self.savings, self.quality = Part(), Part(), Part(), Part()

    def add(self, other: Sums) -> None:
        """Add another group."""
        self.n += other.n
        self.successes += other.successes
        for mine, more in (
            (self.duration, other.duration),
            (self.cost, other.cost),
            (self.savings, other.savings),
            (self.quality, other.quality),
        ):
            mine.add(more.n, more.total, more.least, more.most)

    def add_rollup(self, kind: str, numbers: Sequence[int | None]) -> None:
        """Add a rollup of a kind: executions, successes, measured, total, least, most."""
        n, completed, measured, total, least, most = (*numbers, None, None)[:6]
        part: Part = getattr(self, kind)
        part.add(measured or 0, total or 0, least, most)
        if kind == "duration":  # every execution is in it, measured or not
            self.n += n or 0
            self.successes += completed or 0

    def add_counted(self, numbers: Sequence[int]) -> None:
        """Add executions, successes, and a count and a sum of durations, costs and qualities."""
        self.n += numbers[0]
        self.successes += numbers[1]
        self.duration.add(*numbers[2:4])
        self.cost.add(*numbers[4:6])
        self.quality.add(*numbers[6:8])

    @property
    def rate(self) -> float | None:
        """The share of successes in percent; None of nothing."""
        return 100.0 * self.successes / self.n if self.n else None

    @property
    def total_cost(self) -> Decimal | None:
        """In dollars; None where nobody said what it cost."""
        return money.dollars(self.cost.total) if self.cost.n else None

    def figures(self) -> Figures:
        """The values of :class:`metrics_store.executions.results.Numbers`."""
        return (
            self.n,
            self.successes,
            self.rate,
            self.duration.mean(1_000_000),
            self.total_cost,
            self.quality.mean(1000),
        )


#: By scope of the rollups and subject in it.
Groups = dict[str, dict[str, Sums]]


def groups(connection: Connection, window: Window) -> Groups:
    """The executions of a window by tier, pool, repository and type of task."""
    found = _whole_days(connection, window, (TIERS, REPOSITORIES, TASKS, POOLS))
    _add_parts(found, connection.execute(query("executions.parts_of_days"), window.cuts))
    return found


def tiers(connection: Connection, window: Window) -> dict[str, Sums]:
    """The executions of a window by tier alone."""
    found = _whole_days(connection, window, (TIERS,))
    _add_parts(found, connection.execute(query("executions.tiers_in_parts"), window.cuts))
    return found.get(TIERS, {})


def all_of(by_tier: Mapping[str, Sums]) -> Sums:
    """All executions of a window; each of them is of one tier."""
    sums = Sums()
    for one in by_tier.values():
        sums.add(one)
    return sums


def _whole_days(connection: Connection, window: Window, scopes: Sequence[str]) -> Groups:
    found: Groups = {}
    if window.days:
        values = {**window.whole, "scopes": json.dumps(scopes)}
        for scope, kind, subject, *numbers in connection.execute(
            query("executions.whole_days"), values
        ):
            _of(found, scope, subject).add_rollup(kind, numbers)
    return found


def _add_parts(found: Groups, rows: Iterable[Sequence[Any]]) -> None:
    for scope, subject, *numbers in rows:
        sums = _of(found, scope, subject)
        n, successes, timed, duration, least, most, *parts = numbers
        sums.n += n
        sums.successes += successes
        sums.duration.add(timed, duration, least, most)
        sums.cost.add(*parts[0:2])
        sums.savings.add(*parts[2:4])
        sums.quality.add(*parts[4:6])


def _of(found: Groups, scope: str, subject: str) -> Sums:
    return found.setdefault(scope, {}).setdefault(subject, Sums())
