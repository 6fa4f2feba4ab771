"""What executions come to, by plain Python over all of them: what the store's numbers are held to.

And strategies for executions of every shape, around the edges of the windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from math import ceil
from typing import Any

from hypothesis import strategies as st

from metrics_store import clock

Row = dict[str, Any]
_DAY = 86_400 * clock.MICROSECONDS
HOURS = {"1h": 1, "24h": 24, "7d": 168, "30d": 720, "90d": 2160}

names = st.sampled_from(["api", "web", "", "a\"b'c", "ünï😀", "x" * 50]) | st.none()
money = st.none() | st.decimals(0, 1000, places=9) | st.sampled_from(["0.1", 0.3, 7])
#: Microseconds before now: at the edges of every window, of days and of hours, and after now.
ages = st.one_of(
    st.sampled_from(
        [
            edge + off
            for edge in (0, *(hours * 3600 * clock.MICROSECONDS for hours in HOURS.values()))
            for off in (-1, 0, 1)
        ]
    ),
    st.integers(0, 100 * _DAY),
    st.integers(0, 3 * 3600 * clock.MICROSECONDS),
)


def rows_around(now_us: int) -> st.SearchStrategy[list[Row]]:
    """Executions within a hundred days before a moment, and a microsecond after it."""
    row = st.fixed_dictionaries(
        {"success": st.booleans(), "timestamp": ages.map(lambda age: clock.text(now_us - age))},
        optional={
            "repo": names,
            "model_tier": names,
            "task_type": names,
            "pool_type": names,
            "duration_seconds": st.none() | st.integers(0, 10**9).map(lambda us: us / 1e6),
            "quality_score": st.none() | st.integers(0, 100_000).map(lambda m: m / 1000),
            "cost_estimate": money,
            "actual_cost": money,
            "peak_memory_mb": st.none() | st.integers(0, 10**7).map(lambda kb: kb / 1000),
            "user_rating": st.none() | st.integers(1, 5),
            "user_accepted": st.none() | st.booleans(),
            "error_type": names,
            "solution_summary": st.none() | st.sampled_from(["retry", "rollback"]),
            "complexity_score": st.none() | st.integers(0, 10),
        },
    )
    return st.lists(row, max_size=30).map(
        lambda rows: [{**row, "task_id": f"t{n}"} for n, row in enumerate(rows)]
    )


def within(rows: Iterable[Row], now_us: int, time_range: str) -> list[Row]:
    """The executions of a window, both of its ends in it."""
    since = now_us - HOURS[time_range] * 3600 * clock.MICROSECONDS
    return [row for row in rows if since <= clock.parse(row["timestamp"]) <= now_us]


def values(rows: Iterable[Row], name: str) -> list[Any]:
    """The values of a field that are known."""
    return [row[name] for row in rows if row.get(name) is not None]


def dollars(amounts: Iterable[Any]) -> Decimal:
    """Their sum, exactly."""
    return sum((Decimal(str(amount)) for amount in amounts), Decimal(0))


def mean(found: Sequence[float]) -> float | None:
    """Their mean; None of nothing."""
    return sum(found) / len(found) if found else None


def numbers(rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers of some executions."""
    successes, costs = sum(row["success"] for row in rows), values(rows, "actual_cost")
    return {
        "executions": len(rows),
        "successes": successes,
        "success_rate": 100 * successes / len(rows) if rows else None,
        "avg_duration_seconds": mean(values(rows, "duration_seconds")),
        "total_cost": dollars(costs) if costs else None,
        "avg_quality_score": mean(values(rows, "quality_score")),
    }


def grouped(rows: Iterable[Row], *names: str) -> dict[tuple[str | None, ...], list[Row]]:
    """Executions by the values of fields; an empty one is none."""
    groups: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(name) or None for name in names)].append(row)
    return dict(groups)


def savings(rows: Iterable[Row]) -> Decimal | None:
    """The mean of the estimate less the cost, of those that have both."""
    both = [
        dollars([row["cost_estimate"]]) - dollars([row["actual_cost"]])
        for row in rows
        if row.get("cost_estimate") is not None and row.get("actual_cost") is not None
    ]
    return sum(both, Decimal(0)) / len(both) if both else None


def percentile(found: Sequence[float], quantile: float) -> float | None:
    """The nearest rank, exactly."""
    return sorted(found)[ceil(quantile * len(found)) - 1] if found else None


def is_near(estimate: float | None, exact: float | None, unit: float = 1e-6) -> bool:
    """Whether a percentile is within 1 % of the exact one; smaller than a unit there is nothing."""
    if estimate is None or exact is None:
        return estimate is exact
    return abs(estimate - exact) <= 0.01 * exact + unit


def agree(found: object, wanted: object, same: Callable[[Any, Any], bool] | None = None) -> bool:
    """Whether two values are the same, but for the rounding of floats and of mean money."""
    if found is None or wanted is None:
        return found is wanted
    if isinstance(found, (Decimal, float)):
        return abs(float(found) - float(wanted)) <= 1e-9 * max(1.0, abs(float(wanted)))  # type: ignore[arg-type]
    return found == wanted if same is None else same(found, wanted)
