"""Reading the five logs: where agents and tasks stand, and what happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from metrics_store import clock, rows, windows
from metrics_store.agents.results import (
    AgentSample,
    Commit,
    RagMetrics,
    SystemHealth,
    TaskEvent,
    TaskState,
)
from metrics_store.connection import Database
from metrics_store.errors import InvalidQuery
from metrics_store.rows import Moment
from metrics_store.sql import query

#: Text order is time order, and this is past every moment.
_END = "9999-12-31T23:59:59.999999Z"
_MANY = 1 << 31

Window = str | float | timedelta


def limited(limit: object) -> int:
    """A number of rows; None stands for all.

    Raises:
        InvalidQuery: it is no whole number of 1 or more.
    """
    if limit is None:
        return _MANY
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidQuery(f"limit {limit!r:.80}", hint="It is a whole number, 1 or more.")
    return min(limit, _MANY)


def searchable(name: str, text: object) -> str | None:
    """A text to look for; None if it cannot be in a store at all.

    Raises:
        InvalidQuery: it is no text.
    """
    if not isinstance(text, str):
        raise InvalidQuery(f"{name} is {type(text).__name__}, not text")
    return None if any("\ud800" <= c <= "\udfff" for c in text) else text


def span(database: Database, window: Window | None, now: Moment) -> tuple[str, str]:
    """The first and the last moment of a window, both within it; None means everything.

    Raises:
        InvalidQuery, InvalidValue: it is not usable.
    """
    if now is None and window is None:
        return "", _END
    now_us = database.clock.now_us() if now is None else rows.moment_us("now", now)
    if window is None:
        return "", clock.text(now_us)
    start = max(clock.MIN_US, now_us - round(windows.seconds(window) * clock.MICROSECONDS))
    # Without an end of their own, windows go on past now: another machine's clock may be ahead.
    return clock.text(start), _END if now is None else clock.text(now_us)


def status(database: Database, agent_id: str | None) -> list[AgentSample]:
    """Where each agent stands, or one."""
    if agent_id is not None:
        return history(database, agent_id, None, None, 1)
    with database.read() as connection:
        found = connection.execute(query("agents.status_of_all")).fetchall()
    # Sorted here: SQLite's sorter gives back 3 for the 3.0 of a generated column.
    return sorted((AgentSample(*row) for row in found), key=lambda sample: sample.agent_id)


def history(
    database: Database, agent_id: str, window: Window | None, now: Moment, limit: int | None
) -> list[AgentSample]:
    """The samples of an agent, oldest first; of more than the limit the newest."""
    found, count = searchable("agent_id", agent_id), limited(limit)
    start, end = span(database, window, now)
    if found is None:
        return []
    with database.read() as connection:
        newest = connection.execute(query("agents.history_of"), (found, start, end, count))
        return [AgentSample(*row) for row in newest][::-1]


def tasks(
    database: Database, status: str | None, assigned_to: str | None, limit: int | None
) -> list[TaskState]:
    """Where tasks stand, the last changed first."""
    wanted = [None if t is None else searchable("a filter", t) for t in (status, assigned_to)]
    if (status, assigned_to) != tuple(wanted):
        return []
    with database.read() as connection:
        found = connection.execute(query("agents.tasks"), (*wanted, limited(limit)))
        return [TaskState(*row) for row in found]


def task_history(database: Database, task_id: str) -> list[TaskEvent]:
    """What happened to a task, oldest first."""
    found = searchable("task_id", task_id)
    if found is None:
        return []
    with database.read() as connection:
        return [
            TaskEvent(*(*row[:-1], _mapping(row[-1])))
            for row in connection.execute(query("agents.task_history"), (found,))
        ]


def commits(database: Database, count: int | None, agent_id: str | None) -> list[Commit]:
    """The newest commits first."""
    found = None if agent_id is None else searchable("agent_id", agent_id)
    if found != agent_id:
        return []
    with database.read() as connection:
        rows_ = connection.execute(query("agents.commits"), (found, limited(count)))
        return [Commit(*row) for row in rows_]


def system_history(
    database: Database, window: Window | None, now: Moment, limit: int | None
) -> list[SystemHealth]:
    """Records of system health, oldest first; of more than the limit the newest."""
    values = (*span(database, window, now), limited(limit))
    with database.read() as connection:
        found = connection.execute(query("agents.health_between"), values)
        return [SystemHealth(*(*row[:-1], _mapping(row[-1]))) for row in found][::-1]


def rag_history(
    database: Database, window: Window | None, now: Moment, limit: int | None
) -> list[RagMetrics]:
    """Records of retrieval, oldest first; of more than the limit the newest."""
    values = (*span(database, window, now), limited(limit))
    with database.read() as connection:
        found = connection.execute(query("agents.rag_between"), values)
        return [RagMetrics(*(*row[:-2], *map(_any, row[-2:]))) for row in found][::-1]


def _mapping(text: str | None) -> Mapping[str, object]:
    found = _any(text)
    return found if isinstance(found, dict) else {}


def _any(text: str | None) -> object:
    found: object = None if text is None else json.loads(text)
    return found
