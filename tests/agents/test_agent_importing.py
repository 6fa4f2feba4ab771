"""Taking in what users have today: SQLite files with the five tables, and lines of JSON."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import InvalidQuery, SourceError, UsageError

Open = Callable[..., MetricsStore]

#: As its users made it: their own types, their own ids, moments in UTC without a zone.
SCHEMA = """
CREATE TABLE agent_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT NOT NULL, status TEXT, current_task TEXT,
    cpu_usage REAL, memory_usage REAL, memory_percent REAL, uncommitted_changes INTEGER,
    uptime_seconds INTEGER, last_activity TIMESTAMP, branch TEXT,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE task_events (
    id INTEGER PRIMARY KEY, task_id TEXT, event_type TEXT, previous_status TEXT, new_status TEXT,
    assigned_to TEXT, changed_by TEXT, details TEXT, timestamp TIMESTAMP);
CREATE TABLE git_commits (
    id INTEGER PRIMARY KEY, commit_hash TEXT UNIQUE, short_hash TEXT, agent_id TEXT, author TEXT,
    message TEXT, branch TEXT, files_changed INTEGER, lines_added INTEGER, lines_deleted INTEGER,
    commit_timestamp TIMESTAMP, created_at TIMESTAMP);
CREATE TABLE system_health (
    id INTEGER PRIMARY KEY, overall_status TEXT, api_latency REAL, websocket_connections INTEGER,
    file_watch_events INTEGER, error_count INTEGER, cpu REAL, memory REAL, disk REAL, details JSON,
    timestamp TIMESTAMP);
CREATE TABLE rag_metrics (
    id INTEGER PRIMARY KEY, total_patterns INTEGER, total_queries INTEGER,
    average_response_time REAL, hit_rate REAL, memory_usage REAL, query_volume_last_hour INTEGER,
    top_patterns TEXT, recent_queries TEXT, timestamp TIMESTAMP);
INSERT INTO agent_metrics (agent_id, status, current_task, cpu_usage, last_activity, timestamp)
VALUES ('builder', 'active', 'T-1', 12.5, '2026-03-09 09:59:00', '2026-03-09 10:00:00'),
       ('builder', 'ACTIVE', 'T-1', '7.25', NULL, '2026-03-09 10:00:01'),
       ('builder', 'idle', NULL, NULL, NULL, '2026-03-09 11:00:00'),
       ('builder', 'idle', NULL, NULL, NULL, '2026-03-09 11:00:00'),
       ('builder', 'sleeping', NULL, NULL, NULL, '2026-03-09 11:00:00'),
       ('', 'idle', NULL, NULL, NULL, '2026-03-09 11:00:00'),
       ('tester', 'error', NULL, 250.5, NULL, NULL);
INSERT INTO task_events (task_id, event_type, new_status, details, timestamp)
VALUES ('T-1', 'created', 'todo', '{"title": "one"}', '2026-03-09T08:00:00Z'),
       ('T-1', 'completed', 'done', 'by hand', 1773050400),
       (17, 'created', NULL, NULL, 1773050400123);
INSERT INTO git_commits (commit_hash, author, message, lines_added, commit_timestamp)
VALUES ('abc123abc123', 'Ann', NULL, 7, '2026-03-08T23:30:00-01:00');
INSERT INTO system_health (overall_status, cpu, details, timestamp)
VALUES ('healthy', 12, '{"a": 1}', '2026-03-09 10:00:00'),
       ('healthy', 120, NULL, '2026-03-09 10:00:00');
INSERT INTO rag_metrics (total_patterns, hit_rate, top_patterns, recent_queries, timestamp)
VALUES (10, 0.87, '["a", "b"]', 'not json', '2026-03-09 10:00:00');
"""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A file of the shape that users have, in WAL mode, its last commits in the log."""
    path = tmp_path / "agents.sqlite"
    connection = sqlite.binding.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    connection.commit()
    connection.close()
    return path


def test_a_sqlite_file_is_taken_in_once_and_left_as_it_is(store: MetricsStore, users: Path) -> None:
    before = users.read_bytes()
    found = store.import_agents(users)
    assert {name: tuple(t.as_dict().values()) for name, t in found.tables.items()} == {
        # read, inserted, already there, retired, invalid
        "git_commits": (1, 1, 0, 0, 0),
        "task_events": (3, 3, 0, 0, 0),
        "agent_metrics": (7, 4, 0, 0, 3),
        "system_health": (2, 1, 0, 0, 1),
        "rag_metrics": (1, 1, 0, 0, 0),
    }
    assert [problem.split(":")[0] for problem in found.problems] == [
        "agent_metrics, row 5", "agent_metrics, row 6", "agent_metrics, row 7",
        "system_health, row 2",
    ]  # fmt: skip
    assert found.ignored == ()
    assert users.read_bytes() == before
    samples = store.agent_history("builder", None)
    assert [(one.recorded_at[11:19], one.status, one.cpu_usage) for one in samples] == [
        ("10:00:00", "active", 12.5),
        ("10:00:01", "active", 7.25),
        ("11:00:00", "idle", None),
        ("11:00:00", "idle", None),
    ]
    assert samples[0].last_activity == "2026-03-09T09:59:00.000000Z"
    assert [e.recorded_at for e in store.task_history("T-1")] == [
        "2026-03-09T08:00:00.000000Z",
        "2026-03-09T10:00:00.000000Z",
    ]
    assert store.task_history("T-1")[1].details == {"details": "by hand"}
    assert store.task_history("17")[0].recorded_at == "2026-03-09T10:00:00.123000Z"
    assert store.commit_feed()[0].commit_timestamp == "2026-03-09T00:30:00.000000Z"
    rag = store.rag_metrics()
    assert rag is not None
    assert (rag.top_patterns, rag.recent_queries) == (["a", "b"], "not json")
    again = store.import_agents(users)
    assert (again.total("inserted"), again.total("already_there")) == (0, 10)
    assert again.total("read") == sum(map(again.total, ("already_there", "invalid")))


