"""Recording what agents do: what is kept, what is refused, and what is counted once."""

from __future__ import annotations

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.errors import DuplicateRecord, InvalidQuery, InvalidValue

HOSTILE = ["a'b\"c", "new\nline", "\x1b[31mred\x1b[0m", "\u202eright to left", "x" * 16_000, "12"]


def test_everything_that_is_said_comes_back(store: MetricsStore) -> None:
    name = store.record_agent_sample(
        "builder",
        "blocked",
        at="2026-03-10T11:00:00+01:00",
        current_task="T-1",
        cpu_usage=12.5,
        memory_usage=512.125,
        memory_percent=3.25,
        uncommitted_changes=4,
        uptime_seconds=3600.5,
        last_activity="2026-03-10T09:59:00Z",
        branch="main",
    )
    [found] = store.agent_history("builder")
    assert found.as_dict() == {
        "id": name,
        "agent_id": "builder",
        "recorded_at": "2026-03-10T10:00:00.000000Z",
        "status": "blocked",
        "current_task": "T-1",
        "cpu_usage": 12.5,
        "memory_usage": 512.125,
        "memory_percent": 3.25,
        "uncommitted_changes": 4,
        "uptime_seconds": 3600.5,
        "last_activity": "2026-03-10T09:59:00.000000Z",
        "branch": "main",
    }
    store.record_system_health(
        "degraded", api_latency=1.5, websocket_connections=3, file_watch_events=7, error_count=2,
        cpu=12.5, memory=50, disk=99.9, details={"why": ["disk"]},
    )  # fmt: skip
    health = store.system_health()
    assert health is not None
    assert (health.overall_status, health.api_latency, health.disk) == ("degraded", 1.5, 99.9)
    assert health.details == {"why": ["disk"]}
    store.record_rag_metrics(
        total_patterns=10, total_queries=20, average_response_time=3.5, hit_rate=0.875,
        memory_usage=64.5, query_volume_last_hour=5, top_patterns=["a", {"b": 1}],
        recent_queries={"q": None},
    )  # fmt: skip
    rag = store.rag_metrics()
    assert rag is not None
    assert (rag.hit_rate, rag.average_response_time, rag.memory_usage) == (0.875, 3.5, 64.5)
    assert (rag.top_patterns, rag.recent_queries) == (["a", {"b": 1}], {"q": None})


def test_the_tables_have_the_columns_that_their_users_know(store: MetricsStore) -> None:
    store.record_agent_sample("builder", cpu_usage=1.5)
    store.record_task_event("T-1", "created")
    store.record_commit("c" * 40, lines_added=1)
    store.record_system_health()
    store.record_rag_metrics()
    for table, columns in {
        "agent_metrics": "agent_id, status, current_task, cpu_usage, memory_usage, "
        "memory_percent, uncommitted_changes, uptime_seconds, last_activity, branch, recorded_at",
        "agent_status": "agent_id, status, current_task, cpu_usage, recorded_at",
        "task_events": "task_id, event_type, previous_status, new_status, assigned_to, "
        "changed_by, details",
        "git_commits": "commit_hash, short_hash, agent_id, author, message, branch, "
        "files_changed, lines_added, lines_deleted, commit_timestamp",
        "system_health": "overall_status, api_latency, websocket_connections, "
        "file_watch_events, error_count, cpu, memory, disk, details",
        "rag_metrics": "total_patterns, total_queries, average_response_time, hit_rate, "
        "memory_usage, query_volume_last_hour, top_patterns, recent_queries",
    }.items():
        [row] = store.query(f"SELECT {columns} FROM {table}")
        assert list(row) == columns.split(", ")


def test_the_status_of_an_agent_is_never_moved_back_by_a_late_sample(store: MetricsStore) -> None:
    store.record_agent_sample("builder", "error", at="2026-03-10T11:00:00Z")
    store.record_agent_sample("builder", "active", at="2026-03-10T10:00:00Z")
    store.record_agent_sample("other", "idle", at="2026-03-10T09:00:00Z")
    assert [(one.agent_id, one.status) for one in store.agent_status()] == [
        ("builder", "error"),
        ("other", "idle"),
    ]
    assert [one.status for one in store.agent_history("builder")] == ["active", "error"]
    assert store.agent_history("builder", "90 min")[0].status == "error"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_kept_as_it_is(store: MetricsStore, text: str) -> None:
    store.record_agent_sample(text, current_task=text, branch=text)
    store.record_task_event(text, "created", new_status=text, assigned_to=text, changed_by=text)
    store.record_commit(f"{text[:100]}", author=text, message=text * 2, agent_id=text)
    assert store.agent_status()[0].agent_id == text
    [task] = store.tasks(status=text)
    assert (task.task_id, task.assigned_to) == (text, text)
    assert store.commit_feed(1, text)[0].message == text * 2
    assert store.agent_daily(text)[0].agent_id == text


