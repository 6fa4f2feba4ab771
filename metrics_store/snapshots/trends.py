"""The course of one number: days from the rollups, hours from the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from metrics_store import asked, clock, windows
from metrics_store.errors import InvalidQuery
from metrics_store.families.snapshots import (
    COUNTS,
    MEASURES,
    PROJECT_COUNTS,
    PROJECT_KIND,
    PROJECT_MEASURES,
    PROJECT_NAME,
    REALS,
    SCALE,
)
from metrics_store.snapshots.results import Trend, TrendPoint
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

Per = Literal["day", "hour"]
#: The fields that have a course, and those of a project.
TREND_FIELDS = (*COUNTS, *REALS)
#: Characters of a bucket's name, its length, and how far back one looks by default.
_WIDTH = {"day": 10, "hour": 13}
_LENGTH_US = {"day": 86_400 * clock.MICROSECONDS, "hour": 3600 * clock.MICROSECONDS}
_WINDOW = {"day": "30 days", "hour": "48 hours"}
_MOST = 10_000


def trend(
    connection: Connection,
    field: str,
    per: Per,
    window: str | float | timedelta | None,
    project: str | None,
    now_us: int,
) -> Trend:
    """The course of a number; see :meth:`Snapshots.snapshot_trend`."""
    wanted = asked.text_or_none("project", project)
    known = TREND_FIELDS if project is None else PROJECT_COUNTS
    asked.word("field", field, known)
    asked.word("per", per, tuple(_WIDTH))
    buckets = _buckets(per, window, now_us)
    rows = _rows(connection, field, per, wanted, buckets)
    last = _last(connection, field, wanted, buckets)
    scale = SCALE if field in REALS and project is None else 1
    points = (_point(name, rows.get(name), last.get(name), scale) for name in buckets)
    return Trend(field, per, project, tuple(points))


def _buckets(per: Per, window: str | float | timedelta | None, now_us: int) -> list[str]:
    length = windows.seconds(_WINDOW[per] if window is None else window)
    start = max(clock.MIN_US, now_us - round(length * clock.MICROSECONDS))
    step = _LENGTH_US[per]
    if (now_us - start) // step > _MOST:
        raise InvalidQuery(f"more than {_MOST:,} {per}s", hint="Use a shorter window, or days.")
    first = start - (start - clock.MIN_US) % step
    return [clock.text(us)[: _WIDTH[per]] for us in range(first, now_us + 1, step)]


def _rows(
    connection: Connection,
    field: str,
    per: Per,
    project: str | bytes | None,
    buckets: Sequence[str],
) -> dict[str, tuple[int, int, int, int]]:
    """Count, sum, least and most of each bucket, in the units of the rollups."""
    parameters: tuple[Value, ...]
    if per == "day":
        sql = query("snapshots.days")
        kind = field if project is None else PROJECT_KIND.format(field)
        parameters = (json.dumps(buckets), project or "", kind)
    elif project is None:
        sql = query("snapshots.hours").format(measure=MEASURES[field])
        parameters = (buckets[0], f"{buckets[-1]}~")
    else:
        sql = query("snapshots.project_hours").format(
            measure=PROJECT_MEASURES[field], name=PROJECT_NAME
        )
        parameters = (buckets[0], f"{buckets[-1]}~", project)
    return {row[0]: row[1:] for row in connection.execute(sql, parameters)}


def _last(
    connection: Connection, field: str, project: str | bytes | None, buckets: Sequence[str]
) -> dict[str, int | float]:
    if project is None:
        sql = query("snapshots.last_of_each").format(value=f"row.{field}")
        found = connection.execute(sql, (json.dumps(buckets),))
    else:
        sql = query("snapshots.last_of_each_project").format(
            measure=PROJECT_MEASURES[field], name=PROJECT_NAME
        )
        found = connection.execute(sql, (project, json.dumps(buckets)))
    return {name: value for name, value in found if value is not None}


def _point(
    name: str, row: tuple[int, int, int, int] | None, last: int | float | None, scale: int
) -> TrendPoint:
    if row is None:
        return TrendPoint(name, 0, None, None, None, None)
    n, total, least, most = row
    if scale == 1:
        return TrendPoint(name, n, least, total / n, most, last)
    return TrendPoint(name, n, least / scale, total / n / scale, most / scale, last)
