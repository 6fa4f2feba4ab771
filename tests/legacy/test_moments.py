"""Moments of a legacy file: local time of a zone, its hours that come twice or never."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore, clock
from metrics_store.errors import InvalidQuery, InvalidValue, ZoneMismatch
from metrics_store.legacy.importing import take_in
from metrics_store.legacy_format import moments
from metrics_store.legacy_format.moments import ZoneReader

FILES = Path(__file__).parent / "files"
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]


def read(zone: str, *texts: str) -> list[tuple[str, str]]:
    """What texts of one file stand for, in their order: UTC and flag."""
    reader = ZoneReader(zone)
    return [(clock.text(r.us)[:19], r.flag) for r in map(reader.read, texts)]


@pytest.mark.parametrize(
    ("zone", "text", "utc"),
    [
        ("Europe/Berlin", "2025-07-01T12:00:00", "2025-07-01T10:00:00"),
        ("Europe/Berlin", "2025-01-01", "2024-12-31T23:00:00"),
        ("Asia/Kathmandu", "2025-01-01T00:00:00", "2024-12-31T18:15:00"),
        ("America/St_Johns", "2025-01-01T00:00:00", "2025-01-01T03:30:00"),
        ("Pacific/Kiritimati", "2025-01-01T00:00:00", "2024-12-31T10:00:00"),
        # Local mean time, to the second.
        ("Europe/Amsterdam", "1900-01-01T00:00:00", "1899-12-31T23:40:28"),
        ("Europe/Berlin", "2025-07-01T12:00:00+00:00", "2025-07-01T12:00:00"),
        ("Europe/Berlin", "2025-07-01T12:00:00-05:30", "2025-07-01T17:30:00"),
        ("Europe/Berlin", "2025-07-01T12:00:00Z", "2025-07-01T12:00:00"),
        ("UTC", "0001-01-01T00:00:00", "0001-01-01T00:00:00"),
        ("UTC", "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59"),
    ],
)
def test_a_text_stands_for_its_moment_in_the_zone(zone: str, text: str, utc: str) -> None:
    if zone == "Europe/Amsterdam" and ZoneInfo(zone).utcoffset(datetime(1900, 1, 1)) != timedelta(
        seconds=1172
    ):
        utc = "1899-12-31T23:42:30"  # tzdata merged it with Brussels in 2022
    assert read(zone, text) == [(utc, "")]


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Tokyo", "0001-01-01T00:00:00"),
        ("America/New_York", "9999-12-31T23:00:00"),
        ("UTC", "0001-01-01T00:00:00+00:01"),
        ("UTC", "9999-12-31T23:59:59-00:01"),
        ("UTC", ""),
        ("UTC", "12:00:00"),
        ("Europe/Berlin", "2025-02-29T00:00:00"),
        ("Europe/Berlin", "\ud800"),
    ],
)
def test_what_is_no_moment_between_year_1_and_9999_is_an_error(zone: str, text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        ZoneReader(zone).read(text)


def test_an_hour_that_comes_twice_is_told_apart_by_a_step_back() -> None:
    texts = ["01:59", "02:10", "02:50", "02:20", "02:40", "02:41", "03:00", "03:30"]
    read_all = read("Europe/Berlin", *(f"2025-10-26T{text}:00" for text in texts))
    assert [utc[11:16] for utc, _ in read_all] == [
        "23:59", "00:10", "00:50", "01:20", "01:40", "01:41", "02:00", "02:30",
    ]  # fmt: skip
    assert [flag for _, flag in read_all] == ["", *["repeated_hour"] * 5, "", ""]


def test_the_second_time_around_ends_with_the_hour_and_with_the_year() -> None:
    texts = ["2024-10-27T02:50:00", "2024-10-27T02:10:00", "2025-10-26T02:10:00"]
    assert [utc[11:16] for utc, _ in read("Europe/Berlin", *texts)] == ["00:50", "01:10", "00:10"]


def test_half_an_hour_that_comes_twice_is_half_an_hour() -> None:
    """Lord Howe turns back by thirty minutes, at two."""
    texts = [f"2025-04-06T{text}:00" for text in ("01:29", "01:35", "01:55", "01:40", "02:00")]
    assert [(utc[11:16], bool(flag)) for utc, flag in read("Australia/Lord_Howe", *texts)] == [
        ("14:29", False), ("14:35", True), ("14:55", True), ("15:10", True), ("15:30", False),
    ]  # fmt: skip


def test_an_hour_that_never_was_is_flagged_and_read_by_the_offset_before_it() -> None:
    texts = [f"2025-03-30T{text}:00" for text in ("01:59", "02:30", "03:00")]
    assert read("Europe/Berlin", *texts) == [
        ("2025-03-30T00:59:00", ""),
        ("2025-03-30T01:30:00", "skipped_hour"),
        ("2025-03-30T01:00:00", ""),
    ]


@given(
    st.sampled_from(ZONES),
    st.lists(st.datetimes(datetime(1960, 1, 1), datetime(2035, 1, 1)), min_size=1, max_size=8),
)
def test_a_log_written_in_order_is_read_back_but_within_a_repeated_hour(
    zone: str, utc: list[datetime]
) -> None:
    place = ZoneInfo(zone)
    truth = sorted(moment.replace(tzinfo=UTC) for moment in utc)
    reader = ZoneReader(zone)
    for moment in truth:
        local = moment.astimezone(place)
        found = reader.read(local.replace(tzinfo=None).isoformat())
        us = clock.of_datetime(moment)
        repeated = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
        assert found.flag == ("repeated_hour" if repeated else "")
        assert found.us == us or repeated


@given(st.sampled_from(["Europe/Berlin", "America/New_York"]), st.data())
def test_a_dense_log_over_the_end_of_summer_time_is_read_back_exactly(
    zone: str, data: st.DataObject
) -> None:
    """With something in the repeated hour both times, and a step back between them."""
    place = ZoneInfo(zone)
    end = (
        datetime(2025, 10, 26, 1, tzinfo=UTC)
        if "B" in zone
        else datetime(2025, 11, 2, 6, tzinfo=UTC)
    )
    steps = data.draw(st.lists(st.integers(1, 29), min_size=5, max_size=5))
    truth = [
        end - timedelta(minutes=30) + timedelta(minutes=30 * n - s) for n, s in enumerate(steps)
    ]
    reader = ZoneReader(zone)
    texts = [moment.astimezone(place).replace(tzinfo=None).isoformat() for moment in truth]
    assert [reader.read(text).us for text in texts] == [clock.of_datetime(m) for m in truth]


def test_the_file_over_the_end_of_summer_time_gets_its_true_moments(store: MetricsStore) -> None:
    take_in(store, FILES / "berlin_dst.json", zone="Europe/Berlin")
    texts = [
        r["invoked_at"] for r in json.loads((FILES / "berlin_dst.json").read_text())["invocations"]
    ]
    place, truth, last = ZoneInfo("Europe/Berlin"), {}, datetime.min.replace(tzinfo=UTC)
    for text in texts:
        # The log was written in the order of starts: the first of two readings that is later.
        both = [datetime.fromisoformat(text).replace(tzinfo=place, fold=fold) for fold in (0, 1)]
        last = next(m.astimezone(UTC) for m in both if m.astimezone(UTC) > last)
        truth[text] = clock.text(clock.of_datetime(last))
    found = store.query(
        "SELECT legacy ->> 'invoked_at' AS raw, invoked_at FROM skill_invocation "
        "UNION ALL SELECT legacy ->> 'invoked_at', invoked_at FROM skill_inflight"
    )
    assert {row["raw"]: row["invoked_at"] for row in found} == truth
    assert sorted(truth.values()) == list(truth.values())
    assert len(set(truth.values())) == 600


def test_a_file_keeps_its_zone(store: MetricsStore, tmp_path: Path) -> None:
    file = tmp_path / "legacy.json"
    file.write_text((FILES / "two_writers.json").read_text())
    assert take_in(store, file, zone="Europe/Berlin").zone == "Europe/Berlin"
    assert take_in(store, file).zone == "Europe/Berlin"
    with pytest.raises(ZoneMismatch, match="Europe/Berlin"):
        take_in(store, file, zone="Asia/Tokyo")
    assert take_in(store, file).inserted == 0


def test_a_zone_named_with_a_file_that_failed_does_not_stick(
    store: MetricsStore, tmp_path: Path
) -> None:
    file = tmp_path / "legacy.json"
    file.write_text('{"no": "legacy file"}')
    with pytest.raises(Exception, match="legacy"):
        take_in(store, file, zone="UTC")
    file.write_text((FILES / "two_writers.json").read_text())
    assert take_in(store, file, zone="Europe/Berlin").zone == "Europe/Berlin"


def test_a_zone_that_does_not_exist_is_refused_and_leaves_nothing(store: MetricsStore) -> None:
    with pytest.raises(InvalidQuery, match="Mars"):
        take_in(store, FILES / "two_writers.json", zone="Mars/Olympus")
    assert store.query("SELECT count(*) AS n FROM legacy_source")[0]["n"] == 0


@pytest.mark.parametrize("name", ["Europe/Berlin", ":Europe/Berlin"])
def test_without_a_zone_it_is_this_machines(
    name: str, store: MetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", name)
    assert take_in(store, FILES / "two_writers.json").zone == "Europe/Berlin"


def test_a_machine_that_does_not_tell_its_zone_asks_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_file(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    monkeypatch.setattr(moments.os.path, "realpath", lambda _: "/etc/localtime")
    monkeypatch.setattr(moments.os.path, "exists", lambda _: True)
    monkeypatch.setattr(moments.Path, "read_text", no_file)
    with pytest.raises(InvalidValue, match="zone"):
        moments.local_zone()


def test_moments_in_the_future_are_flagged_in_the_report(
    open_store: Callable[..., MetricsStore], tmp_path: Path
) -> None:
    file = tmp_path / "legacy.json"
    one = {"skill_name": "s", "invoked_at": "2026-03-12T00:00:00", "completed": True}
    file.write_text(json.dumps({"invocations": [one]}))
    report = take_in(open_store(), file, zone="UTC")
    assert report.flags == {"in_the_future": 1}
    assert report.fine
