"""Moments are text whose order is time order, and ids are in the order of their making."""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import clock

moments = st.integers(clock.MIN_US, clock.MAX_US)


@given(moments)
def test_a_moment_comes_back_from_its_text(us: int) -> None:
    text = clock.text(us)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert clock.parse(text) == us


@given(moments, moments)
def test_text_order_is_time_order(one: int, other: int) -> None:
    assert (clock.text(one) < clock.text(other)) == (one < other)


@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_of_any_zone_is_the_same_moment(moment: datetime) -> None:
    utc = moment.astimezone(UTC) if datetime(2, 1, 1) < moment.replace(tzinfo=None) else None
    if utc is not None and utc.year < 9998:
        assert clock.to_datetime(clock.of_datetime(moment)) == utc


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-31T12:34:56.123456Z",
        "2026-01-31T13:34:56.123456+01:00",
        "2026-01-31T18:19:56.123456+05:45",
        "20260131T123456.123456Z",
    ],
)
def test_every_iso_text_with_an_offset_is_read(moment: str) -> None:
    assert clock.text(clock.parse(moment)) == "2026-01-31T12:34:56.123456Z"


@pytest.mark.parametrize("moment", ["2026-01-31T12:34:56", "2026-01-31", "yesterday", "", "Z"])
def test_a_moment_without_an_offset_is_refused(moment: str) -> None:
    with pytest.raises(ValueError, match=r"offset|isoformat"):
        clock.parse(moment)


def test_the_clock_tells_this_moment() -> None:
    now = clock.Clock().now_us()
    assert abs(clock.to_datetime(now) - datetime.now(timezone(timedelta(hours=3)))) < timedelta(
        seconds=5
    )


def test_ids_are_version_7_and_in_the_order_of_their_making() -> None:
    us = clock.parse("2026-01-31T12:00:00Z")
    ids = [clock.new_id(us + step // 3) for step in range(20_000)]
    assert ids == sorted(set(ids))
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
        for one in ids
    )


def test_ids_go_on_in_order_when_the_clock_is_set_back() -> None:
    us = clock.Clock().now_us()
    before = clock.new_id(us)
    assert clock.new_id(us - 3_600_000_000) > before


def test_ids_of_many_threads_differ() -> None:
    us = clock.Clock().now_us()
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend([clock.new_id(us) for _ in range(2000)]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about fork")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    us = clock.Clock().now_us()
    clock.new_id(us)  # fills the pool of random bytes that a child would otherwise share
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put([clock.new_id(us) for _ in range(100)]))
    child.start()
    theirs = queue.get()
    child.join()
    assert not set(theirs) & {clock.new_id(us) for _ in range(100)}
