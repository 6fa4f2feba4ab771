"""What people do with alerts: raise, acknowledge and resolve them."""

from __future__ import annotations

from metrics_store import rows
from metrics_store.alerts import events, listing
from metrics_store.alerts.results import Alert
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.families.alerts import SEVERITIES, TYPES
from metrics_store.rows import JsonObject
from metrics_store.sql import query
from metrics_store.sqlite import Connection


def raise_alert(
    database: Database,
    type: str,
    severity: str,
    title: str,
    message: str,
    source: str,
    by: str | None,
    metadata: JsonObject | None,
) -> Alert:
    """Open an alert that no rule knows of.

    Raises:
        InvalidValue: a value cannot be recorded.
    """
    for name, word, known in (("type", type, TYPES), ("severity", severity, SEVERITIES)):
        if word not in known:
            raise InvalidValue(f"{name} {word!r:.60}", hint=f"It is {', '.join(known)}.")
    checked = (rows.label("title", title), rows.optional("message", message) or "")
    where, who = rows.label("source", source), person(by)
    rows.object_text("metadata", metadata)

    def work(connection: Connection) -> Alert:
        return events.open_alert(
            connection,
            database.clock.now_us(),
            type=type,
            severity=severity,
            title=checked[0],
            message=checked[1],
            source=where,
            actor=who,
            metadata=metadata,
        )

    return database.write(work)


def acknowledge(database: Database, alert_id: str, by: str | None) -> Alert:
    """Say that somebody knows of an alert.

    Raises:
        AlertNotFound: there is none.
        InvalidValue: it is resolved, or nobody is called so.
    """
    who = person(by)

    def work(connection: Connection) -> Alert:
        alert = listing.one(connection, alert_id)
        if alert.resolved:
            raise InvalidValue(f"alert {alert.alert_id} is resolved")
        if alert.acknowledged:
            return alert
        now_us = database.clock.now_us()
        return events.follow(connection, now_us, alert, "acknowledged", actor=who)

    return database.write(work)


def resolve(database: Database, alert_id: str, by: str | None) -> Alert:
    """Resolve an alert by hand; if what its rule finds is still so, it is so from now on.

    Raises:
        AlertNotFound: there is none.
        InvalidValue: it is resolved already.
    """
    who = person(by)

    def work(connection: Connection) -> Alert:
        alert = listing.one(connection, alert_id)
        if alert.resolved:
            raise InvalidValue(f"alert {alert.alert_id} is resolved already")
        if alert.rule is not None:
            connection.execute(query("alerts.forget_signals"), (alert.rule, alert.subject))
            # Whoever evaluates now has read what was before this, and is to read it again.
            connection.execute(query("alerts.decided"))
        return events.follow(connection, database.clock.now_us(), alert, "resolved", actor=who)

    return database.write(work)


def person(by: str | None) -> str | None:
    """Check a name.

    Raises:
        InvalidValue: it is none.
    """
    return rows.optional("by", by) or None
