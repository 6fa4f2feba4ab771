"""Percentiles from buckets are within 1 % of the exact nearest rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore, percentiles, rows
from metrics_store.percentiles import BOUNDS

Open = Callable[..., MetricsStore]
durations = st.integers(0, rows.MAX_DURATION_US) | st.integers(0, 3000)


def test_the_database_has_the_same_bounds(store: MetricsStore) -> None:
    rows_ = store.query("SELECT lower, bucket FROM bucket_bound ORDER BY bucket")
    assert [row["lower"] for row in rows_] == list(BOUNDS)
    assert [row["bucket"] for row in rows_] == list(range(len(BOUNDS)))
    assert BOUNDS[0] == 0
    assert BOUNDS[-1] >= rows.MAX_DURATION_US


@given(durations)
def test_a_buckets_middle_is_within_one_percent_of_all_in_it(us: int) -> None:
    bucket = max(index for index, lower in enumerate(BOUNDS) if lower <= us)
    assert abs(percentiles.representative_us(bucket) - us) <= us / 100


def test_the_bounds_grow_by_at_most_two_percent() -> None:
    for low, high in pairwise(BOUNDS):
        assert low < high
        assert high - 1 <= low * 1.02 or high == low + 1


@pytest.mark.parametrize(("quantile", "exact"), [(0.5, "1/2"), (0.95, "19/20"), (0.99, "99/100")])
def test_the_rank_is_the_nearest_one_whatever_floats_do(quantile: float, exact: str) -> None:
    for n in range(1, 20_001):
        assert percentiles.rank(quantile, n) == ceil(Fraction(exact) * n)


def test_a_rank_stays_within_the_counts() -> None:
    assert percentiles.rank(0, 5) == 1
    assert percentiles.rank(1, 5) == 5
    with pytest.raises(ValueError, match="past the end"):
        percentiles.locate([(1, 2)], 3)
    assert percentiles.estimate_us([], 0.5, None, None) is None


@given(st.lists(durations, min_size=1, max_size=60))
def test_the_store_is_within_one_percent_of_the_exact_nearest_rank(
    store: MetricsStore, values: list[int]
) -> None:
    name = f"s{store.get_summary().total_skills}"
    store.record_invocations(
        [{"skill_name": name, "duration_seconds": us / 1e6} for us in values]
        + [{"skill_name": name, "completed": False, "duration_seconds": 5}]
    )
    estimated, exact = store.get_skill_metrics(name), store.get_skill_metrics(name, exact=True)
    assert estimated is not None
    assert exact is not None
    values.sort()
    for percent in (50, 95, 99):
        wanted = values[ceil(Fraction(percent * len(values), 100)) - 1] / 1e6
        field = f"p{percent}_duration_seconds"
        assert exact[field] == pytest.approx(wanted, abs=1e-6)
        assert abs(estimated[field] - wanted) <= wanted * 0.01 + 1e-6  # type: ignore[operator]
        assert values[0] / 1e6 - 1e-6 <= estimated[field] <= values[-1] / 1e6 + 1e-6  # type: ignore[operator]
    assert store.get_all_metrics()[name] == estimated


def test_a_single_duration_is_given_exactly(store: MetricsStore) -> None:
    store.record_invocation("deploy", duration_seconds=123.456789)
    metrics = store.get_skill_metrics("deploy")
    assert metrics is not None
    assert {metrics[f"p{p}_duration_seconds"] for p in (50, 95, 99)} == {123.456789}


def test_without_durations_there_are_no_percentiles(store: MetricsStore) -> None:
    store.record_invocation("deploy")
    store.record_invocation("deploy", False, duration_seconds=3)
    for exact in (False, True):
        metrics = store.get_skill_metrics("deploy", exact=exact)
        assert metrics is not None
        assert metrics.p50_duration_seconds is metrics.p99_duration_seconds is None


def test_the_trigger_puts_each_duration_into_its_bucket(store: MetricsStore) -> None:
    values = sorted({*BOUNDS[:5], *(b + d for b in BOUNDS[5::40] for d in (-1, 0, 1))})
    values = [us for us in values if us <= rows.MAX_DURATION_US]
    for us in values:
        store.record_invocation("deploy", duration_seconds=us / 1e6)
    kept = store.query("SELECT label, n FROM rollup WHERE kind = 'value' AND period = ''")
    wanted = Counter(max(i for i, low in enumerate(BOUNDS) if low <= us) for us in values)
    assert {row["label"]: row["n"] for row in kept} == dict(wanted)
