"""Writing what happens to alerts, within the transaction that is open."""

from __future__ import annotations

from typing import NamedTuple

from metrics_store import clock, logs, rows
from metrics_store.alerts.listing import alert_of
from metrics_store.alerts.results import Alert
from metrics_store.errors import WriteError
from metrics_store.families.alerts import ALERTS
from metrics_store.rows import JsonObject
from metrics_store.sql import query
from metrics_store.sqlite import Connection


class Event(NamedTuple):
    """A row of the log of alerts.

    Args:
        at: UTC text.
        lasted_us: of a resolved one, microseconds since it was opened.
        metadata: JSON of an object.
    """

    id: str
    alert_id: str
    at: str
    event: str
    severity: str
    type: str
    rule: str | None
    subject: str | None
    title: str
    message: str
    source: str
    actor: str | None
    lasted_us: int | None
    metadata: str | None


def open_alert(
    connection: Connection,
    now_us: int,
    *,
    type: str,
    severity: str,
    title: str,
    message: str,
    source: str,
    rule: str | None = None,
    subject: str | None = None,
    actor: str | None = None,
    metadata: JsonObject | None = None,
) -> Alert:
    """Open an alert.

    Args:
        now_us: microseconds since 1970.
    """
    alert_id = clock.new_id(now_us)
    event = Event(
        id=clock.new_id(now_us),
        alert_id=alert_id,
        at=clock.text(now_us),
        event="opened",
        severity=severity,
        type=type,
        rule=rule,
        subject=subject,
        title=title,
        message=message,
        source=source,
        actor=actor,
        lasted_us=None,
        metadata=rows.object_text("metadata", metadata),
    )
    return _append(connection, event)


def follow(
    connection: Connection,
    now_us: int,
    alert: Alert,
    event: str,
    *,
    severity: str | None = None,
    message: str | None = None,
    actor: str | None = None,
    metadata: JsonObject | None = None,
) -> Alert:
    """Let something happen to an alert that is there.

    Args:
        now_us: microseconds since 1970; later than whatever happened to the alert before, or made
            so.
    """
    at_us = max(now_us, clock.parse(alert.updated_at) + 1)
    lasted_us = None
    if event == "resolved":
        lasted_us = at_us - clock.parse(alert.created_at)
    following = Event(
        id=clock.new_id(at_us),
        alert_id=alert.alert_id,
        at=clock.text(at_us),
        event=event,
        severity=severity or alert.severity,
        type=alert.type,
        rule=alert.rule,
        subject=alert.subject,
        title=alert.title,
        message=alert.message if message is None else message,
        source=alert.source,
        actor=actor,
        lasted_us=lasted_us,
        metadata=rows.object_text("metadata", metadata),
    )
    return _append(connection, following)


def _append(connection: Connection, event: Event) -> Alert:
    if not logs.append(connection, ALERTS, [event]):
        raise WriteError(f"alert {event.alert_id} has been {event.event} already")
    return alert_of(connection.execute(query("alerts.one"), (event.alert_id,)).fetchone())
