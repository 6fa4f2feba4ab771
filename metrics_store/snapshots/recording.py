"""Recording one snapshot, at most one per interval."""

from __future__ import annotations

import json
from datetime import timedelta

from metrics_store import clock, logs, retrying, rows, windows
from metrics_store.connection import Database
from metrics_store.families.snapshots import SNAPSHOTS
from metrics_store.rows import Moment
from metrics_store.snapshots import mapping, payload
from metrics_store.snapshots.payload import Document, Payload, Zones
from metrics_store.snapshots.results import Recorded
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

Content = tuple[Value, ...]


def record(
    database: Database,
    said: Payload | str | bytes,
    at: Moment,
    min_interval: str | float | timedelta | None,
    zone: str | None,
) -> Recorded:
    """Record a payload; see :meth:`metrics_store.snapshots.calls.Snapshots.record_snapshot`."""
    interval_us = (
        None if min_interval is None else round(windows.seconds(min_interval) * clock.MICROSECONDS)
    )
    document = payload.document(said)
    us = moment_us(document, at, Zones(zone), database.clock.now_us())
    row = content(document, clock.new_id(us), clock.text(us), "live")

    def work(connection: Connection) -> Recorded:
        known = connection.execute(query("snapshots.of_ids"), (json.dumps([row[0]]),)).fetchone()
        if interval_us is not None and known is None:
            skipped = _skipped(connection, row, us, interval_us)
            if skipped is not None:
                return skipped
        logs.append(connection, SNAPSHOTS, [row])
        return Recorded(True, str(row[0]), str(row[1]))

    return retrying.write(database, work)


def moment_us(document: Document, at: Moment, zones: Zones, now_us: int) -> int:
    """The moment of a snapshot: the given one, else what the payload says, else now.

    Raises:
        InvalidValue: it is no moment.
    """
    if at is not None:
        return rows.moment_us("at", at)
    said = payload.moment_of(document.fields)
    return now_us if said is None else zones.moment_us(said)


def content(document: Document, name: str, recorded_at: str, origin: str) -> Content:
    """The content of a row, as the log stores it.

    Raises:
        InvalidValue: the payload does not come to one.
    """
    values = {
        **mapping.columns(document.fields),
        "id": name,
        "recorded_at": recorded_at,
        "origin": origin,
        "payload_json": document.text,
    }
    return tuple(values[column] for column in SNAPSHOTS.columns)


def _skipped(connection: Connection, row: Content, us: int, interval_us: int) -> Recorded | None:
    near = [
        (abs(clock.parse(at) - us), name, at)
        for name, at in connection.execute(query("snapshots.neighbours"), (row[1],))
    ]
    if not near or min(near)[0] >= interval_us:
        return None
    away, name, at = min(near)
    return Recorded(False, None, str(row[1]), name, at, away / clock.MICROSECONDS)
