"""Reading the five logs: where agents and tasks stand, and what happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from metrics_store import asked, clock, rows, windows
from metrics_store.agents.results import (
    AgentSample,
    Commit,
    RagMetrics,
    SystemHealth,
    TaskEvent,
    TaskState,
)
from metrics_store.connection import Database
from metrics_store.rows import Moment
from metrics_store.sql import query

#: Text order is time order, and this is past every moment.
_END = "9999-12-31T23:59:59.999999Z"

Window = str | float | timedelta


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
    wanted, most = asked.text("agent_id", agent_id), asked.count_or_all("limit", limit)
    values = (wanted, *span(database, window, now), most)
    with database.read() as connection:
        newest = connection.execute(query("agents.history_of"), values)
        return [AgentSample(*row) for row in newest][::-1]


def tasks(
    database: Database, status: str | None, assigned_to: str | None, limit: int | None
) -> list[TaskState]:
    """Where tasks stand, the last changed first."""
    values = (
        asked.text_or_none("status", status),
        asked.text_or_none("assigned_to", assigned_to),
        asked.count_or_all("limit", limit),
    )
    with database.read() as connection:
        found = connection.execute(query("agents.tasks"), values)
        return [TaskState(*row) for row in found]


def task_history(database: Database, task_id: str) -> list[TaskEvent]:
    """What happened to a task, oldest first."""
    wanted = (asked.text("task_id", task_id),)
    with database.read() as connection:
        return [
            TaskEvent(*(*row[:-1], _mapping(row[-1])))
            for row in connection.execute(query("agents.task_history"), wanted)
        ]


def commits(database: Database, count: int | None, agent_id: str | None) -> list[Commit]:
    """The newest commits first."""
    values = (asked.text_or_none("agent_id", agent_id), asked.count_or_all("n", count))
    with database.read() as connection:
        return [Commit(*row) for row in connection.execute(query("agents.commits"), values)]


def system_history(
    database: Database, window: Window | None, now: Moment, limit: int | None
) -> list[SystemHealth]:
    """Records of system health, oldest first; of more than the limit the newest."""
    values = (*span(database, window, now), asked.count_or_all("limit", limit))
    with database.read() as connection:
        found = connection.execute(query("agents.health_between"), values)
        return [SystemHealth(*(*row[:-1], _mapping(row[-1]))) for row in found][::-1]


def rag_history(
    database: Database, window: Window | None, now: Moment, limit: int | None
) -> list[RagMetrics]:
    """Records of retrieval, oldest first; of more than the limit the newest."""
    values = (*span(database, window, now), asked.count_or_all("limit", limit))
    with database.read() as connection:
        found = connection.execute(query("agents.rag_between"), values)
        return [RagMetrics(*(*row[:-2], *map(_any, row[-2:]))) for row in found][::-1]


def _mapping(text: str | None) -> Mapping[str, object]:
    found = _any(text)
    return found if isinstance(found, dict) else {}


def _any(text: str | None) -> object:
    found: object = None if text is None else json.loads(text)
    return found
