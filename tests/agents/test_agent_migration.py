"""Migration 0010: onto a store full of skills, back with everything of its own, and on again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore, Settings, schema
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import DuplicateRecord

SCOPES = ("agent", "task", "commit", "system", "rag")
TABLES = ("agent_metrics", "task_events", "git_commits", "system_health", "rag_metrics")


def _fill(store: MetricsStore) -> None:
    for day in range(1, 11):
        at = f"2026-03-{day:02d}T12:00:00Z"
        store.record_agent_sample("builder", at=at, cpu_usage=day)
        store.record_task_event("T", "updated", at=at, assigned_to="builder")
        store.record_commit(f"{day:040x}", commit_timestamp=at, lines_added=day)
        store.record_system_health(at=at, cpu=day)
        store.record_rag_metrics(at=at, hit_rate=day / 10)


def _numbers(store: MetricsStore, scopes: tuple[str, ...]) -> list[dict[str, object]]:
    names = ", ".join(f"'{scope}'" for scope in scopes)
    tables = ("rollup", "rollup_retired")
    return [
        row for table in tables
        for row in store.query(f"SELECT * FROM {table} WHERE scope IN ({names})")
    ]  # fmt: skip


def test_going_back_leaves_the_skills_alone_and_nothing_of_its_own(
    store: MetricsStore, tmp_path: Path
) -> None:
    for n in range(200):
        store.record_invocation(f"s{n % 3}", n % 5 != 0, duration_seconds=n)
    _fill(store)
    store.retain({"agent": "2 days", "system": "2 days", "commit": "3 days", "task": "1 day"})
    assert _numbers(store, SCOPES)
    skills = _numbers(store, ("skill", "session"))
    path = store.path
    store.close()
    database = Database(Settings(path, durability="normal"), Clock())
    schema.roll_back(database, 9)
    with database.read(check_schema=False) as connection:
        left = connection.execute("SELECT name FROM sqlite_schema").fetchall()
        assert not {name for (name,) in left} & {*TABLES, "task_board", "agent_status"}
        for table, column in (
            ("rollup", "scope"), ("rollup_retired", "scope"), ("retired_id", "family"),
            ("retention_horizon", "family"),
        ):  # fmt: skip
            found = connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
            assert not {name for (name,) in found} & set(SCOPES), table
    database.close()
    again = MetricsStore(path, durability="normal")
    assert _numbers(again, ("skill", "session")) == skills
    _fill(again)
    assert len(again.agent_history("builder", None)) == 10
    assert again.check("deep").findings == ()


def test_logs_are_never_changed(store: MetricsStore) -> None:
    _fill(store)
    for table in TABLES:
        for sql in (f"UPDATE {table} SET digest = 'x'", f"DELETE FROM {table}"):
            # What a trigger aborts with is a constraint that failed.
            with pytest.raises(Exception, match="append-only"):
                store.database.write(lambda connection, sql=sql: connection.execute(sql))
    assert store.check("deep").findings == ()


_IMPORT = """
import os, sys
from metrics_store import MetricsStore
from metrics_store.agents import importing
take, left = importing._Pass.take, [int(sys.argv[3])]
def some(self, records):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), 9)
    take(self, records)
importing._Pass.take = some
importing._BATCH = 100
MetricsStore(sys.argv[1]).import_agents(sys.argv[2])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_an_import_that_was_killed_goes_on_where_it_was(
    store: MetricsStore, tmp_path: Path
) -> None:
    lines = tmp_path / "samples.jsonl"
    at = "2026-03-09T10:00:00Z"
    with lines.open("w") as file:
        for n in range(1000):  # each twice: what is the same is told apart by its number
            record = {"agent_id": "a", "status": "idle", "at": at, "cpu_usage": n // 2}
            file.write(json.dumps(record) + "\n")
    killed = subprocess.run(
        [sys.executable, "-c", _IMPORT, store.path, str(lines), "4"],
        env={**os.environ, "PYTHONPATH": python_path()}, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -9
    assert len(store.agent_history("a", None)) == 400
    found = store.import_agents(lines)
    assert (found.total("inserted"), found.total("already_there")) == (600, 400)
    [day] = store.agent_daily("a")
    assert (day.samples, day.cpu_usage and day.cpu_usage.total) == (1000, 2 * sum(range(500)))


def test_an_id_is_of_one_record_alone(store: MetricsStore) -> None:
    store.record_task_event("T", "created", record_id="one", at="2026-03-09T10:00:00Z")
    with pytest.raises(DuplicateRecord, match="one"):
        store.record_task_event("U", "created", record_id="one", at="2026-03-09T10:00:00Z")
    assert store.tasks()[0].task_id == "T"
