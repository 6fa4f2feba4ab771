"""Timelines: buckets of hours, days, weeks or months in UTC or in a named zone, gaps filled."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from metrics_store import asked, clock, percentiles, windows
from metrics_store.errors import InvalidQuery
from metrics_store.results import TimelinePoint
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: A name such as America/Argentina/Buenos_Aires or Etc/GMT+1.
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")
Bucket = Literal["hour", "day", "week", "month"]
_HOUR_US = 3600 * clock.MICROSECONDS
#: Longest timeline, in buckets; past that a coarser bucket is meant.
MAX_BUCKETS = 10_000


@dataclass(slots=True)
class _Sum:
    n: int = 0
    completed: int = 0
    failed: int = 0
    measured: int = 0
    total: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, row: Sequence[int | None]) -> None:
        n, completed, failed, measured, total, least, most = row
        self.n += n or 0
        self.completed += completed or 0
        self.failed += failed or 0
        self.measured += measured or 0
        self.total += total or 0
        if least is not None:
            self.least = least if self.least is None else min(self.least, least)
        if most is not None:
            self.most = most if self.most is None else max(self.most, most)


def zone_named(name: object) -> tzinfo:
    """The zone of a name such as ``Europe/Berlin``; UTC for None.

    Raises:
        InvalidQuery: there is no such zone.
    """
    if name is None or (isinstance(name, str) and name.upper() == "UTC"):
        return UTC
    # Of a name that is no file of the system's, ZoneInfo makes the name of a module to import.
    if isinstance(name, str) and _ZONE.fullmatch(name):
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo(name)
    raise InvalidQuery(
        f"no time zone {name!r:.80}", hint="Use a name such as Europe/Berlin or UTC."
    )


def of_skill(
    connection: Connection,
    skill_name: str,
    now_us: int,
    window: str | float | timedelta,
    bucket: Bucket | None,
    zone: str | None,
) -> list[TimelinePoint]:
    """The timeline of one skill, oldest bucket first; see ``Reports.get_skill_timeline``."""
    wanted = asked.text("skill_name", skill_name)
    length = windows.seconds(window)
    unit = _unit(bucket, length)
    place = zone_named(zone)
    edges = _edges(now_us, length, unit, place)
    sums = [_Sum() for _ in edges[:-1]]
    days = list(_days(edges[0], edges[-1]))
    for period, hour, *numbers in connection.execute(
        query("reports.hours_of"), (json.dumps(days), wanted)
    ).fetchall():
        start = clock.parse(f"{period}T{hour}:00:00Z")
        first = bisect_right(edges, start) - 1
        last = bisect_right(edges, start + _HOUR_US - 1) - 1
        if first == last and 0 <= first < len(sums):
            sums[first].add(numbers)
        elif first != last:
            # An edge cuts this hour (a zone such as Asia/Kathmandu): the log tells its parts apart.
            _add_parts(connection, wanted, start, edges, sums, range(first, last + 1))
    quantiles = (
        {}
        if unit == "hour" or place is not UTC
        else _quantiles(connection, wanted, days, edges, sums)
    )
    return [
        _point(_written(edges[i], place, zone), sums[i], quantiles.get(i, (None, None)))
        for i in range(len(sums))
    ]


def daily_counts(connection: Connection, now_us: int, days: object) -> dict[str, list[int]]:
    """Invocations of every skill per UTC day, the last one being now's."""
    count = asked.count("days", days, MAX_BUCKETS)
    today = clock.to_datetime(now_us).date().toordinal()
    wanted = [
        date.fromordinal(max(1, today - back)).isoformat() for back in range(count - 1, -1, -1)
    ]
    place = {day: index for index, day in enumerate(wanted)}
    counts: dict[str, list[int]] = {}
    for skill, day, n in connection.execute(query("reports.days_of_all"), (json.dumps(wanted),)):
        counts.setdefault(skill, [0] * count)[place[day]] = n
    return counts


def _unit(bucket: Bucket | None, length: float) -> Bucket:
    if bucket is None:
        return "hour" if length <= 2 * 86_400 else "day"
    asked.word("bucket", bucket, get_args(Bucket))
    return bucket