def test_a_record_of_one_id_is_counted_once(store: MetricsStore, clock: SettableClock) -> None:
    at = "2026-03-10T10:00:00Z"
    for _ in range(2):
        assert store.record_agent_sample("a", record_id="one", at=at, cpu_usage=1) == "one"
        assert store.record_system_health(record_id="one", at=at) == "one"
    assert store.agent_daily()[0].samples == 1
    with pytest.raises(DuplicateRecord):
        store.record_agent_sample("a", record_id="one", at=at, cpu_usage=2)
    with pytest.raises(DuplicateRecord):
        store.record_system_health("degraded", record_id="one", at=at)


def test_a_commit_is_counted_once_wherever_it_is_met(store: MetricsStore) -> None:
    assert store.record_commit("c" * 40, lines_added=3, repository="/one")
    assert not store.record_commit("c" * 40, lines_added=5, repository="/two")
    assert store.record_commits([{"commit_hash": "c" * 40}, {"commit_hash": "d" * 40}] * 2) == 1
    assert [(one.short_hash, one.lines_added) for one in store.commit_feed()] == [
        ("d" * 7, None),
        ("c" * 7, 3),
    ]


def test_a_title_is_text_or_none(store: MetricsStore) -> None:
    for details in ({"title": "one"}, {"title": 5}, {"title": ["two"]}, {"title": None}):
        store.record_task_event("T", details=details)
    assert [one.title for one in store.tasks()] == ["one"]
    assert store.query("SELECT title FROM task_status") == [{"title": "one"}]


def test_who_has_a_task_can_be_nobody(store: MetricsStore) -> None:
    store.record_task_event("T", "created", assigned_to="ann", at="2026-03-10T09:00:00Z")
    store.record_task_event("T", "assigned", assigned_to="", at="2026-03-10T10:00:00Z")
    store.record_task_event("T", "updated", at="2026-03-10T11:00:00Z")
    assert [one.assigned_to for one in store.tasks()] == [None]
    assert store.tasks(assigned_to="ann") == []


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("record_agent_sample", {"agent_id": ""}),
        ("record_agent_sample", {"agent_id": 7}),
        ("record_agent_sample", {"agent_id": "\ud800"}),
        ("record_agent_sample", {"agent_id": "x" * 16_385}),
        ("record_agent_sample", {"agent_id": "a", "status": "running"}),
        ("record_agent_sample", {"agent_id": "a", "status": None}),
        ("record_agent_sample", {"agent_id": "a", "status": ["idle"]}),
        ("record_agent_sample", {"agent_id": "a", "cpu_usage": float("nan")}),
        ("record_agent_sample", {"agent_id": "a", "cpu_usage": float("inf")}),
        ("record_agent_sample", {"agent_id": "a", "cpu_usage": -0.1}),
        ("record_agent_sample", {"agent_id": "a", "cpu_usage": True}),
        ("record_agent_sample", {"agent_id": "a", "cpu_usage": "12"}),
        ("record_agent_sample", {"agent_id": "a", "memory_percent": 100.1}),
        ("record_agent_sample", {"agent_id": "a", "uncommitted_changes": 1.0}),
        ("record_agent_sample", {"agent_id": "a", "uncommitted_changes": 10**30}),
        ("record_agent_sample", {"agent_id": "a", "at": "2026-03-10"}),
        ("record_agent_sample", {"agent_id": "a", "cpu": 3}),
        ("record_task_event", {"task_id": "T", "event_type": "deleted"}),
        ("record_task_event", {"task_id": "T", "details": ["no", "mapping"]}),
        ("record_task_event", {"task_id": "T", "details": {"x": float("nan")}}),
        ("record_commit", {"commit_hash": ""}),
        ("record_commit", {"commit_hash": "c", "lines_added": -1}),
        ("record_commit", {"commit_hash": "c", "message": None}),
        ("record_commit", {"commit_hash": "c", "message": "x" * 1_000_001}),
        ("record_system_health", {"cpu": 101}),
        ("record_rag_metrics", {"hit_rate": 101}),
        ("record_rag_metrics", {"top_patterns": {1, 2}}),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_nothing_is_kept(
    store: MetricsStore, call: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(InvalidValue):
        getattr(store, call)(**arguments)
    tables = ("agent_metrics", "task_events", "git_commits", "system_health", "rag_metrics")
    assert [store.query(f"SELECT * FROM {table}") for table in tables] == [[]] * 5


def test_a_filter_that_no_store_can_hold_finds_nothing(store: MetricsStore) -> None:
    store.record_task_event("T", "created")
    assert store.tasks("\ud800") == []
    assert store.task_history("\ud800") == []
    assert store.commit_feed(5, "\ud800") == []
    with pytest.raises(InvalidQuery):
        store.tasks(limit=0)
    with pytest.raises(InvalidQuery):
        store.agent_history(7)  # type: ignore[arg-type]
