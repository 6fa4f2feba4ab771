"""What the tables of a store tell; each part by itself, so that damage in one hides no other."""

from __future__ import annotations

import json
from dataclasses import dataclass

from metrics_store import clock, liveness
from metrics_store.health.metrics import SlowCalls
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_HOUR = 3600 * clock.MICROSECONDS
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Pages:
    """The database file from inside, in bytes."""

    used: int
    free: int


@dataclass(frozen=True, slots=True)
class Runs:
    """Counts of runs by when they began.

    Args:
        total: ever counted, with those that retention deleted.
        total_completed: of these.
        hour, day, week: within the last hour, 24 hours, 7 days.
        rate: percent of the last day's runs that completed, in whole hours; None if none ran.
    """

    total: int
    total_completed: int
    hour: int
    day: int
    week: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Log:
    """The log of runs: when its first and last began, and how many rows it has at most."""

    first_us: int | None
    last_us: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """Runs in flight, and those of them whose process on this machine has ended."""

    all: int
    without_process: int


@dataclass(frozen=True, slots=True)
class Slow:
    """The slow calls of the last day by name, and when the latest of all ended."""

    by_name: tuple[SlowCalls, ...]
    newest_us: int | None


def pages(connection: Connection) -> Pages:
    """How much of the file is in use."""
    size, count, free = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return Pages((count - free) * size, free * size)


def runs(connection: Connection, now_us: int) -> Runs:
    """Count runs: whole hours from the rollups, the rest from the index of the log.

    Args:
        now_us: microseconds since 1970; what began later is not counted.
    """
    now_us = max(now_us, clock.MIN_US + 40 * _DAY)  # a clock that was never set
    total, completed = connection.execute(query("health.totals")).fetchone()
    first, current = _floor(now_us - 7 * _DAY), _floor(now_us)
    days = json.dumps(
        list(dict.fromkeys(_text(us)[:10] for us in range(first, now_us + _DAY, _DAY)))
    )
    hours: dict[str, tuple[int, int]] = {
        f"{day}T{hour}": (n, done)
        for day, hour, n, done in connection.execute(query("health.hours"), (days,))
    }

    def within(span_us: int) -> int:
        since = now_us - span_us
        whole = -(-since // _HOUR) * _HOUR
        if whole > current:
            return _began(connection, since, now_us + 1)
        inner = sum(hours.get(_hour(us), (0, 0))[0] for us in range(whole, current, _HOUR))
        edges = ((since, whole), (current, now_us + 1))
        return inner + sum(_began(connection, *edge) for edge in edges)

    last_day: list[tuple[int, int]] = [
        hours.get(_hour(us), (0, 0)) for us in range(_floor(now_us - _DAY), now_us + 1, _HOUR)
    ]
    n, done = sum(n for n, _ in last_day), sum(done for _, done in last_day)
    rate = 100 * done / n if n else None
    return Runs(total, completed, within(_HOUR), within(_DAY), within(7 * _DAY), rate)


def _floor(us: int) -> int:
    return us // _HOUR * _HOUR


def _text(us: int) -> str:
    # A clock that is off may stand near the ends of the calendar.
    return clock.text(min(max(us, clock.MIN_US), clock.MAX_US))


def _hour(us: int) -> str:
    return _text(us)[:13]


def _began(connection: Connection, since_us: int, until_us: int) -> int:
    if since_us >= until_us:
        return 0
    moments = (_text(since_us), _text(until_us))
    return int(connection.execute(query("health.began_between"), moments).fetchone()[0])


def log(connection: Connection) -> Log:
    """Where the log begins and ends."""
    first, last, low, high = connection.execute(query("health.span")).fetchone()
    return Log(_us(first), _us(last), 0 if high is None else high - low + 1)


def in_flight(connection: Connection) -> InFlight:
    """What has not ended."""
    count = gone = 0
    for process, n in connection.execute(query("health.in_flight")):
        count += n
        if process is not None and liveness.is_gone(process):
            gone += n
    return InFlight(count, gone)


def slow_calls(connection: Connection, now_us: int) -> Slow:
    """The calls of the last day that took long. (The store keeps the newest thousand of all.)"""
    span = (_text(now_us - _DAY), _text(now_us))
    by_name = tuple(
        SlowCalls(name, calls, slowest / 1000)
        for name, calls, slowest in connection.execute(query("health.slow_calls"), span)
    )
    [(newest,)] = connection.execute(query("health.newest_slow_call"))
    return Slow(by_name, _us(newest))


def _us(moment: str | None) -> int | None:
    return None if moment is None else clock.parse(moment)
