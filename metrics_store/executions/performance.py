"""How long executions took, what they cost and needed, over a window."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from metrics_store import percentiles
from metrics_store.connection import Database
from metrics_store.executions import money
from metrics_store.executions.results import (
    Costs,
    Durations,
    PerformanceMetrics,
    Resources,
    TierPerformance,
)
from metrics_store.executions.statistics import ordered
from metrics_store.executions.sums import Part, Sums, all_of, tiers
from metrics_store.executions.windows import TimeRange, Window, window
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_SECOND, _MEGABYTE = 1_000_000, 1000

Buckets = Counter[int]


def performance(database: Database, time_range: TimeRange) -> PerformanceMetrics:
    """How the executions of a window up to now performed.

    Raises:
        InvalidQuery: there is no such window.
    """
    wanted = window(time_range, database.clock.now_us())
    with database.read() as connection:
        by_tier = tiers(connection, wanted)
        durations, memory, memory_buckets = _measured(connection, wanted, list(by_tier))
    every, total = all_of(by_tier), Buckets()
    for buckets in durations.values():
        total.update(buckets)
    p50, p95, p99 = (_seconds(total, q, every.duration) for q in (0.5, 0.95, 0.99))
    return PerformanceMetrics(
        time_range=wanted.name,
        duration=Durations(every.duration.mean(_SECOND), p50, p95, p99),
        cost=Costs(every.total_cost, _mean(every.cost), _mean(every.savings)),
        resources=Resources(
            memory.mean(_MEGABYTE), _estimate(memory_buckets, 0.95, memory, _MEGABYTE)
        ),
        by_model_tier=tuple(
            _tier(name, sums, durations.get(name or "", Buckets()))
            for name, sums in ordered(by_tier)
        ),
    )


def _tier(name: str | None, sums: Sums, buckets: Mapping[int, int]) -> TierPerformance:
    return TierPerformance(
        name,
        sums.n,
        sums.rate,
        sums.duration.mean(_SECOND),
        _seconds(buckets, 0.5, sums.duration),
        _seconds(buckets, 0.95, sums.duration),
        sums.total_cost,
        _mean(sums.cost),
        _mean(sums.savings),
    )


def _measured(
    connection: Connection, wanted: Window, names: list[str]
) -> tuple[dict[str, Buckets], Part, Buckets]:
    """Buckets of durations by tier, the memory, and its buckets."""
    durations: dict[str, Buckets] = {}
    memory, memory_buckets = Part(), Buckets()
    if wanted.days:
        values = {"days": json.dumps(wanted.days), "subjects": json.dumps(names)}
        for tier, bucket, n in connection.execute(query("executions.duration_buckets"), values):
            durations.setdefault(tier, Buckets())[bucket] += n
        days = {"days": values["days"]}
        n, *numbers = connection.execute(query("executions.memory_of_days"), days).fetchone()
        if n:
            memory.add(n, *numbers)
        memory_buckets.update(dict(connection.execute(query("executions.memory_buckets"), days)))
    for tier, duration, kilobytes in connection.execute(
        query("executions.measured_in_parts"), wanted.cuts
    ):
        if duration is not None:
            durations.setdefault(tier, Buckets())[_bucket(duration)] += 1
        if kilobytes is not None:
            memory.add(1, kilobytes, kilobytes, kilobytes)
            memory_buckets[_bucket(kilobytes)] += 1
    return durations, memory, memory_buckets


def _bucket(value: int) -> int:
    return bisect_right(percentiles.BOUNDS, value) - 1


def _seconds(buckets: Mapping[int, int], quantile: float, part: Part) -> float | None:
    return _estimate(buckets, quantile, part, _SECOND)


def _estimate(buckets: Mapping[int, int], quantile: float, part: Part, unit: int) -> float | None:
    estimate = percentiles.estimate_us(sorted(buckets.items()), quantile, part.least, part.most)
    return None if estimate is None else estimate / unit


def _mean(part: Part) -> Decimal | None:
    return money.average(part.total, part.n)
