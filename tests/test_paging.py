"""Pages of the log: newest first, no row twice, none left out, whatever is added meanwhile."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import InvalidQuery, InvalidValue
from metrics_store.results import LoggedInvocation

BASE = datetime(2026, 3, 1, tzinfo=UTC)


def _record(n: int) -> dict[str, object]:
    return {
        "skill_name": f"s{n % 3}",
        "invoked_at": BASE + timedelta(hours=n // 2),  # two at every moment
        "outcome": ("completed", "failed", "abandoned")[n % 3],
        "workflow_path": f"p{n % 4}" if n % 4 else None,
        "session_id": f"x{n % 5}" if n % 5 else None,
        "project_path": f"/p{n % 2}",
        "error_type": "E" if n % 3 == 1 else None,
        "origin": "ci" if n % 7 == 0 else "live",
        "invocation_id": f"i{n}",
    }


def _all(store: MetricsStore, limit: int, **filters: object) -> list[LoggedInvocation]:
    found: list[LoggedInvocation] = []
    after = None
    while True:
        page = store.invocations(limit=limit, after=after, **filters)  # type: ignore[arg-type]
        assert len(page) == len(page.invocations) <= limit
        found += page.invocations
        if page.next is None:
            return found
        assert len(page) == limit
        after = page.next


@pytest.fixture
def log(store: MetricsStore) -> MetricsStore:
    store.record_invocations(_record(n) for n in range(60))
    return store


@given(
    st.integers(1, 70),
    st.fixed_dictionaries(
        {},
        optional={
            "skill_name": st.sampled_from(["s0", "s1", "none"]),
            "session_id": st.sampled_from(["x1", "x2", "none"]),
            "workflow_path": st.sampled_from(["p1", "none"]),
            "project_path": st.sampled_from(["/p0", "/p1"]),
            "outcome": st.sampled_from(["completed", "failed", "abandoned"]),
            "error_type": st.just("E"),
            "origin": st.sampled_from(["live", "ci"]),
            "since": st.integers(-5, 40).map(lambda h: BASE + timedelta(hours=h)),
            "until": st.integers(-5, 40).map(lambda h: BASE + timedelta(hours=h)),
        },
    ),
)
def test_every_filter_is_what_it_says(
    log: MetricsStore, limit: int, filters: dict[str, object]
) -> None:
    wanted = [
        record["invocation_id"]
        for record in map(_record, range(60))
        if all(
            record["invoked_at"] >= value  # type: ignore[operator]
            if name == "since"
            else record["invoked_at"] <= value  # type: ignore[operator]
            if name == "until"
            else record[name] == value
            for name, value in filters.items()
        )
    ]
    found = _all(log, limit, **filters)
    assert sorted(row.id for row in found) == sorted(map(str, wanted))
    keys = [(row.invoked_at, row.skill_name, row.seq) for row in found]
    assert keys == sorted(keys, reverse=True)


def test_rows_that_are_added_meanwhile_move_nothing(log: MetricsStore) -> None:
    before = {row.id for row in _all(log, 100)}
    seen: list[str] = []
    after = None
    for step in range(100):
        page = log.invocations(limit=7, after=after)
        seen += [row.id for row in page.invocations]
        for n in range(3):  # older, newer, and at the very moment of the last row
            at = (BASE - timedelta(days=step), BASE + timedelta(days=99), seen and BASE)[n]
            log.record_invocation("s1", invoked_at=at or BASE, invocation_id=f"new{step}-{n}")
        after = page.next
        if after is None or before <= set(seen):
            break
    assert before <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_page_is_newest_first_and_says_where_the_next_begins(log: MetricsStore) -> None:
    page = log.invocations(limit=1)
    assert page.invocations[0].invoked_at == "2026-03-02T05:00:00.000000Z"
    assert page.next is not None
    assert log.invocations(limit=60).next is None
    assert log.invocations(limit=59).next is not None


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "[]",
        "{}",
        "null",
        "5",
        '["a", "b"]',
        "[1, 2, 3]",
        '["a", "b", "c"]',
        '["a", "b", 1e400]',
        '["a", "b", null]',
        '["\\ud800", "b", 1]',
        "[" * 100_000,
    ],
)
def test_a_place_that_is_none_is_refused_or_empty(log: MetricsStore, after: str) -> None:
    with suppress(InvalidQuery):
        assert log.invocations(after=after).next is None


@pytest.mark.parametrize("seq", [10**30, -(10**30), 2**63, 0.5])
def test_a_place_beyond_all_rows_is_one(log: MetricsStore, seq: float) -> None:
    after = json.dumps(["2026-03-01T10:00:00.000000Z", "s1", seq])
    assert len(log.invocations(after=after, limit=100)) in (20, 21, 22)


@pytest.mark.parametrize("wrong", [{"since": "noon"}, {"until": "2026-03-01"}])
def test_a_moment_that_is_none_is_refused(log: MetricsStore, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        log.invocations(**wrong)  # type: ignore[arg-type]


def test_an_outcome_that_is_none_is_refused(log: MetricsStore) -> None:
    with pytest.raises(InvalidQuery):
        log.invocations(outcome="perhaps")
