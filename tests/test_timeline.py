"""Timelines against a model that walks through time in quarters of an hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, windows
from metrics_store.errors import InvalidQuery, InvalidValue

STEP = timedelta(minutes=15)  # every zone's offset has been a multiple of it since 1972
SPANS = {"hour": timedelta(hours=30), "day": timedelta(days=6), "week": timedelta(days=20)}
SPANS["month"] = timedelta(days=70)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",  # +05:45
    "America/St_Johns",  # -03:30, with summer time
    "Australia/Lord_Howe",  # summer time of half an hour
    "Africa/Cairo",  # its day begins at 01:00 once a year
    "America/Havana",  # midnight comes twice once a year
    "Pacific/Apia",  # has no 30 December 2011
]


@dataclass(frozen=True)
class Recorded:
    at: datetime
    outcome: str
    seconds: float | None


def _edges(start: datetime, now: datetime, bucket: str, zone: str) -> list[datetime]:
    """The moments at which a bucket begins, from the one start lies in to the first past now."""
    place = ZoneInfo(zone)
    at = start.replace(minute=0, second=0, microsecond=0) - 2 * SPANS[bucket]
    edges: list[datetime] = []
    latest = at.astimezone(place).date()
    while not edges or edges[-1] <= now:
        at += STEP
        local = at.astimezone(place)
        if bucket == "hour":
            begins = local.minute == 0
        else:
            begins = local.date() > latest
            latest = max(latest, local.date())
            begins = begins and (bucket != "week" or local.weekday() == 0)
            begins = begins and (bucket != "month" or local.day == 1)
        if begins:
            edges.append(at)
    return edges[max(i for i, edge in enumerate(edges) if edge <= start) :]


_edges_once = cache(_edges)


def _moments(now: datetime, bucket: str) -> st.SearchStrategy[datetime]:
    # Never after now: what lies ahead is not what a timeline is asked for.
    span = SPANS[bucket] * 2
    return st.integers(0, int(span.total_seconds() * 4)).map(
        lambda quarters: now - timedelta(seconds=quarters / 4)
    )


moments = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)).map(
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC)
) | st.sampled_from(
    [
        datetime(2026, 3, 29, 14, tzinfo=UTC),  # summer time begins in Berlin
        datetime(2026, 10, 25, 14, tzinfo=UTC),  # and ends
        datetime(2026, 11, 1, 14, tzinfo=UTC),  # Havana, New York, St John's
        datetime(2026, 4, 24, 14, tzinfo=UTC),  # Cairo
        datetime(2012, 1, 2, 0, tzinfo=UTC),  # Apia
        datetime(2026, 4, 5, 2, tzinfo=UTC),  # Lord Howe
    ]
)


@given(
    st.data(), moments, st.sampled_from(["hour", "day", "week", "month"]), st.sampled_from(ZONES)
)
@example(None, datetime(2012, 1, 2, 0, tzinfo=UTC), "day", "Pacific/Apia")
@example(None, datetime(2026, 10, 25, 1, 5, tzinfo=UTC), "hour", "Europe/Berlin")
@example(None, datetime(2026, 4, 24, 14, tzinfo=UTC), "day", "Africa/Cairo")
@example(None, datetime(2026, 11, 1, 14, tzinfo=UTC), "day", "America/Havana")
def test_it_is_what_the_model_says(
    store: MetricsStore, data: st.DataObject | None, now: datetime, bucket: str, zone: str
) -> None:
    if bucket == "hour" and zone == "Australia/Lord_Howe":
        zone = "Asia/Kathmandu"  # hours of half an hour are nobody's question
    records = []
    if data is not None:
        at = _moments(now, bucket)
        outcomes = st.sampled_from(["completed", "completed", "failed", "abandoned"])
        seconds = st.none() | st.integers(0, 10_000).map(lambda ms: ms / 1000)
        records = data.draw(st.lists(st.builds(Recorded, at, outcomes, seconds), max_size=30))
    skill = f"s{store.query('SELECT count(*) AS n FROM skill_invocation')[0]['n']}-{now}-{bucket}"
    store.record_invocations(
        {
            "skill_name": skill,
            "invoked_at": record.at,
            "outcome": record.outcome,
            "duration_seconds": record.seconds,
        }
        for record in records
    )
    edges = _edges_once(now - SPANS[bucket], now, bucket, zone)
    points = store.get_skill_timeline(skill, SPANS[bucket], bucket, zone=zone, now=now)  # type: ignore[arg-type]
    assert [datetime.fromisoformat(point.time_bucket) for point in points] == edges[:-1]
    for point, start, end in zip(points, edges, edges[1:], strict=False):
        within = [record for record in records if start <= record.at < end]
        times = sorted(
            record.seconds
            for record in within
            if record.outcome == "completed" and record.seconds is not None
        )
        assert point.invocations == len(within)
        for outcome in ("completed", "failed", "abandoned"):
            assert point[outcome] == sum(record.outcome == outcome for record in within)
        assert point.total_duration_seconds == pytest.approx(sum(times))
        assert point["avg_duration"] == (pytest.approx(sum(times) / len(times)) if times else None)
        assert point.min_duration_seconds == (times[0] if times else None)
        assert point.max_duration_seconds == (times[-1] if times else None)
        if zone == "UTC" and bucket != "hour" and times:
            middle = times[(len(times) - 1) // 2]
            assert point.p50_duration_seconds == pytest.approx(middle, rel=0.01, abs=1e-6)


def test_without_more_words_it_is_seven_days_of_utc(
    store: MetricsStore, clock: SettableClock
) -> None:
    store.record_invocation("deploy", duration_seconds=1)
    points = store.get_skill_timeline("deploy")
    assert [point.time_bucket for point in points] == [
        f"2026-03-{day:02d}T00:00:00Z" for day in range(3, 11)
    ]
    assert [point.invocations for point in points] == [0] * 7 + [1]
    assert points[-1].p50_duration_seconds == 1.0
    assert points[0].avg_duration_seconds is None


def test_a_short_window_is_in_hours(store: MetricsStore) -> None:
    points = store.get_skill_timeline("deploy", "3 hours")
    assert [point.time_bucket[11:13] for point in points] == ["09", "10", "11", "12"]


def test_local_buckets_say_their_offset(store: MetricsStore) -> None:
    points = store.get_skill_timeline("deploy", "1 day", "day", zone="Asia/Kathmandu")
    assert points[-1].time_bucket == "2026-03-10T00:00:00+05:45"


def test_a_skill_that_nobody_knows_has_a_timeline_of_nothing(store: MetricsStore) -> None:
    assert sum(point.invocations for point in store.get_skill_timeline("nobody")) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_window": "soon"},
        {"time_window": 0},
        {"time_window": -5},
        {"time_window": float("nan")},
        {"time_window": float("inf")},
        {"time_window": 10**400},
        {"time_window": "9" * 400 + " days"},
        {"time_window": None},
        {"time_window": True},
        {"time_window": "1000 years", "bucket": "hour"},
        {"bucket": "minute"},
        {"zone": "Europe/Nowhere"},
        {"zone": "../../etc/passwd"},
        {"zone": ""},
        {"zone": "a\0b"},
        {"zone": "half \ud800"},
        {"zone": "a." * 5000},
        {"zone": 5},
    ],
)
def test_what_is_no_window_bucket_or_zone_is_refused(
    store: MetricsStore, wrong: dict[str, object]
) -> None:
    with pytest.raises(InvalidQuery):
        store.get_skill_timeline("deploy", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nobody", "", "half \ud800"])
def test_a_skill_that_is_not_there_did_nothing(store: MetricsStore, name: str) -> None:
    points = store.get_skill_timeline(name, "2 days", "day")
    assert [point.invocations for point in points] == [0, 0, 0]


@pytest.mark.parametrize("name", [None, 1, 10**30, b"deploy", ["deploy"]])
def test_what_is_no_name_has_no_timeline(store: MetricsStore, name: Any) -> None:
    with pytest.raises(InvalidQuery):
        store.get_skill_timeline(name)


def test_now_must_bear_its_offset(store: MetricsStore) -> None:
    for now in ("2026-03-10T12:00:00", datetime(2026, 3, 10), "noon"):
        with pytest.raises(InvalidValue):
            store.get_skill_timeline("deploy", now=now)


@pytest.mark.parametrize("year", [1, 2, 9998, 9999])
@pytest.mark.parametrize("bucket", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", [None, "Pacific/Apia", "America/New_York"])
def test_the_ends_of_the_calendar_are_no_accident(
    store: MetricsStore, year: int, bucket: str, zone: str | None
) -> None:
    for month, day in ((1, 1), (12, 31)):
        now = datetime(year, month, day, 12, tzinfo=UTC)
        store.get_skill_timeline("deploy", "2 days", bucket, zone=zone, now=now)  # type: ignore[arg-type]
        store.get_daily_counts(14, now=now)


def test_daily_counts_are_of_every_skill(store: MetricsStore) -> None:
    for days_ago, skill in ((0, "a"), (0, "a"), (1, "b"), (13, "b"), (14, "c")):
        moment = datetime(2026, 3, 10, 11, tzinfo=UTC) - timedelta(days=days_ago)
        store.record_invocation(skill, invoked_at=moment)
    assert store.get_daily_counts() == {
        "a": [0] * 13 + [2],
        "b": [1] + [0] * 11 + [1, 0],
    }
    with pytest.raises(InvalidQuery):
        store.get_daily_counts(0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7 days", 604_800),
        ("90 min", 5_400),
        ("2w", 1_209_600),
        ("day", 86_400),
        (" 1.5 Hours ", 5_400),
        ("1 month", 2_592_000),
        ("1y", 31_536_000),
        (30, 30),
        (timedelta(minutes=1), 60),
    ],
)
def test_windows_are_read_as_people_write_them(
    text: str | float | timedelta, seconds: float
) -> None:
    assert windows.seconds(text) == seconds


def test_the_machines_own_zone_does_not_matter(
    store: MetricsStore, python: Callable[..., object]
) -> None:
    store.record_invocation("deploy", invoked_at="2026-03-10T00:10:00Z")
    script = (
        "import sys\nfrom metrics_store import MetricsStore\nstore = MetricsStore(sys.argv[1])\n"
        "points = store.get_skill_timeline('deploy', now='2026-03-10T12:00:00Z')\n"
        "print([tuple(point.as_dict().values()) for point in points])\n"
        "print(store.get_skill_metrics('deploy'), store.get_daily_counts(3))"
    )
    zones = ("UTC", "Asia/Kathmandu", "Pacific/Apia")
    printed = {python(script, store.path, TZ=zone).stdout for zone in zones}  # type: ignore[attr-defined]
    assert len(printed) == 1