def test_lines_of_json_in_any_spelling_also_compressed(store: MetricsStore, tmp_path: Path) -> None:
    lines = [
        {"agentId": "a", "status": "Active", "cpuUsage": 1, "timestamp": "2026-03-09T10:00:00"},
        {"type": "system", "overallStatus": "healthy", "apiLatency": 2.5, "ts": 1773050400},
        {"family": "rag", "hitRate": 0.5, "at": "2026-03-09T10:00:00Z", "colour": "red"},
        {"commitHash": "c" * 12, "message": "x", "date": "2026-03-09T10:00:00+02:00"},
        {"taskId": "T", "eventType": "created", "recordedAt": "2026-03-09T10:00:00Z"},
        ["no", "object"],
        {"nothing": "known"},
        {"agent_id": "a", "status": "idle"},
        {"agent_id": "a", "status": "idle", "at": True},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n\n{"torn'
    plain, packed = tmp_path / "x.jsonl", tmp_path / "x.jsonl.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    found = store.import_agents(plain, zone="Europe/Berlin")
    assert (found.total("read"), found.total("inserted"), found.total("invalid")) == (10, 5, 5)
    assert found.ignored == ("rag_metrics.colour",)
    assert "it is torn" in found.problems[-1]
    assert store.agent_status("a")[0].recorded_at == "2026-03-09T09:00:00.000000Z"
    again = store.import_agents(packed, zone="Europe/Berlin")
    assert (again.total("inserted"), again.total("already_there")) == (0, 5)
    one = tmp_path / "one.jsonl"
    one.write_text('{"status": "idle", "agent_id": "b", "at": 1}\n{"at": 2, "memory_usage": 5}\n')
    assert store.import_agents(one, table="rag_metrics").total("inserted") == 2


def test_another_store_is_taken_in_with_the_ids_it_has(open_store: Open, tmp_path: Path) -> None:
    other = open_store("other.db")
    other.record_agent_sample("a", cpu_usage=1.5, branch="main")
    other.record_task_event("T", "created", details={"title": "one"})
    other.record_system_health(api_latency=1.5)
    other.record_rag_metrics(hit_rate=0.5, top_patterns=["a"])
    other.record_commit("c" * 40, lines_added=3)
    with pytest.raises(SourceError, match="open in this process"):
        other.import_agents(tmp_path / "other.db")
    rows = {name: other.query(f"SELECT id, digest FROM {name}") for name in ("agent_metrics",)}
    other.close()
    store = open_store()
    found = store.import_agents(tmp_path / "other.db")
    assert (found.total("inserted"), found.total("invalid"), found.ignored) == (5, 0, ())
    assert store.query("SELECT id, digest FROM agent_metrics") == rows["agent_metrics"]
    assert store.import_agents(tmp_path / "other.db").total("already_there") == 5


def test_what_retention_deleted_is_not_brought_back(
    store: MetricsStore, users: Path, clock: SettableClock
) -> None:
    store.import_agents(users)
    days = store.agent_daily(days=30)
    clock.set("2026-06-10T12:00:00Z")
    store.record_agent_sample("builder")
    store.record_system_health()
    store.record_rag_metrics()
    store.retain({"task": "30 days", "commit": "30 days"})
    assert len(store.task_history("T-1")) == 1  # the newest of each task stays
    found = store.import_agents(users)
    assert found.total("inserted") == 0
    assert found.tables["agent_metrics"].retired == 4
    assert found.tables["task_events"].already_there == 2
    assert found.tables["task_events"].retired == 1
    assert store.agent_daily(days=120)[: len(days)] == days


def test_what_cannot_be_read_says_so(store: MetricsStore, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite"
    connection = sqlite3.connect(empty) if sqlite.binding is sqlite3 else None
    connection = connection or sqlite.binding.connect(empty)
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    with pytest.raises(SourceError, match="none of these tables"):
        store.import_agents(empty)
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(SourceError):
        store.import_agents(damaged)
    foreign = tmp_path / "names.sqlite"
    connection = sqlite.binding.connect(foreign)
    connection.execute("CREATE TABLE agent_metrics (agent_id, status, timestamp, nameless)")
    connection.execute("INSERT INTO agent_metrics VALUES ('a', 'active', 1770375600, 1)")
    connection.commit()
    connection.close()
    foreign.write_bytes(foreign.read_bytes().replace(b"nameless", b"name\xceess"))
    with pytest.raises(SourceError, match="can't decode"):
        store.import_agents(foreign)
    packed = tmp_path / "torn.gz"
    packed.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-20])
    with pytest.raises(SourceError):
        store.import_agents(packed)
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SourceError):
            store.import_agents(path)
    with pytest.raises(UsageError):
        store.import_agents(empty, table="other")
    with pytest.raises(InvalidQuery):
        store.import_agents(empty, zone="Nowhere/Land")
