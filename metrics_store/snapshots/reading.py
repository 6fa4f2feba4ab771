"""Reading snapshots: a span of them, one by its id or number, or the nearest to a moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache

from metrics_store import asked, clock, rows, windows
from metrics_store.connection import Database
from metrics_store.families.snapshots import PROJECT_COUNTS, SNAPSHOTS
from metrics_store.snapshots.results import Found, Project, Quarantined, Snapshot
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

Which = str | int | datetime
#: The newest snapshot.
LATEST = "latest"
_COLUMNS = ("seq", *SNAPSHOTS.columns)
_PROJECTS = _COLUMNS.index("projects")
_LAST_SEQ = (1 << 63) - 1
#: Snapshots that are read at once.
_PAGE = 500


@cache
def _query(name: str) -> str:
    return query(f"snapshots.{name}").format(columns=", ".join(_COLUMNS))


def snapshot(row: Sequence[Value]) -> Snapshot:
    """A row of the log."""
    values: dict[str, object] = dict(zip(_COLUMNS, row, strict=True))
    values["projects"] = _projects(row[_PROJECTS])
    return Snapshot(**values)  # type: ignore[arg-type]


def _projects(text: Value) -> tuple[Project, ...] | None:
    if text is None:
        return None
    return tuple(
        Project(item["name"], *(item[name] for name in PROJECT_COUNTS))
        for item in json.loads(str(text))
    )


def end_us(database: Database, now: rows.Moment) -> int:
    """The end of a window: the present, unless another is given."""
    return database.clock.now_us() if now is None else rows.moment_us("now", now)


def each(
    database: Database,
    window: str | float | timedelta | None,
    limit: int | None,
    now: rows.Moment,
) -> Iterator[Snapshot]:
    """The newest snapshots of a window that ends now, oldest first, read page by page."""
    since, until = clock.text(clock.MIN_US), clock.text(clock.MAX_US)
    if window is not None or now is not None:
        end = end_us(database, now)
        until = clock.text(end)
        if window is not None:
            length = round(windows.seconds(window) * clock.MICROSECONDS)
            since = clock.text(max(clock.MIN_US, end - length))
    start: tuple[str, int] | None = (since, 0)
    if limit is not None:
        bounds = (since, until, asked.count("limit", limit) - 1)
        with database.read() as connection:
            found = connection.execute(query("snapshots.start_of_newest"), bounds).fetchone()
        start = start if found is None else (found[0], found[1])
    while start is not None:
        with database.read() as connection:
            page = connection.execute(_query("page"), (*start, until, _PAGE)).fetchall()
            read = [snapshot(row) for row in page]
        yield from read
        start = (read[-1].recorded_at, read[-1].seq + 1) if len(read) == _PAGE else None


def one(connection: Connection, which: Which) -> Found | None:
    """One snapshot; see :meth:`metrics_store.snapshots.calls.Snapshots.snapshot`."""
    if which == LATEST:
        row = connection.execute(_query("until"), (clock.text(clock.MAX_US),)).fetchone()
        return None if row is None else Found(snapshot(row))
    named = _named(connection, which)
    if named is not None:
        return Found(named)
    moment = _moment_us(which)
    return None if moment is None else _nearest(connection, moment)


def _named(connection: Connection, which: Which) -> Snapshot | None:
    row = None
    if isinstance(which, str):
        text = which if which.isascii() else which.encode("utf-8", "backslashreplace").decode()
        row = connection.execute(_query("by_id"), (text,)).fetchone()
        which = int(which) if which.isascii() and which.isdigit() and len(which) < 20 else which
    if row is None and isinstance(which, int) and 0 < which <= _LAST_SEQ:
        row = connection.execute(_query("by_seq"), (which,)).fetchone()
    return None if row is None else snapshot(row)


def _moment_us(which: Which) -> int | None:
    """The moment that is meant; None if no moment is."""
    if isinstance(which, datetime):
        return rows.moment_us("the moment", which)
    if not isinstance(which, str):
        return None
    try:
        us = clock.parse(which)
    except (ValueError, OverflowError):
        return None
    return us if clock.MIN_US <= us <= clock.MAX_US else None


def _nearest(connection: Connection, us: int) -> Found | None:
    at = clock.text(us)
    found = [
        snapshot(row)
        for name in ("until", "since")
        if (row := connection.execute(_query(name), (at,)).fetchone()) is not None
    ]
    if not found:
        return None
    nearest = min(found, key=lambda s: abs(clock.parse(s.recorded_at) - us))
    away = (clock.parse(nearest.recorded_at) - us) / clock.MICROSECONDS
    return Found(nearest, at, away)


def quarantined(connection: Connection, limit: int) -> tuple[Quarantined, ...]:
    """Lines in quarantine, in the order they came."""
    return tuple(
        Quarantined(
            name, file, line, reason, bytes(raw).decode("utf-8", "backslashreplace"), length, at
        )
        for name, file, line, reason, raw, length, at in connection.execute(
            query("snapshots.quarantined"), (asked.count("limit", limit),)
        )
    )
