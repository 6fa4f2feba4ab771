"""What hooks are to be told, and were not told yet; the store remembers it for each by its name."""

from __future__ import annotations

from collections.abc import Sequence

from metrics_store import clock
from metrics_store.alerts.results import Debt
from metrics_store.alerts.rules import Hook
from metrics_store.sql import query
from metrics_store.sqlite import Connection


def begin(connection: Connection, hooks: Sequence[Hook]) -> None:
    """Let hooks that were never seen before begin here: they are not told of the past."""
    connection.executemany(query("alerts.begin_hook"), [(hook.name,) for hook in hooks])


def owe(connection: Connection, hooks: Sequence[Hook], now_us: int) -> int:
    """Note for each hook what happened since the last time.

    Args:
        now_us: microseconds since 1970.

    Returns:
        How many events are owed to these hooks in all.
    """
    for hook in hooks:
        found = connection.execute(query("alerts.events_for_hook"), (hook.name,)).fetchall()
        connection.executemany(
            query("alerts.owe"),
            [
                (hook.name, event_id, clock.text(now_us))
                for _, event_id, event, severity in found
                if hook.wants(event, severity)
            ],
        )
        if found:
            connection.execute(query("alerts.advance_hook"), (found[-1][0], hook.name))
    return count(connection, hooks)


def count(connection: Connection, hooks: Sequence[Hook]) -> int:
    """How many events hooks are owed."""
    owed = dict(connection.execute(query("alerts.owed")).fetchall())
    return sum(owed.get(hook.name, 0) for hook in hooks)


def debts(connection: Connection) -> tuple[Debt, ...]:
    """What each hook is owed."""
    return tuple(Debt(*row) for row in connection.execute(query("alerts.debts")))
