"""The three views agree with plain Python over the rows, and answer without reading the log."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_executions import (
    Row,
    agree,
    dollars,
    grouped,
    is_near,
    mean,
    numbers,
    percentile,
    rows_around,
    values,
)

from metrics_store import MetricsStore, clock

Open = Callable[..., MetricsStore]
_files = itertools.count()
VIEWS = ("tier_performance_mv", "pool_performance_mv", "solution_patterns_mv")


def _now(store: MetricsStore) -> str:
    """The hour by SQLite's own clock, which the views go by."""
    return str(store.query("SELECT strftime('%Y-%m-%dT%H', 'now') AS hour")[0]["hour"])


def _before(hour: str, back: timedelta) -> str:
    moment = clock.to_datetime(clock.parse(f"{hour}:00:00Z")) - back
    return clock.text(clock.of_datetime(moment))


@settings(max_examples=30)
@given(st.data(), st.sampled_from([None, 1, 9]))
def test_the_views_are_those_of_the_rows(
    open_store: Open, data: st.DataObject, batch_size: int | None
) -> None:
    store = open_store(f"{next(_files)}.db")
    hour = _now(store)
    rows = data.draw(rows_around(clock.parse(f"{hour}:30:00Z")))
    rows += [{**row, "task_id": f"again {row['task_id']}"} for row in rows]
    store.record_executions(rows, batch_size=batch_size)
    found = {view: store.query(f"SELECT * FROM {view}") for view in VIEWS}
    assume(_now(store) == hour)
    _assert_tiers(found["tier_performance_mv"], rows, _before(hour, timedelta(30))[:10])
    _assert_pools(found["pool_performance_mv"], rows, _before(hour, timedelta(7))[:13])
    _assert_patterns(found["solution_patterns_mv"], rows, _before(hour, timedelta(90))[:10])
    store.close()


def _assert_same(found: dict[str, Any], rows: list[Row], *names: str) -> None:
    wanted = numbers(rows)
    costs = values(rows, "actual_cost")
    wanted["avg_cost"] = float(dollars(costs) / len(costs)) if costs else None
    for name in ("success_rate", "avg_duration_seconds", "avg_cost", "avg_quality_score", *names):
        assert agree(found[name], wanted[name]), (name, found[name], wanted[name])


def _assert_tiers(found: list[dict[str, Any]], rows: list[Row], since: str) -> None:
    dated = [{**row, "date": row["timestamp"][:10]} for row in rows if row["timestamp"] >= since]
    groups = grouped(dated, "repo", "model_tier", "task_type", "date")
    keys = [(r["repo"], r["model_tier"], r["task_type"], r["date"]) for r in found]
    assert len(set(keys)) == len(keys)
    assert set(keys) == set(groups)
    for key, cell in zip(keys, found, strict=True):
        _assert_same(cell, groups[key], "executions", "successes", "total_cost")
        exact = percentile(values(groups[key], "duration_seconds"), 0.95)
        assert is_near(cell["p95_duration_seconds"], exact)


def _assert_pools(found: list[dict[str, Any]], rows: list[Row], since: str) -> None:
    timed = [
        {**row, "hour": f"{row['timestamp'][:13]}:00:00Z"}
        for row in rows
        if row["timestamp"] >= since
    ]
    groups = grouped(timed, "pool_type", "hour")
    assert {(row["pool_type"], row["hour"]) for row in found} == set(groups)
    for row in found:
        of_it = groups[row["pool_type"], row["hour"]]
        _assert_same(row, of_it, "executions", "successes", "total_cost")


def _assert_patterns(found: list[dict[str, Any]], rows: list[Row], since: str) -> None:
    solved = [row for row in rows if row["timestamp"] >= since and row.get("solution_summary")]
    groups = {
        key: of_it
        for key, of_it in grouped(solved, "solution_summary", "repo", "task_type").items()
        if len(of_it) >= 5
    }
    keys = [(row["solution_summary"], row["repo"], row["task_type"]) for row in found]
    assert sorted(keys, key=str) == sorted(groups, key=str)
    for key, row in zip(keys, found, strict=True):
        of_it = groups[key]
        _assert_same(row, of_it)
        assert (row["usage_count"], row["successes"]) == (
            len(of_it),
            sum(one["success"] for one in of_it),
        )
        days = sorted(one["timestamp"][:10] for one in of_it)
        assert (row["first_used"], row["last_used"]) == (days[0], days[-1])


def test_a_pattern_is_one_from_its_fifth_use_within_90_days_on(store: MetricsStore) -> None:
    hour = _now(store)

    def solve(task_id: str, at: str, *, success: bool = True) -> None:
        store.record_execution(task_id, success=success, solution_summary="retry", timestamp=at)

    for n in range(4):
        solve(f"old {n}", _before(hour, timedelta(100)))
        solve(f"new {n}", f"{hour}:00:00Z", success=n > 0)
    assert store.query("SELECT * FROM solution_patterns_mv") == []
    solve("fifth", f"{hour}:00:00Z")
    [pattern] = store.query("SELECT * FROM solution_patterns_mv")
    assert (pattern["usage_count"], pattern["success_rate"]) == (5, 80.0)


def test_the_95th_percentile_of_a_cell_of_many_is_within_1_percent(store: MetricsStore) -> None:
    hour = _now(store)
    times = [((n * 7919) % 5000 + 1) ** 1.5 / 1000 for n in range(2000)]
    store.record_executions(
        ({"success": True, "duration_seconds": t, "timestamp": f"{hour}:00:00Z"} for t in times),
        batch_size=500,
    )
    [cell] = store.query("SELECT * FROM tier_performance_mv")
    assert cell["executions"] == 2000
    assert is_near(cell["p95_duration_seconds"], percentile(times, 0.95))
    assert agree(cell["avg_duration_seconds"], mean([round(t, 6) for t in times]))


def test_the_views_never_read_the_log(store: MetricsStore) -> None:
    expected = {
        "tier_performance_mv": "SEARCH execution_cell USING INDEX sqlite_autoindex_execution_cell_1"
        " (date>?)",
        "pool_performance_mv": "SEARCH rollup USING PRIMARY KEY (scope=? AND period>?)",
        "solution_patterns_mv": "SEARCH day USING PRIMARY KEY (pattern=? AND date>?)",
    }
    for view, read in expected.items():
        plan = store.query(f"EXPLAIN QUERY PLAN SELECT * FROM {view}")
        steps = [str(step["detail"]) for step in plan]
        assert read in steps
        scanned = {step.split(" ", 1)[1] for step in steps if step.startswith("SCAN")}
        # What a view or a subquery has found, and the patterns that came often enough.
        assert scanned <= {view, "used", "found USING INDEX solution_pattern_used"}
