"""Hours of agents, added up from their samples: as far back as retention left them."""

from __future__ import annotations

from metrics_store import asked
from metrics_store.agents.reading import Window, span
from metrics_store.agents.results import AgentHour, Measured
from metrics_store.agents.values import MILLI
from metrics_store.connection import Database
from metrics_store.rows import Moment
from metrics_store.sql import query

#: Of each measure: how many samples had it, their sum, the least, the most.
_Numbers = tuple[int, int, int | None, int | None]
#: Parts of one of each measure, in the order of the query.
_PARTS = (MILLI, MILLI, MILLI, 1)


def agent_hours(
    database: Database, agent_id: str | None, window: Window, now: Moment
) -> list[AgentHour]:
    """Each agent in each hour of a window that has samples, oldest first; the first hour whole."""
    wanted = asked.text_or_none("agent_id", agent_id)
    start, end = span(database, window, now)
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    sums: dict[tuple[str, str], list[_Numbers]] = {}
    with database.read() as connection:
        for hour, agent, status, n, *numbers in connection.execute(
            query("agents.hours"), (wanted, start[:13], end)
        ):
            key = (hour, agent)
            statuses.setdefault(key, {})[status] = n
            four: list[_Numbers] = [tuple(numbers[at : at + 4]) for at in range(0, 16, 4)]
            if key in sums:
                four = [_both(*pair) for pair in zip(sums[key], four, strict=True)]
            sums[key] = four
    return [
        AgentHour(
            hour,
            agent,
            sum(statuses[hour, agent].values()),
            statuses[hour, agent],
            *(_measured(numbers, parts) for numbers, parts in zip(four, _PARTS, strict=True)),
        )
        for (hour, agent), four in sorted(sums.items())
    ]


def _both(one: _Numbers, other: _Numbers) -> _Numbers:
    least = [n for n in (one[2], other[2]) if n is not None]
    most = [n for n in (one[3], other[3]) if n is not None]
    return (
        one[0] + other[0], one[1] + other[1], min(least, default=None), max(most, default=None)
    )  # fmt: skip


def _measured(numbers: _Numbers, parts: int) -> Measured | None:
    n, total, least, most = numbers
    if not n or least is None or most is None:
        return None
    return Measured(n, total / n / parts, least / parts, most / parts, total / parts)
