"""Statistics of executions over a window, by what they were, and how the store is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from metrics_store import clock
from metrics_store.connection import Database
from metrics_store.executions.results import (
    ExecutionStatistics,
    Numbers,
    Piece,
    PoolNumbers,
    RepositoryNumbers,
    TaskTypeNumbers,
    TierNumbers,
)
from metrics_store.executions.sums import Figures, Groups, Sums, all_of, groups
from metrics_store.executions.windows import TimeRange, Window, window
from metrics_store.families.executions import POOLS, REPOSITORIES, TASKS, TIERS
from metrics_store.sql import query
from metrics_store.sqlite import Connection

N = TypeVar("N", bound=Numbers)

#: Repositories that are named, at most.
_TOP = 10
_STEPS = {"1h": timedelta(minutes=5), "24h": timedelta(hours=1)}
_DAY = timedelta(days=1)


def statistics(database: Database, time_range: TimeRange) -> ExecutionStatistics:
    """The executions of a window up to now.

    Raises:
        InvalidQuery: there is no such window.
    """
    wanted = window(time_range, database.clock.now_us())
    with database.read() as connection:
        found = groups(connection, wanted)
        series = tuple(_series(connection, wanted))
    return ExecutionStatistics(
        time_range=wanted.name,
        time_series=series,
        by_model_tier=_listed(found, TIERS, TierNumbers),
        by_pool_type=_listed(found, POOLS, PoolNumbers),
        top_repositories=_listed(found, REPOSITORIES, RepositoryNumbers)[:_TOP],
        by_task_type=_listed(found, TASKS, TaskTypeNumbers),
        performance=Numbers(*all_of(found.get(TIERS, {})).figures()),
    )


def ordered(found: dict[str, Sums]) -> list[tuple[str | None, Sums]]:
    """Groups, the largest first; a group of no name is None."""
    pairs = sorted(found.items(), key=lambda item: (-item[1].n, item[0]))
    return [(name or None, sums) for name, sums in pairs]


def _listed(found: Groups, scope: str, kind: Callable[[*Figures, str | None], N]) -> tuple[N, ...]:
    return tuple(kind(*sums.figures(), name) for name, sums in ordered(found.get(scope, {})))


def _series(connection: Connection, wanted: Window) -> Iterator[Piece]:
    """Pieces of five minutes, an hour or a day, those without executions too."""
    step = _STEPS.get(wanted.name, _DAY)
    pieces = _whole_days(connection, wanted) if wanted.days else {}
    for since, until in _cut(wanted):
        values = {
            "since": since,
            "until": until,
            "length": 10 if step is _DAY else 13,
            "step": 5 if wanted.name == "1h" else 0,
        }
        for piece, *numbers in connection.execute(query("executions.moments"), values):
            pieces.setdefault(piece, Sums()).add_counted(numbers)
    start = _floor(clock.to_datetime(clock.parse(wanted.since)), step)
    end = clock.to_datetime(clock.parse(wanted.until))
    while start <= end:
        text = start.strftime("%Y-%m-%dT%H:%M")
        name = text[:10] if step is _DAY else text if wanted.name == "1h" else text[:13]
        yield Piece(*pieces.get(name, Sums()).figures(), f"{text}:00Z")
        start += step


def _cut(wanted: Window) -> Iterator[tuple[str, str]]:
    """What of the window the log has to tell: all of it, or the two days it cuts."""
    if not wanted.days:
        yield wanted.since, wanted.until
    else:
        yield wanted.since, wanted.morning  # no moment is as short as that
        yield wanted.today, wanted.until


def _whole_days(connection: Connection, wanted: Window) -> dict[str, Sums]:
    days: dict[str, Sums] = {}
    for day, kind, *numbers in connection.execute(query("executions.days"), wanted.whole):
        days.setdefault(day, Sums()).add_rollup(kind, numbers)
    return days


def _floor(moment: datetime, step: timedelta) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    return midnight + (moment - midnight) // step * step
