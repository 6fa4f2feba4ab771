"""Reading what services said: now, and over a window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from metrics_store import asked, clock, rows, windows
from metrics_store.connection import Database
from metrics_store.rows import Moment
from metrics_store.services.recording import AHEAD_US, Content, heartbeat
from metrics_store.services.results import Heartbeat, ServiceStatus, State
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: A row of ``current`` and ``newest_until``: name, status, task, moment, recorded,
#: down, grace, latency.
_Row = tuple[str, str, str | None, int, int | None, int, int, int | None]
Window = str | float | timedelta


def status_of(database: Database, service: str) -> ServiceStatus | None:
    """What one service said last; None if it never said anything."""
    wanted = (asked.text("service", service),)
    with database.read() as connection:
        row = connection.execute(query("services.current"), wanted).fetchone()
        return None if row is None else _status(connection, row, database.clock.now_us())


def status_of_all(database: Database) -> list[ServiceStatus]:
    """What every service said last, by name."""
    now_us = database.clock.now_us()
    with database.read() as connection:
        found = connection.execute(query("services.current_of_all")).fetchall()
        return [_status(connection, row, now_us) for row in found]


def _status(connection: Connection, row: _Row, now_us: int) -> ServiceStatus:
    ahead_us = row[3] - now_us
    if ahead_us > AHEAD_US:
        # Some clock was wrong. Until that moment comes the newest one that has come counts.
        values = (row[0], now_us + AHEAD_US)
        row = connection.execute(query("services.newest_until"), values).fetchone() or row
    else:
        ahead_us = 0
    name, status, task, us, created_us, down, grace_us, latency_us = row
    age_us = now_us - us
    state: State = "down" if down else "up"
    if not -AHEAD_US <= age_us <= grace_us:
        state = "silent"
    said_at = clock.text(us)
    return ServiceStatus(
        name,
        status,
        task,
        said_at,
        said_at if created_us is None else clock.text(created_us),
        state,
        max(0, age_us) / 1e6,
        grace_us / 1e6,
        None if latency_us is None else latency_us / 1e6,
        ahead_us / 1e6 if ahead_us else None,
    )


def edges(database: Database, window: Window, until: Moment) -> tuple[int, int]:
    """The beginning and the end of a window, microseconds since 1970; it ends now at the latest.

    Raises:
        InvalidQuery, InvalidValue: the window or its end makes no sense.
    """
    length_us = round(windows.seconds(window) * clock.MICROSECONDS)
    now_us = database.clock.now_us()
    end_us = now_us if until is None else min(now_us, rows.moment_us("until", until))
    return max(clock.MIN_US, end_us - length_us), end_us


def history(
    database: Database, service: str, window: Window, until: Moment, limit: int | None
) -> list[Heartbeat]:
    """The heartbeats of a service in a window, newest first."""
    wanted, most = asked.text("service", service), asked.count_or_all("limit", limit)
    values = (wanted, *edges(database, window, until), most)
    with database.read() as connection:
        found: Sequence[Content] = connection.execute(query("services.history"), values).fetchall()
        return [heartbeat(row) for row in found]
