"""What may be said of an agent, a task, a commit, the system, retrieval: the keyword arguments."""

from __future__ import annotations

from typing import TypedDict

from metrics_store.rows import JsonObject, Moment


class SampleFields(TypedDict, total=False):
    """What may be said of an agent, beside who it is and its status.

    Keys:
        at: when, an aware datetime or ISO 8601 text with an offset; now by default.
        current_task, branch: text.
        cpu_usage: percent of one core.
        memory_usage: MB of 1,048,576 bytes.
        memory_percent: percent of the machine's memory.
        uncommitted_changes: files.
        uptime_seconds: seconds.
        last_activity: a moment.
        record_id: its id, so that recording it twice counts it once; a new one by default.
    """

    at: Moment
    current_task: str | None
    cpu_usage: float | None
    memory_usage: float | None
    memory_percent: float | None
    uncommitted_changes: int | None
    uptime_seconds: float | None
    last_activity: Moment
    branch: str | None
    record_id: str | None


class EventFields(TypedDict, total=False):
    """What may be said of a task's event, beside the task and the type.

    Keys:
        at: when; now by default.
        previous_status, new_status: words of your own.
        assigned_to: who has the task from then on, ``""`` for nobody.
        changed_by: who did it.
        details: a mapping that JSON can hold; its ``title`` is the task's title.
        record_id: its id; a new one by default.
    """

    at: Moment
    previous_status: str | None
    new_status: str | None
    assigned_to: str | None
    changed_by: str | None
    details: JsonObject | None
    record_id: str | None


class CommitFields(TypedDict, total=False):
    """What may be said of a commit, beside its hash.

    Keys:
        author, message: text; empty by default.
        commit_timestamp: when it was committed; now by default.
        agent_id: the agent that made it.
        short_hash: the first seven characters of the hash by default.
        branch, repository: text.
        files_changed, lines_added, lines_deleted: counts, None if unknown.
    """

    author: str
    message: str
    commit_timestamp: Moment
    agent_id: str | None
    short_hash: str | None
    branch: str | None
    files_changed: int | None
    lines_added: int | None
    lines_deleted: int | None
    repository: str | None


class SystemFields(TypedDict, total=False):
    """What may be said of the system, beside its overall status.

    Keys:
        at: when; now by default.
        api_latency: milliseconds.
        websocket_connections, file_watch_events, error_count: counts.
        cpu, memory, disk: percent, 0 to 100.
        details: a mapping that JSON can hold.
        record_id: its id; a new one by default.
    """

    at: Moment
    api_latency: float | None
    websocket_connections: int | None
    file_watch_events: int | None
    error_count: int | None
    cpu: float | None
    memory: float | None
    disk: float | None
    details: JsonObject | None
    record_id: str | None


class RagFields(TypedDict, total=False):
    """What may be said of retrieval.

    Keys:
        at: when; now by default.
        total_patterns, total_queries, query_volume_last_hour: counts.
        average_response_time: milliseconds.
        hit_rate: 0 to 1 or 0 to 100, kept as it is given: keep to one.
        memory_usage: MB of 1,048,576 bytes.
        top_patterns, recent_queries: anything that JSON can hold.
        record_id: its id; a new one by default.
    """

    at: Moment
    total_patterns: int | None
    total_queries: int | None
    average_response_time: float | None
    hit_rate: float | None
    memory_usage: float | None
    query_volume_last_hour: int | None
    top_patterns: object
    recent_queries: object
    record_id: str | None
