"""Alerts: one row per thing that happened to one; the row of the alert itself follows from them."""

from __future__ import annotations

from metrics_store.families.declaration import Derived, Dimension, Family, Keep

#: From the mildest to the gravest; the place of one is its rank, 0 is none.
SEVERITIES = ("info", "warning", "error", "critical")
TYPES = ("agent", "task", "system", "performance")
EVENTS = ("opened", "escalated", "deescalated", "acknowledged", "resolved")

_CURRENT = (
    "alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by, "
    "acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject, "
    "peak_severity, updated_at"
)

ALERTS = Family(
    name="alert",
    table="alert_event",
    moment="row.at",
    completed="(row.event = 'resolved')",
    failed="(row.event = 'opened')",
    measure="row.lasted_us",
    dimensions=(
        Dimension("total", subject="row.source", label="row.event"),
        Dimension(
            "day",
            subject="row.source",
            period="substr(row.at, 1, 10)",
            label="row.event",
            span=False,
        ),
    ),
    columns=(
        "id",
        "alert_id",
        "at",
        "event",
        "severity",
        "type",
        "rule",
        "subject",
        "title",
        "message",
        "source",
        "actor",
        "lasted_us",
        "metadata",
    ),
    derived=(
        Derived(
            table="alerts",
            kept=f"SELECT {_CURRENT} FROM alerts",
            due=f"SELECT {_CURRENT} FROM alert_state",
            rebuild=(
                "DELETE FROM alerts",
                f"INSERT INTO alerts ({_CURRENT}) SELECT {_CURRENT} FROM alert_state",
            ),
        ),
    ),
    # All rows of an alert go together, as long after the last thing that happened to it; none of
    # one that lasts, or that ever was critical. The first to go is the one that opened it, and
    # takes the alert's own row along: what a killed run left of it may go the next time.
    keep=Keep(
        days=90,
        always=(
            "EXISTS (SELECT 1 FROM alerts AS held WHERE held.alert_id = row.alert_id AND "
            "(held.resolved = 0 OR held.peak_severity = 'critical' "
            "OR held.updated_at >= {before}))"
        ),
    ),
)
