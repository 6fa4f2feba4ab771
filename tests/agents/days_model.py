"""What days and hours come to, added up by hand from the records as they were given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction

from hypothesis import strategies as st

Record = Mapping[str, object]

agents = st.sampled_from(["builder", "tester", 'a"b', "ünï😀\u202e\x1b[31m", "v1.2"])
moments = st.sampled_from(
    [
        "2026-03-08T23:59:59.999999Z",
        "2026-03-09T00:00:00Z",
        "2026-03-09T11:30:00Z",
        "2026-03-10T00:30:00Z",
        "2026-03-10T11:59:59Z",
        "2026-03-10T12:00:00Z",
    ]
)
shares = st.none() | st.integers(0, 100_000).map(lambda n: n / 1000)
counts = st.none() | st.integers(0, 10_000)

samples = st.fixed_dictionaries(
    {
        "agent_id": agents,
        "status": st.sampled_from(["active", "idle", "blocked", "error", "offline"]),
        "at": moments,
    },
    optional={
        "cpu_usage": st.none() | st.integers(0, 800_000).map(lambda n: n / 1000),
        "memory_usage": st.none() | st.integers(0, 10**9).map(lambda n: n / 1000),
        "memory_percent": shares,
        "uncommitted_changes": counts,
    },
)
healths = st.fixed_dictionaries(
    {"overall_status": st.sampled_from(["healthy", "degraded", "unhealthy"]), "at": moments},
    optional={
        "cpu": shares,
        "memory": shares,
        "disk": shares,
        "api_latency": st.none() | st.integers(0, 10**9).map(lambda n: n / 1000),
        "error_count": counts,
        "websocket_connections": counts,
        "file_watch_events": counts,
    },
)
rags = st.fixed_dictionaries(
    {"at": moments},
    optional={
        "total_patterns": counts,
        "total_queries": counts,
        "average_response_time": st.none() | st.integers(0, 10**6).map(lambda n: n / 1000),
        "hit_rate": st.none() | st.integers(0, 10**6).map(lambda n: n / 10**6),
        "memory_usage": st.none() | st.integers(0, 10**6).map(lambda n: n / 1000),
        "query_volume_last_hour": counts,
    },
)
commits = st.fixed_dictionaries(
    {
        "commit_hash": st.integers(0, 40).map(lambda n: f"{n:040x}"),
        "agent_id": st.none() | agents,
        "commit_timestamp": moments,
        "files_changed": counts,
        "lines_added": counts,
        "lines_deleted": counts,
    }
)
events = st.fixed_dictionaries(
    {
        "task_id": st.sampled_from(["T-1", "T-2", 'T"3', "t\u202e4"]),
        "event_type": st.sampled_from(["created", "updated", "completed", "blocked", "assigned"]),
        "at": moments,
    },
    optional={
        "new_status": st.none() | st.sampled_from(["todo", "doing", "done"]),
        "assigned_to": st.none() | st.just("") | agents,
        "details": st.none() | st.fixed_dictionaries({"title": st.sampled_from(["one", "two"])}),
    },
)


def measured(records: Iterable[Record], name: str) -> dict[str, object] | None:
    """What :class:`Measured` is to say of some records: exactly, then as the nearest float."""
    values = [Fraction(str(record[name])) for record in records if record.get(name) is not None]
    if not values:
        return None
    return {
        "count": len(values),
        "average": float(sum(values) / len(values)),
        "minimum": float(min(values)),
        "maximum": float(max(values)),
        "total": float(sum(values)),
    }


def grouped(
    records: Iterable[Record], *names: str, digits: int
) -> dict[tuple[str, ...], list[Record]]:
    """Records by the beginning of their moment, and by further names."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        moment = str(record.get("at") or record["commit_timestamp"])
        key = (moment[:digits], *(str(record.get(name) or "") for name in names))
        found.setdefault(key, []).append(record)
    return dict(sorted(found.items(), key=lambda item: [part.encode() for part in item[0]]))


def by(records: Iterable[Record], name: str) -> dict[str, int]:
    """How many records there are of each value."""
    return dict(Counter(str(record[name]) for record in records))
