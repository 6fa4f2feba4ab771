"""Whether a service is getting slower: by medians of days, so that one bad day says nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore, clock
from metrics_store.services import recording
from metrics_store.services.trend import LEAST_OF_DAY, SHARE, SPREADS

#: The noon of the test's clock.
NOON = clock.parse("2026-03-10T12:00:00Z")
DAY = 86_400 * clock.MICROSECONDS
_names = (f"service-{n}" for n in count())

Days = Sequence[Sequence[float | None]]


def fill(store: MetricsStore, name: str, days: Days, step: float = 60.0) -> None:
    """Heartbeats of some days up to today, with their latencies; those of a day follow closely."""
    beats = [
        recording.checked(
            NOON - (len(days) - 1 - day) * DAY - round((len(latencies) - at) * step * 1e6),
            name,
            "running",
            latency=latency,
        )
        for day, latencies in enumerate(days)
        for at, latency in enumerate(latencies)
    ]
    recording.record(store.database, beats)


@pytest.mark.parametrize(
    ("before", "recent", "verdict"),
    [
        ([1.0] * 12, [1.0] * 3, "steady"),
        ([1.0] * 12, [1.15] * 3, "steady"),
        ([1.0] * 12, [1.3] * 3, "slower"),
        ([1.0] * 12, [0.7] * 3, "faster"),
        # One bad day among the recent ones, and one among those before.
        ([1.0] * 12, [1.0, 9.0, 1.0], "steady"),
        ([1.0] * 11 + [50.0], [1.0] * 3, "steady"),
        # Days that differ much: as much as that is usual.
        ([1.0, 2.0] * 6, [2.4] * 3, "steady"),
        ([1.0, 2.0] * 6, [9.0] * 3, "slower"),
    ],
)
def test_the_verdict_is_by_medians_of_days(
    store: MetricsStore, before: list[float], recent: list[float], verdict: str
) -> None:
    fill(store, "librarian", [[value] * 10 for value in (*before, *recent)])
    trend = store.trend("librarian", days=3, before=12)
    assert trend is not None
    assert (trend.verdict, trend.measure) == (verdict, "latency")
    assert (trend.recent_measured, trend.before_measured) == (30, 120)
    assert [day.measured for day in trend.days] == [10] * 15
    assert trend.days[-1].day == "2026-03-10"
    for day, value in zip(trend.days, (*before, *recent), strict=True):
        assert day.median_seconds == pytest.approx(value, rel=0.01)


def test_too_little_says_nothing(store: MetricsStore) -> None:
    fill(store, "librarian", [[1.0] * 19, [5.0] * 30])
    trend = store.trend("librarian", days=1, before=1)
    assert trend is not None
    assert (trend.verdict, trend.tolerance_seconds) == ("unknown", None)
    assert trend.change_percent == pytest.approx(400, rel=0.03)
    store.heartbeat("other", "running")
    nothing = store.trend("other")
    assert nothing is not None
    assert (nothing.verdict, nothing.recent_seconds, nothing.change_percent) == (
        "unknown", None, None
    )  # fmt: skip


def test_without_latencies_the_intervals_are_measured_but_no_outages(store: MetricsStore) -> None:
    fill(store, "librarian", [[None] * 30] * 4, step=60.0)
    assert store.trend("librarian", days=1, before=3).verdict == "steady"  # type: ignore[union-attr]
    fill(store, "slow", [[None] * 30] * 3, step=60.0)
    slower = [
        recording.checked(NOON + at * 100 * clock.MICROSECONDS, "slow", "running")
        for at in range(40)
    ]
    recording.record(store.database, slower)
    store.database.clock.us = NOON + 5000 * clock.MICROSECONDS  # type: ignore[attr-defined]
    trend = store.trend("slow", days=1, before=2)
    assert trend is not None
    assert trend.measure == "interval"
    assert [day.measured for day in trend.days] == [29, 29, 69]
    assert trend.recent_seconds == pytest.approx(100.0, rel=0.01)
    assert trend.before_seconds == pytest.approx(60.0, rel=0.01)
    assert trend.verdict == "slower"


latencies = st.lists(
    st.lists(st.floats(0.001, 1000), max_size=30), min_size=2, max_size=8
)  # fmt: skip


@given(latencies, st.integers(1, 6))
def test_medians_are_those_of_the_values_within_one_percent(
    open_store: Callable[..., MetricsStore], days: list[list[float]], recent: int
) -> None:
    recent = min(recent, len(days) - 1)
    before = len(days) - recent
    name, store = next(_names), open_store("trend.db")
    fill(store, name, days)
    trend = store.trend(name, days=recent, before=before)
    store.close()
    values = [value for day in days for value in day]
    if not values:
        assert trend is None
        return
    assert trend is not None
    earlier = sorted(value for day in days[:before] for value in day)
    later = sorted(value for day in days[before:] for value in day)
    for side, measured, found in (
        (earlier, trend.before_measured, trend.before_seconds),
        (later, trend.recent_measured, trend.recent_seconds),
    ):
        assert measured == len(side)
        expected = side[(len(side) - 1) // 2] if side else None
        assert found == (None if expected is None else pytest.approx(expected, rel=0.011))
    assert (trend.verdict == "unknown") == (min(len(earlier), len(later)) < 20)
    if trend.verdict != "unknown":
        assert trend.before_seconds is not None
        assert trend.recent_seconds is not None
        assert trend.tolerance_seconds is not None
        daily = [d.median_seconds for d in trend.days[:before] if d.measured >= LEAST_OF_DAY]
        middle = median(m for m in daily if m is not None) if daily else 0.0
        spread = median(abs(m - middle) for m in daily if m is not None) if daily else 0.0
        tolerance = max(SHARE * trend.before_seconds, SPREADS * spread)
        assert trend.tolerance_seconds == pytest.approx(tolerance)
        change = trend.recent_seconds - trend.before_seconds
        expected_verdict = "slower" if change > 0 else "faster"
        assert trend.verdict == (expected_verdict if abs(change) > tolerance else "steady")
