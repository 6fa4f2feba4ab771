"""Writing what happens to alerts, within the transaction that is open."""

from __future__ import annotations

from metrics_store import clock, logs, rows
from metrics_store.alerts.listing import alert_of
from metrics_store.alerts.results import Alert
from metrics_store.errors import WriteError
from metrics_store.families.alerts import ALERTS
from metrics_store.rows import JsonObject
from metrics_store.sql import query
from metrics_store.sqlite import Connection


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
    return _append(
        connection,
        clock.new_id(now_us),
        alert_id,
        clock.text(now_us),
        "opened",
        severity,
        type,
        rule,
        subject,
        title,
        message,
        source,
        actor,
        None,
        metadata,
    )


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
    lasted = None
    if event == "resolved":
        lasted = at_us - clock.parse(alert.created_at)
    return _append(
        connection,
        clock.new_id(at_us),
        alert.alert_id,
        clock.text(at_us),
        event,
        severity or alert.severity,
        alert.type,
        alert.rule,
        alert.subject,
        alert.title,
        alert.message if message is None else message,
        alert.source,
        actor,
        lasted,
        metadata,
    )


def _append(
    connection: Connection,
    event_id: str,
    alert_id: str,
    at: str,
    event: str,
    severity: str,
    type: str,
    rule: str | None,
    subject: str | None,
    title: str,
    message: str,
    source: str,
    actor: str | None,
    lasted_us: int | None,
    metadata: JsonObject | None,
) -> Alert:
    content = (
        event_id,
        alert_id,
        at,
        event,
        severity,
        type,
        rule,
        subject,
        title,
        message,
        source,
        actor,
        lasted_us,
        rows.object_text("metadata", metadata),
    )
    if not logs.append(connection, ALERTS, [content]):
        raise WriteError(f"alert {alert_id} has been {event} already")
    return alert_of(connection.execute(query("alerts.one"), (alert_id,)).fetchone())