def _edges(now_us: int, length: float, unit: Bucket, place: tzinfo) -> list[int]:
    """Bucket edges in microseconds, from the one the window begins in to past now."""
    start_us = max(clock.MIN_US + 40 * 24 * _HOUR_US, now_us - round(length * clock.MICROSECONDS))
    moment = _floor(clock.to_datetime(start_us).astimezone(place), unit)
    edges = [clock.of_datetime(moment)]
    while edges[-1] <= now_us:
        if len(edges) > MAX_BUCKETS:
            raise InvalidQuery(f"more than {MAX_BUCKETS:,} buckets", hint="Use a coarser bucket.")
        moment = _next(moment, unit)
        edge = clock.of_datetime(moment)
        if edge > edges[-1]:
            edges.append(edge)
    return edges


def _floor(moment: datetime, unit: Bucket) -> datetime:
    floored = moment.replace(minute=0, second=0, microsecond=0)
    if unit == "hour":
        return floored
    floored = floored.replace(hour=0, fold=0)
    if unit == "week":
        return floored - timedelta(days=floored.weekday())
    return floored.replace(day=1) if unit == "month" else floored


def _next(moment: datetime, unit: Bucket) -> datetime:
    if unit == "hour":
        # In UTC, for a local hour may come twice or not at all.
        return (moment.astimezone(UTC) + timedelta(hours=1)).astimezone(moment.tzinfo)
    if unit == "month":
        return (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
    return moment + timedelta(days=1 if unit == "day" else 7)


def _days(start_us: int, end_us: int) -> Iterator[str]:
    day = clock.to_datetime(start_us).date()
    last = clock.to_datetime(end_us - 1).date()
    while day <= last:
        yield day.isoformat()
        day += timedelta(days=1)


def _add_parts(
    connection: Connection,
    skill_name: str | bytes,
    hour_us: int,
    edges: Sequence[int],
    sums: Sequence[_Sum],
    touched: range,
) -> None:
    for index in touched:
        if 0 <= index < len(sums):
            start = clock.text(max(hour_us, edges[index]))
            end = clock.text(min(hour_us + _HOUR_US, edges[index + 1]))
            row = connection.execute(query("reports.span_of"), (skill_name, start, end)).fetchone()
            sums[index].add(row)


def _quantiles(
    connection: Connection,
    skill_name: str | bytes,
    days: Sequence[str],
    edges: Sequence[int],
    sums: Sequence[_Sum],
) -> dict[int, tuple[float | None, float | None]]:
    counts: dict[int, dict[int, int]] = {}
    for period, bucket, n in connection.execute(
        query("reports.day_values_of"), (json.dumps(list(days)), skill_name)
    ):
        index = bisect_right(edges, clock.parse(f"{period}T00:00:00Z")) - 1
        if 0 <= index < len(sums):
            within = counts.setdefault(index, {})
            within[bucket] = within.get(bucket, 0) + n
    return {
        index: (
            percentiles.estimate_us(ordered, 0.5, sums[index].least, sums[index].most),
            percentiles.estimate_us(ordered, 0.95, sums[index].least, sums[index].most),
        )
        for index, within in counts.items()
        if (ordered := sorted(within.items()))
    }


def _written(edge_us: int, place: tzinfo, zone: str | None) -> str:
    if zone is None:
        return clock.text(edge_us)[:19] + "Z"
    return clock.to_datetime(edge_us).astimezone(place).isoformat()


def _point(
    time_bucket: str, s: _Sum, quantiles: tuple[float | None, float | None]
) -> TimelinePoint:
    p50, p95 = quantiles
    return TimelinePoint(
        time_bucket,
        s.n,
        s.completed,
        s.failed,
        s.n - s.completed - s.failed,
        s.total / 1e6,
        s.total / s.measured / 1e6 if s.measured else None,
        None if s.least is None else s.least / 1e6,
        None if s.most is None else s.most / 1e6,
        None if p50 is None else p50 / 1e6,
        None if p95 is None else p95 / 1e6,
    )
