"""The log of executions, its rollups and the tables beside them: kept, checked, mended, retired."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checking import problems
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_executions import HOURS, Row, rows_around

from metrics_store import MetricsStore, clock, schema, sqlite
from metrics_store.errors import SourceError
from metrics_store.families.executions import EXECUTIONS

Open = Callable[..., MetricsStore]
NOW = clock.parse("2026-03-10T12:00:00Z")
_files = itertools.count()


def _migration() -> str:
    [file] = schema.migrations_directory().glob("0009_*[!k].sql")
    return file.read_text(encoding="utf-8")


def test_the_migration_has_the_declaration_to_the_letter() -> None:
    text = _migration()
    assert EXECUTIONS.triggers() in text
    assert EXECUTIONS.guards() in text


def test_the_rollback_takes_away_all_that_the_migration_made() -> None:
    [file] = schema.migrations_directory().glob("0009_*.rollback.sql")
    text = file.read_text(encoding="utf-8")
    assert all(f"'{scope}'" in text for scope in EXECUTIONS.scopes())
    db = sqlite.binding.connect(":memory:", isolation_level=None)
    for path in sorted(schema.migrations_directory().glob("000[16]_*[!k].sql")):
        db.executescript(path.read_text(encoding="utf-8"))
    before = db.execute("SELECT name FROM sqlite_schema ORDER BY 1").fetchall()
    db.executescript(_migration())
    assert len(db.execute("SELECT name FROM sqlite_schema").fetchall()) > len(before) + 20
    db.execute(
        "INSERT INTO executions (id, timestamp, success, solution_summary, digest) "
        "VALUES ('a', '2026-03-10T12:00:00.000000Z', 1, 'x', '')"
    )
    db.executescript(text)
    assert db.execute("SELECT name FROM sqlite_schema ORDER BY 1").fetchall() == before
    assert db.execute("SELECT count(*) FROM rollup").fetchone() == (0,)
    db.close()


def _numbers(store: MetricsStore) -> dict[str, list[dict[str, Any]]]:
    tables = {
        "rollup": "SELECT * FROM rollup ORDER BY 1, 2, 3, 4, 5",
        "cells": "SELECT date, repo, model_tier, task_type, executions, successes, duration_us, "
        "p95_us, cost_nano, quality_milli FROM execution_cell ORDER BY 1, 2, 3, 4",
        "patterns": "SELECT solution_summary, repo, task_type, date, day.executions, "
        "pattern.executions AS ever FROM solution_pattern_day AS day "
        "JOIN solution_pattern AS pattern USING (pattern) ORDER BY 1, 2, 3, 4",
    }
    return {name: store.query(sql) for name, sql in tables.items()}


@settings(max_examples=25)
@given(rows_around(NOW), st.randoms(use_true_random=False))
def test_order_and_batches_make_no_difference(
    open_store: Open, rows: list[Row], random: Any
) -> None:
    one, other = (open_store(f"{next(_files)}.db") for _ in range(2))
    for row in rows:
        one.record_execution(**row)
    random.shuffle(rows)
    other.record_executions(rows, batch_size=7)
    assert other.record_executions(rows).inserted == 0
    assert _numbers(one) == _numbers(other)
    for store in (one, other):
        store.close()


@settings(max_examples=25)
@given(rows_around(NOW), st.integers(1, 90))
def test_retention_changes_no_number_and_what_it_deleted_is_not_taken_in_again(
    open_store: Open, rows: list[Row], days: int
) -> None:
    store = open_store(f"{next(_files)}.db")
    store.record_executions(rows)
    before = _numbers(store)
    shown = {view: _view(store, view) for view in ("tier_performance_mv", "solution_patterns_mv")}
    store.retain({"execution": f"{days} days"}, trust_clock=True)
    assert _numbers(store) == before
    assert {view: _view(store, view) for view in shown} == shown
    assert problems(store.path) == []
    assert store.check("deep").findings == ()
    store.close()


def _view(store: MetricsStore, view: str) -> list[dict[str, Any]]:
    return store.query(f"SELECT * FROM {view}")


def _filled(store: MetricsStore) -> None:
    store.record_executions(
        {
            "task_id": f"t{n}",
            "timestamp": f"2026-03-{1 + n % 9:02d}T10:00:00Z",
            "success": n % 3 > 0,
            "repo": f"r{n % 2}",
            "duration_seconds": n,
            "actual_cost": n,
            "quality_score": n,
            "solution_summary": f"s{n % 4}",
        }
        for n in range(60)
    )


DAMAGES = {
    "a cell's number": "UPDATE execution_cell SET successes = successes + 1 WHERE cell = 3",
    "a percentile": "UPDATE execution_cell SET p95_us = 1 WHERE cell = 3",
    "a cell that is gone": "DELETE FROM execution_cell WHERE cell = 3",
    "a bucket": "UPDATE execution_cell_bucket SET n = n + 1 WHERE cell = 3",
    "a pattern's day": "UPDATE solution_pattern_day SET cost_nano = 0 WHERE pattern = 2",
    "how often a pattern came": "UPDATE solution_pattern SET executions = 1 WHERE pattern = 2",
    "all of the tables": "DELETE FROM execution_cell_bucket",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("retained", [False, True], ids=["whole log", "after retention"])
def test_a_repair_makes_the_tables_what_they_were(
    store: MetricsStore,
    damaged: Callable[[Path], None],
    tmp_path: Path,
    damage: str,
    *,
    retained: bool,
) -> None:
    _filled(store)
    if retained:
        store.retain({"execution": "9 days"}, trust_clock=True)
        assert len(store.list_executions()) == 53  # the seven of the first of March are gone
    before = _numbers(store)
    store.database.write(lambda connection: connection.execute(damage))
    found = store.check()
    assert found.findings, "it was not noticed"
    assert all(finding.repairable for finding in found.findings)
    store.repair()
    damaged(*tmp_path.glob("m.db.backups/*.db"))  # the copy that was made before it
    assert store.check("deep").findings == ()
    assert _numbers(store) == before


def test_the_views_and_statistics_of_a_store_full_of_skills_begin_empty(
    store: MetricsStore,
) -> None:
    store.record_invocation("review")
    assert store.database_status().executions.total == 0
    assert all(not _view(store, view) for view in ("tier_performance_mv", "pool_performance_mv"))
    for time_range in HOURS:
        assert store.execution_statistics(time_range).performance.executions == 0  # type: ignore[arg-type]


def test_a_store_is_never_taken_for_something_to_import(store: MetricsStore) -> None:
    with pytest.raises(SourceError, match="SQLite"):
        store.import_executions(store.path)
    store.record_execution("after", success=True)
