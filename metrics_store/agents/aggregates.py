"""Days and hours of the five families, from the rollups: exact whatever retention has deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from statistics import median
from typing import NamedTuple

from metrics_store import asked, clock, rows, windows
from metrics_store.agents.reading import Window
from metrics_store.agents.results import (
    AgentDay,
    CommitDay,
    Measured,
    RagDay,
    SystemPeriod,
    TaskDay,
    TaskVelocity,
)
from metrics_store.agents.values import MICRO, MILLI
from metrics_store.connection import Database
from metrics_store.errors import InvalidQuery
from metrics_store.families.activity import EVENT_TYPES
from metrics_store.rows import Moment
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Longest stretch that is asked for, in periods.
MOST_PERIODS = 10_000


class _Number(NamedTuple):
    n: int
    total: int
    minimum: int | None
    maximum: int | None


@dataclass(slots=True)
class _Period:
    """What the rollups of one subject have for one period."""

    period: str
    subject: str
    numbers: dict[str, _Number] = field(default_factory=dict)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)

    def measured(self, kind: str, parts: int) -> Measured | None:
        """A measure in its own unit, of which ``parts`` are one."""
        found = self.numbers.get(kind)
        if found is None or found.minimum is None or found.maximum is None:
            return None
        return Measured(
            found.n,
            found.total / found.n / parts,
            found.minimum / parts,
            found.maximum / parts,
            found.total / parts,
        )

    def total(self, kind: str) -> int:
        found = self.numbers.get(kind)
        return found.total if found else 0


def _periods(
    connection: Connection, scope: str, wanted: Sequence[str], subject: str | bytes | None = None
) -> Iterator[_Period]:
    found = connection.execute(query("agents.periods"), (json.dumps(wanted), scope, subject))
    for (period, name), group in groupby(found, key=lambda row: (row[0], row[1])):
        one = _Period(period, name)
        for _, _, kind, label, *numbers in group:
            one.numbers[kind] = _Number(*numbers)
            one.labels.setdefault(kind, {})[label] = numbers[0]
        yield one


def days_until(database: Database, days: object, now: Moment) -> list[str]:
    """The last UTC days, today's being the last.

    Raises:
        InvalidQuery: it is no number of days.
    """
    count = asked.count("days", days, MOST_PERIODS)
    today = _now(database, now).date().toordinal()
    return [date.fromordinal(max(1, today - back)).isoformat() for back in range(count - 1, -1, -1)]


def hours_until(database: Database, window: Window, now: Moment) -> list[str]:
    """The UTC hours of a window, the present one being the last.

    Raises:
        InvalidQuery: it is no span of time, or too long.
    """
    seconds = windows.seconds(window)
    if seconds > MOST_PERIODS * 3600:
        raise InvalidQuery(f"{window!r:.60}", hint=f"It is at most {MOST_PERIODS:,} hours.")
    end = _now(database, now)
    start = clock.to_datetime(
        max(clock.MIN_US, clock.of_datetime(end) - round(seconds * clock.MICROSECONDS))
    ).replace(minute=0, second=0, microsecond=0)
    count = int((end - start) / timedelta(hours=1)) + 1
    return [(start + timedelta(hours=n)).isoformat()[:13] for n in range(count)]


def _now(database: Database, now: Moment) -> datetime:
    us = database.clock.now_us() if now is None else rows.moment_us("now", now)
    return clock.to_datetime(us)


def _days_of(
    database: Database, scope: str, agent_id: str | None, days: int, now: Moment
) -> list[_Period]:
    """The days of an agent, or of all of them."""
    wanted = days_until(database, days, now)
    agent = asked.text_or_none("agent_id", agent_id)
    with database.read() as connection:
        return list(_periods(connection, scope, wanted, agent))


def agent_days(database: Database, agent_id: str | None, days: int, now: Moment) -> list[AgentDay]:
    """Each agent on each day that has samples, oldest first."""
    return [
        AgentDay(
            p.period,
            p.subject,
            sum(p.labels.get("status", {}).values()),
            p.labels.get("status", {}),
            p.measured("cpu", MILLI),
            p.measured("memory", MILLI),
            p.measured("memory_percent", MILLI),
            p.measured("uncommitted", 1),
        )
        for p in _days_of(database, "agent", agent_id, days, now)
    ]


def system_periods(database: Database, wanted: Sequence[str], prefix: str) -> list[SystemPeriod]:
    """System health over hours or days that have records, oldest first.

    Args:
        prefix: of the kinds: ``hour_`` or nothing.
    """
    with database.read() as connection:
        found = []
        for p in _periods(connection, "system", wanted):
            statuses = p.labels.get(f"{prefix}status", {})
            found.append(
                SystemPeriod(
                    p.period,
                    sum(statuses.values()),
                    statuses,
                    p.measured(f"{prefix}cpu", MILLI),
                    p.measured(f"{prefix}memory", MILLI),
                    p.measured(f"{prefix}disk", MILLI),
                    p.measured(f"{prefix}latency", MILLI),
                    p.measured(f"{prefix}errors", 1),
                    p.measured(f"{prefix}websockets", 1),
                    p.measured(f"{prefix}watches", 1),
                )
            )
        return found


def rag_days(database: Database, days: int, now: Moment) -> list[RagDay]:
    """Retrieval on each day that has records, oldest first."""
    wanted = days_until(database, days, now)
    with database.read() as connection:
        return [
            RagDay(
                p.period,
                p.numbers["samples"].n,
                p.measured("patterns", 1),
                p.measured("queries", 1),
                p.measured("response", MILLI),
                p.measured("hit_rate", MICRO),
                p.measured("memory", MILLI),
                p.measured("volume", 1),
            )
            for p in _periods(connection, "rag", wanted)
        ]


def commit_days(
    database: Database, agent_id: str | None, days: int, now: Moment
) -> list[CommitDay]:
    """The commits of each agent on each day that has any, oldest first."""
    return [
        CommitDay(
            p.period,
            p.subject or None,
            p.numbers["day"].n,
            p.total("files"),
            p.total("added"),
            p.total("deleted"),
        )
        for p in _days_of(database, "commit", agent_id, days, now)
    ]


def velocity(database: Database, days: int, now: Moment) -> TaskVelocity:
    """How fast tasks are done."""
    wanted = days_until(database, days, now)
    events = {day: dict.fromkeys(EVENT_TYPES, 0) for day in wanted}
    assignees: dict[str, int] = {}
    with database.read() as connection:
        for p in _periods(connection, "task", wanted):
            if "type" in p.numbers and p.subject in events[p.period]:
                events[p.period][p.subject] += p.numbers["type"].n
            if done := p.labels.get("assignee", {}).get("completed"):
                assignees[p.subject] = assignees.get(p.subject, 0) + done
        leads = _lead_times(connection, wanted)
    totals = {name: sum(day[name] for day in events.values()) for name in EVENT_TYPES}
    return TaskVelocity(
        tuple(_day(day, counts) for day, counts in events.items()),
        totals["created"],
        totals["completed"],
        totals["blocked"],
        totals["completed"] / len(wanted),
        dict(sorted(assignees.items(), key=lambda item: (-item[1], item[0]))),
        len(leads),
        sum(leads) / len(leads) / clock.MICROSECONDS if leads else None,
        median(leads) / clock.MICROSECONDS if leads else None,
    )


def _day(day: str, n: Mapping[str, int]) -> TaskDay:
    return TaskDay(day, n["created"], n["updated"], n["completed"], n["blocked"], n["assigned"])


def _lead_times(connection: Connection, wanted: Sequence[str]) -> list[int]:
    """Microseconds from creation to completion, for completions of some days."""
    # Every moment of a day sorts between the day and the day with a U behind it: T comes before U.
    ends = (wanted[0], f"{wanted[-1]}U")
    return [
        clock.parse(done) - clock.parse(made)
        for done, made in connection.execute(query("agents.lead_times"), ends)
        if made is not None
    ]
