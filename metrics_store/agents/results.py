"""What the readers of agents give: frozen values, moments as UTC text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class AgentSample(Result):
    """A sample of an agent.

    Args:
        status: ``active``, ``idle``, ``blocked``, ``error`` or ``offline``.
        cpu_usage: percent of one core, so that it may be above 100.
        memory_usage: MB of 1,048,576 bytes.
        memory_percent: percent of the machine's memory.
        uncommitted_changes: files of its working tree that differ from the last commit.
        uptime_seconds: since it was started.
        last_activity, recorded_at: UTC text.
        branch: the branch that it works on.
    """

    id: str
    agent_id: str
    recorded_at: str
    status: str
    current_task: str | None
    cpu_usage: float | None
    memory_usage: float | None
    memory_percent: float | None
    uncommitted_changes: int | None
    uptime_seconds: float | None
    last_activity: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class TaskEvent(Result):
    """Something that happened to a task.

    Args:
        event_type: ``created``, ``updated``, ``completed``, ``blocked`` or ``assigned``.
        assigned_to: ``""`` if from then on nobody has it; None if nothing is said of that.
        details: whatever else is known.
    """

    id: str
    task_id: str
    recorded_at: str
    event_type: str
    previous_status: str | None
    new_status: str | None
    assigned_to: str | None
    changed_by: str | None
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TaskState(Result):
    """Where a task stands, by its events.

    Args:
        status: what the newest event says that tells one.
        assigned_to: who has it; None if nobody.
        title: by the newest event whose details have one.
        last_event: the type of its newest event.
        first_at, last_at: moments of its oldest and its newest event.
    """

    task_id: str
    status: str | None
    assigned_to: str | None
    title: str | None
    last_event: str
    changed_by: str | None
    first_at: str
    last_at: str


@dataclass(frozen=True, slots=True)
class Commit(Result):
    """A commit.

    Args:
        agent_id: the agent that made it; None if none is known.
        author: name and address.
        files_changed, lines_added, lines_deleted: None if they are unknown.
        commit_timestamp: when it was committed.
        recorded_at: when it was taken in; of an imported one, when it was committed.
        repository: where it was met first.
    """

    commit_hash: str
    short_hash: str
    agent_id: str | None
    author: str
    message: str
    branch: str | None
    files_changed: int | None
    lines_added: int | None
    lines_deleted: int | None
    commit_timestamp: str
    recorded_at: str
    repository: str | None


@dataclass(frozen=True, slots=True)
class SystemHealth(Result):
    """How the system was at a moment.

    Args:
        overall_status: ``healthy``, ``degraded`` or ``unhealthy``.
        api_latency: milliseconds.
        error_count: errors since the record before.
        cpu, memory, disk: percent, 0 to 100.
    """

    id: str
    recorded_at: str
    overall_status: str
    api_latency: float | None
    websocket_connections: int | None
    file_watch_events: int | None
    error_count: int | None
    cpu: float | None
    memory: float | None
    disk: float | None
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RagMetrics(Result):
    """How retrieval was at a moment.

    Args:
        average_response_time: milliseconds.
        hit_rate: as its source writes it, 0 to 1 or 0 to 100.
        memory_usage: MB of 1,048,576 bytes.
        top_patterns, recent_queries: as they were given; None if they were not.
    """

    id: str
    recorded_at: str
    total_patterns: int | None
    total_queries: int | None
    average_response_time: float | None
    hit_rate: float | None
    memory_usage: float | None
    query_volume_last_hour: int | None
    top_patterns: object
    recent_queries: object


@dataclass(frozen=True, slots=True)
class Measured(Result):
    """A number over many records, exact whatever retention has deleted of them.

    Args:
        count: the records that had it.
        average, minimum, maximum: in its own unit.
        total: their sum.
    """

    count: int
    average: float
    minimum: float
    maximum: float
    total: float


@dataclass(frozen=True, slots=True)
class AgentDay(Result):
    """One agent on one UTC day.

    Args:
        statuses: samples by status.
        cpu_usage, memory_usage, memory_percent, uncommitted_changes: as in
            :class:`AgentSample`; None without any.
    """

    day: str
    agent_id: str
    samples: int
    statuses: Mapping[str, int]
    cpu_usage: Measured | None
    memory_usage: Measured | None
    memory_percent: Measured | None
    uncommitted_changes: Measured | None


@dataclass(frozen=True, slots=True)
class AgentHour(Result):
    """One agent in one UTC hour, such as ``2026-03-10T12``; the rest as in :class:`AgentDay`."""

    hour: str
    agent_id: str
    samples: int
    statuses: Mapping[str, int]
    cpu_usage: Measured | None
    memory_usage: Measured | None
    memory_percent: Measured | None
    uncommitted_changes: Measured | None


@dataclass(frozen=True, slots=True)
class SystemPeriod(Result):
    """System health over an hour or a UTC day.

    Args:
        period: ``2026-03-10`` or ``2026-03-10T12``.
        statuses: records by overall status.
    """

    period: str
    records: int
    statuses: Mapping[str, int]
    cpu: Measured | None
    memory: Measured | None
    disk: Measured | None
    api_latency: Measured | None
    error_count: Measured | None
    websocket_connections: Measured | None
    file_watch_events: Measured | None


@dataclass(frozen=True, slots=True)
class RagDay(Result):
    """Retrieval on a UTC day."""

    day: str
    records: int
    total_patterns: Measured | None
    total_queries: Measured | None
    average_response_time: Measured | None
    hit_rate: Measured | None
    memory_usage: Measured | None
    query_volume_last_hour: Measured | None


@dataclass(frozen=True, slots=True)
class CommitDay(Result):
    """The commits of one agent on one UTC day; ``agent_id`` is None for those of no agent."""

    day: str
    agent_id: str | None
    commits: int
    files_changed: int
    lines_added: int
    lines_deleted: int


@dataclass(frozen=True, slots=True)
class TaskDay(Result):
    """Task events of one UTC day, by type."""

    day: str
    created: int
    updated: int
    completed: int
    blocked: int
    assigned: int


@dataclass(frozen=True, slots=True)
class TaskVelocity(Result):
    """How fast tasks are done.

    Args:
        days: one for each day, oldest first, with zeros where nothing happened.
        created, completed, blocked: events over these days.
        completed_per_day: on average.
        by_assignee: completions by who had the task.
        lead_times: completions of these days of which the log has the creation too.
        average_lead_seconds, median_lead_seconds: from creation to completion; None without any.
    """

    days: tuple[TaskDay, ...]
    created: int
    completed: int
    blocked: int
    completed_per_day: float
    by_assignee: Mapping[str, int]
    lead_times: int
    average_lead_seconds: float | None
    median_lead_seconds: float | None
