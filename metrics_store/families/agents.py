"""Agents: samples of what each does, how the system they run on is, and their retrieval (RAG)."""

from __future__ import annotations

from metrics_store.families.declaration import Aged, Dimension, Family, Keep, Measures

_DAY = "substr(row.recorded_at, 1, 10)"
_HOUR = "substr(row.recorded_at, 1, 13)"

AGENT_STATUSES = ("active", "idle", "blocked", "error", "offline")
SYSTEM_STATUSES = ("healthy", "degraded", "unhealthy")

#: What is summed of each sample: the kind of its daily rollup, and its column.
AGENT_MEASURES = {
    "cpu": "cpu_milli",
    "memory": "memory_milli",
    "memory_percent": "memory_percent_milli",
    "uncommitted": "uncommitted_changes",
}
#: The same of system health; the hourly kinds begin with ``hour_``.
SYSTEM_MEASURES = {
    "cpu": "cpu_milli",
    "memory": "memory_milli",
    "disk": "disk_milli",
    "latency": "api_latency_us",
    "errors": "error_count",
    "websockets": "websocket_connections",
    "watches": "file_watch_events",
}
RAG_MEASURES = {
    "patterns": "total_patterns",
    "queries": "total_queries",
    "response": "average_response_us",
    "hit_rate": "hit_rate_micro",
    "memory": "memory_milli",
    "volume": "query_volume_last_hour",
}


def _measured(measures: dict[str, str], subject: str, period: str, prefix: str = "") -> Measures:
    kinds = tuple((f"{prefix}{kind}", f"row.{column}") for kind, column in measures.items())
    return Measures(kinds, subject, (period,))


#: Samples have a status each, and measures where they were taken.
AGENTS = Family(
    name="agent",
    table="agent_metrics",
    moment="row.recorded_at",
    completed="row.status = 'active'",
    failed="row.status = 'error'",
    measure="row.cpu_milli",
    dimensions=(
        Dimension("total", subject="row.agent_id"),
        Dimension(
            "status", subject="row.agent_id", period=_DAY, label="row.status", counts_only=True
        ),
        _measured(AGENT_MEASURES, "row.agent_id", _DAY),
    ),
    columns=(
        "id",
        "agent_id",
        "recorded_at",
        "status",
        "current_task",
        "cpu_milli",
        "memory_milli",
        "memory_percent_milli",
        "uncommitted_changes",
        "uptime_us",
        "last_activity",
        "branch",
    ),
    keep=Keep(
        days=30,
        newest_of="row.agent_id",
        aged=(Aged(("status", *AGENT_MEASURES), 365),),
    ),
)

SYSTEM = Family(
    name="system",
    table="system_health",
    moment="row.recorded_at",
    completed="row.overall_status = 'healthy'",
    failed="row.overall_status = 'unhealthy'",
    measure="row.api_latency_us",
    dimensions=(
        Dimension(
            "hour_status", subject="''", period=_HOUR, label="row.overall_status", counts_only=True
        ),
        _measured(SYSTEM_MEASURES, "''", _HOUR, "hour_"),
        Dimension(
            "status", subject="''", period=_DAY, label="row.overall_status", counts_only=True
        ),
        _measured(SYSTEM_MEASURES, "''", _DAY),
    ),
    columns=(
        "id",
        "recorded_at",
        "overall_status",
        "api_latency_us",
        "websocket_connections",
        "file_watch_events",
        "error_count",
        "cpu_milli",
        "memory_milli",
        "disk_milli",
        "details",
    ),
    keep=Keep(
        days=7,
        aged=(Aged(("hour_status", *(f"hour_{kind}" for kind in SYSTEM_MEASURES)), 30),),
    ),
)

RAG = Family(
    name="rag",
    table="rag_metrics",
    moment="row.recorded_at",
    completed="1",
    failed="0",
    measure="row.average_response_us",
    dimensions=(
        Dimension("samples", subject="''", period=_DAY, counts_only=True),
        _measured(RAG_MEASURES, "''", _DAY),
    ),
    columns=(
        "id",
        "recorded_at",
        "total_patterns",
        "total_queries",
        "average_response_us",
        "hit_rate_micro",
        "memory_milli",
        "query_volume_last_hour",
        "top_patterns",
        "recent_queries",
    ),
    keep=Keep(days=30),
)
