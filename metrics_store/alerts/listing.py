"""Reading alerts and what happened to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from metrics_store import asked, clock
from metrics_store.alerts.results import Alert, AlertEvent, AlertHistory
from metrics_store.errors import AlertNotFound
from metrics_store.families.alerts import SEVERITIES, TYPES
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

State = Literal["open", "unacknowledged", "resolved", "all"]
STATES: tuple[State, ...] = ("open", "unacknowledged", "resolved", "all")
#: So many characters of an id, its first or last ones, are enough if no other alert has them.
_SHORTEST = 4
_DAY_US = 86_400 * clock.MICROSECONDS


def alert_of(row: Sequence[Value]) -> Alert:
    """An alert from its row."""
    values: list[object] = list(row)
    values[6] = json.loads(str(values[6])) if values[6] is not None else {}
    values[7], values[10] = bool(values[7]), bool(values[10])
    return Alert(*values)  # type: ignore[arg-type]


def listed(
    connection: Connection,
    state: str,
    *,
    severity: str | None,
    type: str | None,
    limit: int,
) -> tuple[Alert, ...]:
    """Alerts of a state, the latest first.

    Args:
        severity: the least.

    Raises:
        InvalidQuery: a word makes no sense.
    """
    asked.word("state", state, STATES)
    rank = 0
    if severity is not None:
        rank = SEVERITIES.index(asked.word("severity", severity, SEVERITIES))
    if type is not None:
        asked.word("type", type, TYPES)
    values = (
        {"open": 0, "unacknowledged": 0, "resolved": 1, "all": None}[state],
        0 if state == "unacknowledged" else None,
        json.dumps(SEVERITIES[rank:]),
        type,
        asked.count("limit", limit),
    )
    return tuple(map(alert_of, connection.execute(query("alerts.listed"), values)))


def lasting(connection: Connection) -> tuple[Alert, ...]:
    """Every alert that lasts, the gravest first."""
    found = map(alert_of, connection.execute(query("alerts.lasting")))
    return tuple(sorted(found, key=lambda a: (-SEVERITIES.index(a.severity), a.created_at)))


def one(connection: Connection, alert_id: str) -> Alert:
    """The alert of an id, or of its first or last characters.

    Raises:
        AlertNotFound: there is none, or more than one.
    """
    wanted = (asked.text("the id", alert_id),)
    found = connection.execute(query("alerts.one"), wanted).fetchall()
    if not found and len(alert_id) >= _SHORTEST and alert_id.isascii():
        found = connection.execute(query("alerts.of_piece"), wanted).fetchall()
    if len(found) > 1:
        raise AlertNotFound(f"{alert_id[:60]!r} may be several", hint="Give more of the id.")
    if not found:
        raise AlertNotFound(repr(alert_id[:60]), hint="See metrics-store alerts list --state all.")
    return alert_of(found[0])


def history(connection: Connection, alert_id: str) -> AlertHistory:
    """An alert and all that happened to it.

    Raises:
        AlertNotFound: there is none.
    """
    alert = one(connection, alert_id)
    found = connection.execute(query("alerts.events"), (alert.alert_id,))
    return AlertHistory(alert, tuple(map(event_of, found)))


def event_of(row: Sequence[Value]) -> AlertEvent:
    """An event from its row."""
    values: list[object] = list(row)
    values[8] = None if row[8] is None else float(row[8]) / 1e6
    values[9] = {} if row[9] is None else json.loads(str(row[9]))
    return AlertEvent(*values)  # type: ignore[arg-type]


def daily(connection: Connection, now_us: int, count: int) -> dict[str, list[int]]:
    """How many alerts each source opened on each of the last days, for sparklines.

    Args:
        now_us: microseconds since 1970.
        count: of days.

    Raises:
        InvalidQuery: it is not 1 to 3,660.
    """
    count = asked.count("days", count, 3660)
    days = [clock.text(now_us - n * _DAY_US)[:10] for n in range(count - 1, -1, -1)]
    counts: dict[str, list[int]] = {}
    at = {day: i for i, day in enumerate(days)}
    for source, day, n in connection.execute(query("alerts.daily"), (json.dumps(days),)):
        counts.setdefault(source, [0] * count)[at[day]] = n
    return counts
