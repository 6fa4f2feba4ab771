"""From what callers say to the rows of the five logs, and writing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from metrics_store import clock, logs, retrying, rows
from metrics_store.agents import values
from metrics_store.agents.fields import (
    CommitFields,
    EventFields,
    RagFields,
    SampleFields,
    SystemFields,
)
from metrics_store.agents.values import MICRO, MILLI, MOST, count, percent, scaled
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.families import Family
from metrics_store.families.activity import COMMITS, EVENT_TYPES, TASKS
from metrics_store.families.agents import AGENT_STATUSES, AGENTS, RAG, SYSTEM, SYSTEM_STATUSES
from metrics_store.logs import Content
from metrics_store.rows import Moment
from metrics_store.sqlite import Connection

_SHORT = 7


def known(fields: object, allowed: type) -> None:
    """Refuse fields that there are not.

    Raises:
        InvalidValue: there are such.
    """
    assert isinstance(fields, dict)
    if unknown := sorted(map(repr, set(fields) - set(allowed.__annotations__))):
        names = ", ".join(allowed.__annotations__)
        raise InvalidValue(f"unknown: {', '.join(unknown)}", hint=f"There are {names}.")


def _id_and_moment(now_us: int, at: Moment, record_id: str | None) -> tuple[str, str]:
    us = now_us if at is None else rows.moment_us("at", at)
    named = clock.new_id(us) if record_id is None else rows.label("record_id", record_id)
    return named, clock.text(us)


def sample(now_us: int, agent_id: str, status: str, fields: SampleFields) -> Content:
    """A row of ``agent_metrics``.

    Raises:
        InvalidValue: a value cannot be recorded.
    """
    known(fields, SampleFields)
    named, at = _id_and_moment(now_us, fields.get("at"), fields.get("record_id"))
    return (
        named,
        rows.label("agent_id", agent_id),
        at,
        values.one_of("status", status, AGENT_STATUSES),
        rows.optional("current_task", fields.get("current_task")),
        scaled("cpu_usage", fields.get("cpu_usage"), MILLI, MOST // MILLI),
        scaled("memory_usage", fields.get("memory_usage"), MILLI, MOST // MILLI),
        percent("memory_percent", fields.get("memory_percent")),
        count("uncommitted_changes", fields.get("uncommitted_changes")),
        scaled("uptime_seconds", fields.get("uptime_seconds"), MICRO, MOST),
        values.moment("last_activity", fields.get("last_activity")),
        rows.optional("branch", fields.get("branch")),
    )


def event(now_us: int, task_id: str, event_type: str, fields: EventFields) -> Content:
    """A row of ``task_events``; raises as :func:`sample`."""
    known(fields, EventFields)
    named, at = _id_and_moment(now_us, fields.get("at"), fields.get("record_id"))
    return (
        named,
        rows.label("task_id", task_id),
        at,
        values.one_of("event_type", event_type, EVENT_TYPES),
        rows.optional("previous_status", fields.get("previous_status")),
        rows.optional("new_status", fields.get("new_status")),
        rows.optional("assigned_to", fields.get("assigned_to")),
        rows.optional("changed_by", fields.get("changed_by")),
        rows.object_text("details", fields.get("details")),
    )


def commit(now_us: int, commit_hash: str, fields: CommitFields) -> Content:
    """A row of ``git_commits``; raises as :func:`sample`."""
    known(fields, CommitFields)
    named = rows.label("commit_hash", commit_hash)
    short = rows.optional("short_hash", fields.get("short_hash"))
    agent = rows.optional("agent_id", fields.get("agent_id"))
    return (
        named,
        short or named[:_SHORT],
        agent or None,
        rows.optional("author", fields.get("author")) or "",
        values.message(fields.get("message", "")),
        rows.optional("branch", fields.get("branch")),
        count("files_changed", fields.get("files_changed")),
        count("lines_added", fields.get("lines_added")),
        count("lines_deleted", fields.get("lines_deleted")),
        values.moment("commit_timestamp", fields.get("commit_timestamp"), now_us),
        clock.text(now_us),
        rows.optional("repository", fields.get("repository")),
    )


def commit_of(now_us: int, record: Mapping[str, object]) -> Content:
    """A row of ``git_commits`` of a mapping with ``commit_hash``; raises as :func:`sample`."""
    if not isinstance(record, Mapping):
        raise InvalidValue(f"a commit is {type(record).__name__}, not a mapping")
    fields = dict(record)
    commit_hash = fields.pop("commit_hash", None)
    return commit(now_us, cast("str", commit_hash), cast("CommitFields", fields))


def system(now_us: int, overall_status: str, fields: SystemFields) -> Content:
    """A row of ``system_health``; raises as :func:`sample`."""
    known(fields, SystemFields)
    return (
        *_id_and_moment(now_us, fields.get("at"), fields.get("record_id")),
        values.one_of("overall_status", overall_status, SYSTEM_STATUSES),
        scaled("api_latency", fields.get("api_latency"), MILLI, MOST // MILLI),
        count("websocket_connections", fields.get("websocket_connections")),
        count("file_watch_events", fields.get("file_watch_events")),
        count("error_count", fields.get("error_count")),
        percent("cpu", fields.get("cpu")),
        percent("memory", fields.get("memory")),
        percent("disk", fields.get("disk")),
        rows.object_text("details", fields.get("details")),
    )


def rag(now_us: int, fields: RagFields) -> Content:
    """A row of ``rag_metrics``; raises as :func:`sample`."""
    known(fields, RagFields)
    return (
        *_id_and_moment(now_us, fields.get("at"), fields.get("record_id")),
        count("total_patterns", fields.get("total_patterns")),
        count("total_queries", fields.get("total_queries")),
        scaled("average_response_time", fields.get("average_response_time"), MILLI, MOST // MILLI),
        scaled("hit_rate", fields.get("hit_rate"), MICRO, 100),
        scaled("memory_usage", fields.get("memory_usage"), MILLI, MOST // MILLI),
        count("query_volume_last_hour", fields.get("query_volume_last_hour")),
        values.json_text("top_patterns", fields.get("top_patterns")),
        values.json_text("recent_queries", fields.get("recent_queries")),
    )


#: The families of this package, by the name of their log.
TABLES: dict[str, Family] = {
    family.table: family for family in (AGENTS, TASKS, COMMITS, SYSTEM, RAG)
}


def write_one(database: Database, family: Family, content: Content) -> str:
    """Write a row, and give its id; the very same row again changes nothing.

    Raises:
        DuplicateRecord: the id belongs to another record.
        WriteError: it was not written.
    """

    retrying.write(database, lambda connection: logs.append_one(connection, family, content))
    return str(content[0])


def write_all(
    database: Database,
    family: Family,
    contents: Sequence[Content],
    also: Callable[[Connection], None] | None = None,
) -> int:
    """Write rows in one transaction, and give how many were new.

    Args:
        also: further statements of the same transaction.
    """

    def work(connection: Connection) -> int:
        inserted = logs.append(connection, family, contents)
        if also is not None:
            also(connection)
        return inserted

    return database.write(work, rows=len(contents))
