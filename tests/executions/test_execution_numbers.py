"""Statistics and performance of every window agree with plain Python over the rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_executions import (
    HOURS,
    Row,
    agree,
    dollars,
    grouped,
    is_near,
    mean,
    numbers,
    percentile,
    rows_around,
    savings,
    values,
    within,
)
from settable_clock import SettableClock

from metrics_store import MetricsStore, clock
from metrics_store.errors import InvalidQuery

Open = Callable[..., MetricsStore]
#: In the midst of a day, at its very end and beginning, and within its first hour.
NOWS = (
    "2026-03-10T12:34:56.789012Z",
    "2026-03-10T23:59:59.999999Z",
    "2026-03-10T00:00:00Z",
    "2026-03-10T00:20:00Z",
)
_files = itertools.count()
histories = st.sampled_from(NOWS).flatmap(
    lambda now: st.tuples(st.just(now), rows_around(clock.parse(now)))
)


def _filled(open_store: Open, now: str, rows: list[Row], batch_size: int | None) -> MetricsStore:
    store = open_store(f"{next(_files)}.db", clock=SettableClock(now))
    if batch_size == 1:
        for row in rows:
            store.record_execution(**row)
    else:
        store.record_executions(rows, batch_size=batch_size)
    return store


@settings(max_examples=30)
@given(histories, st.randoms(use_true_random=False), st.sampled_from([None, 1, 9]))
def test_statistics_are_those_of_the_rows(
    open_store: Open, history: tuple[str, list[Row]], random: Any, batch_size: int | None
) -> None:
    now, rows = history
    random.shuffle(rows)
    store = _filled(open_store, now, rows, batch_size)
    for time_range in HOURS:
        inside = within(rows, clock.parse(now), time_range)
        found = store.execution_statistics(time_range)  # type: ignore[arg-type]
        assert_numbers(found.performance, inside)
        for name, listed in (
            ("model_tier", found.by_model_tier),
            ("pool_type", found.by_pool_type),
            ("task_type", found.by_task_type),
            ("repo", found.top_repositories),
        ):
            groups = grouped(inside, name)
            assert [(entry[name],) for entry in listed] == sorted(
                groups, key=lambda key: (-len(groups[key]), key[0] or "")
            )
            for entry in listed:
                assert_numbers(entry, groups[(entry[name],)])
        pieces = {piece.timestamp: piece for piece in found.time_series}
        assert list(pieces) == sorted(pieces)
        by_piece: dict[str, list[Row]] = {name: [] for name in pieces}
        for row in inside:
            by_piece[piece_of(row["timestamp"], time_range)].append(row)
        for name, of_it in by_piece.items():
            assert_numbers(pieces[name], of_it)
    store.close()


def piece_of(moment: str, time_range: str) -> str:
    """The beginning of the piece of a window in which a moment lies."""
    if time_range == "1h":
        return f"{moment[:14]}{int(moment[14:16]) // 5 * 5:02d}:00Z"
    return f"{moment[:13]}:00:00Z" if time_range == "24h" else f"{moment[:10]}T00:00:00Z"


def assert_numbers(found: Any, rows: list[Row]) -> None:
    for name, wanted in numbers(rows).items():
        assert agree(found[name], wanted), (name, found[name], wanted)
    if found.total_cost is not None:
        assert found.total_cost == dollars(values(rows, "actual_cost"))


@settings(max_examples=30)
@given(histories, st.sampled_from([None, 1, 9]))
def test_performance_is_that_of_the_rows(
    open_store: Open, history: tuple[str, list[Row]], batch_size: int | None
) -> None:
    now, rows = history
    store = _filled(open_store, now, rows, batch_size)
    for time_range in HOURS:
        inside = within(rows, clock.parse(now), time_range)
        found = store.performance_metrics(time_range)  # type: ignore[arg-type]
        times, memory = values(inside, "duration_seconds"), values(inside, "peak_memory_mb")
        assert agree(found.duration.avg_seconds, mean(times))
        for quantile, estimate in (
            (0.5, found.duration.p50_seconds),
            (0.95, found.duration.p95_seconds),
            (0.99, found.duration.p99_seconds),
        ):
            assert is_near(estimate, percentile(times, quantile))
        costs = values(inside, "actual_cost")
        assert found.cost.total_cost == (dollars(costs) if costs else None)
        assert agree(found.cost.avg_cost, dollars(costs) / len(costs) if costs else None)
        assert agree(found.cost.avg_savings, savings(inside))
        assert agree(found.resources.avg_memory_mb, mean(memory))
        assert is_near(found.resources.p95_memory_mb, percentile(memory, 0.95), 1e-3)
        tiers = grouped(inside, "model_tier")
        assert {(tier.model_tier,) for tier in found.by_model_tier} == set(tiers)
        for tier in found.by_model_tier:
            rows_of_it = tiers[(tier.model_tier,)]
            wanted = numbers(rows_of_it)
            for name in ("executions", "success_rate", "avg_duration_seconds", "total_cost"):
                assert agree(tier[name], wanted[name])
            assert is_near(
                tier.p95_duration_seconds, percentile(values(rows_of_it, "duration_seconds"), 0.95)
            )
            assert agree(tier.avg_savings, savings(rows_of_it))
    store.close()


@settings(max_examples=20)
@given(histories)
def test_the_status_counts_the_windows_and_rates_the_last_day(
    open_store: Open, history: tuple[str, list[Row]]
) -> None:
    now, rows = history
    store = _filled(open_store, now, rows, None)
    found = store.database_status()
    counts = {name: len(within(rows, clock.parse(now), name)) for name in ("1h", "24h", "7d")}
    assert found.executions.as_dict() == {
        "total": len(rows),
        "recent_1h": counts["1h"],
        "daily": counts["24h"],
        "weekly": counts["7d"],
    }
    daily = numbers(within(rows, clock.parse(now), "24h"))
    rate = daily["success_rate"]
    assert agree(found.performance.daily_success_rate, rate)
    assert agree(found.performance.avg_duration_seconds, daily["avg_duration_seconds"])
    assert agree(found.performance.avg_quality_score, daily["avg_quality_score"])
    assert bool(found.errors) == (rate is not None and rate < 70)
    quiet = bool(counts["24h"]) and not counts["1h"]
    low = rate is not None and 70 <= rate < 85
    assert len(found.warnings) == quiet + low
    status = "error" if found.errors else "warning" if found.warnings else "healthy"
    assert found.status == status
    store.close()


def test_no_data_is_null_and_never_nought_percent(store: MetricsStore) -> None:
    statistics = store.execution_statistics("24h").as_dict()
    assert list(statistics) == [
        "time_range", "time_series", "by_model_tier", "by_pool_type", "top_repositories",
        "by_task_type", "performance",
    ]  # fmt: skip
    nothing = {
        "executions": 0,
        "successes": 0,
        "success_rate": None,
        "avg_duration_seconds": None,
        "total_cost": None,
        "avg_quality_score": None,
    }
    assert statistics["performance"] == nothing
    series = statistics["time_series"]
    assert series == [
        {**nothing, "timestamp": f"2026-03-{9 + hour // 24:02d}T{hour % 24:02d}:00:00Z"}
        for hour in range(12, 37)
    ]
    assert store.performance_metrics("90d").as_dict() == {
        "time_range": "90d",
        "duration": {f"{name}_seconds": None for name in ("avg", "p50", "p95", "p99")},
        "cost": {"total_cost": None, "avg_cost": None, "avg_savings": None},
        "resources": {"avg_memory_mb": None, "p95_memory_mb": None},
        "by_model_tier": [],
    }
    status = store.database_status().as_dict()
    assert status.pop("database")["path"] == store.path  # type: ignore[index]
    assert status == {
        "status": "healthy",
        "timestamp": "2026-03-10T12:00:00.000000Z",
        "executions": {"total": 0, "recent_1h": 0, "daily": 0, "weekly": 0},
        "performance": {
            "daily_success_rate": None,
            "avg_duration_seconds": None,
            "avg_quality_score": None,
        },
        "warnings": [],
        "errors": [],
    }


def test_savings_may_be_negative_and_money_in_results_is_exact(store: MetricsStore) -> None:
    for n in range(3):
        store.record_execution(str(n), success=True, cost_estimate="0.1", actual_cost="0.3")
    cost = store.performance_metrics("1h").cost
    assert (cost.total_cost, cost.avg_cost) == (Decimal("0.9"), Decimal("0.3"))
    assert cost.avg_savings == Decimal("-0.2")
    assert store.performance_metrics("1h").as_dict()["cost"] == {
        "total_cost": 0.9,
        "avg_cost": 0.3,
        "avg_savings": -0.2,
    }


def test_the_ten_largest_repositories_are_named(store: MetricsStore) -> None:
    store.record_executions(
        {"success": True, "repo": f"repo-{n:02d}"} for n in range(12) for _ in range(n + 1)
    )
    found = store.execution_statistics("1h").top_repositories
    assert [entry.repo for entry in found] == [f"repo-{n:02d}" for n in range(11, 1, -1)]


@pytest.mark.parametrize("time_range", ["2h", "", None, 24, "7D"])
def test_a_window_that_is_none_is_refused(store: MetricsStore, time_range: Any) -> None:
    for ask in (store.execution_statistics, store.performance_metrics):
        with pytest.raises(InvalidQuery) as refused:
            ask(time_range)
        assert refused.value.hint == "It is 1h, 24h, 7d, 30d, 90d."
