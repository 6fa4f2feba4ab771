"""Days and hours of agents: held against what the records come to, also after retention."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from statistics import median
from typing import cast

import pytest
from days_model import (
    Record,
    by,
    commits,
    events,
    grouped,
    healths,
    measured,
    rags,
    samples,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import InvalidQuery

Open = Callable[..., MetricsStore]


#: Examples of each model: every one leaves a store, which is checked.
few = settings(max_examples=15)
_numbers = itertools.count()


@contextmanager
def new_store(open_store: Open) -> Iterator[MetricsStore]:
    """A store for one example."""
    store = open_store(f"{next(_numbers)}.db")
    try:
        yield store
    finally:
        store.close()


def close(found: object, due: object) -> bool:
    """The same, but for the last digits of what was divided."""
    if isinstance(found, dict) and isinstance(due, dict):
        return found.keys() == due.keys() and all(close(found[k], due[k]) for k in due)
    if isinstance(found, float) or isinstance(due, float):
        return found == pytest.approx(due, rel=1e-12, abs=1e-12)
    return found == due


@few
@given(given_samples=st.lists(samples, max_size=25))
def test_agents_are_the_same_by_day_as_added_up_by_hand(
    open_store: Open, given_samples: list[Record]
) -> None:
    with new_store(open_store) as store:
        for record in given_samples:
            store.record_agent_sample(**record)
        found = [day.as_dict() for day in store.agent_daily(days=3)]
        names = ("cpu_usage", "memory_usage", "memory_percent", "uncommitted_changes")
        due = [
            {
                "day": day,
                "agent_id": agent,
                "samples": len(some),
                "statuses": by(some, "status"),
                **{name: measured(some, name) for name in names},
            }
            for (day, agent), some in grouped(given_samples, "agent_id", digits=10).items()
        ]
        assert len(found) == len(due)
        assert all(close(one, other) for one, other in zip(found, due, strict=True))
        for agent in by(given_samples, "agent_id"):
            own = [day for day in found if day["agent_id"] == agent]
            assert [day.as_dict() for day in store.agent_daily(agent, 3)] == own
        hours = [
            {
                "hour": hour,
                "agent_id": agent,
                "samples": len(some),
                "statuses": by(some, "status"),
                **{name: measured(some, name) for name in names},
            }
            for (hour, agent), some in grouped(given_samples, "agent_id", digits=13).items()
        ]
        found = [hour.as_dict() for hour in store.agent_hourly(window="61 hours")]
        assert len(found) == len(hours)
        assert all(close(one, other) for one, other in zip(found, hours, strict=True))
        for agent in by(given_samples, "agent_id"):
            own = [hour for hour in found if hour["agent_id"] == agent]
            assert [one.as_dict() for one in store.agent_hourly(agent, "61 hours")] == own
        # The newest stands, in whatever order they came; of one moment the one that came last.
        newest = {}
        for record in given_samples:
            last = newest.get(record["agent_id"])
            if last is None or _at(record) >= _at(last):
                newest[record["agent_id"]] = record
        standing = {one.agent_id: one for one in store.agent_status()}
        assert standing.keys() == newest.keys()
        for agent, record in newest.items():
            one = standing[str(agent)]
            assert (one.status, one.cpu_usage) == (record["status"], record.get("cpu_usage"))
            assert [one] == store.agent_status(str(agent))


def _at(record: Record) -> datetime:
    return datetime.fromisoformat(str(record.get("at") or record["commit_timestamp"]))


@few
@given(given_healths=st.lists(healths, max_size=25), given_rags=st.lists(rags, max_size=15))
def test_the_system_and_retrieval_are_the_same_as_added_up_by_hand(
    open_store: Open, given_healths: list[Record], given_rags: list[Record]
) -> None:
    with new_store(open_store) as store:
        for record in given_healths:
            store.record_system_health(**record)
        for record in given_rags:
            store.record_rag_metrics(**record)
        for digits, found in ((13, store.system_hourly("61 hours")), (10, store.system_daily(3))):
            due = _system(given_healths, digits)
            assert len(found) == len(due)
            assert all(close(one.as_dict(), two) for one, two in zip(found, due, strict=True))
        names = (
            "total_patterns", "total_queries", "average_response_time", "hit_rate",
            "memory_usage", "query_volume_last_hour",
        )  # fmt: skip
        due = [
            {"day": day, "records": len(some), **{name: measured(some, name) for name in names}}
            for (day,), some in grouped(given_rags, digits=10).items()
        ]
        days = store.rag_daily(3)
        assert len(days) == len(due)
        assert all(close(one.as_dict(), two) for one, two in zip(days, due, strict=True))


def _system(records: Sequence[Record], digits: int) -> list[dict[str, object]]:
    names = (
        "cpu", "memory", "disk", "api_latency", "error_count", "websocket_connections",
        "file_watch_events",
    )  # fmt: skip
    return [
        {
            "period": period,
            "records": len(some),
            "statuses": by(some, "overall_status"),
            **{name: measured(some, name) for name in names},
        }
        for (period,), some in grouped(records, digits=digits).items()
    ]


@few
@given(
    batches=st.lists(st.lists(commits, max_size=12), max_size=3),
    given_events=st.lists(events, max_size=25),
)
def test_commits_and_velocity_are_the_same_as_added_up_by_hand(
    open_store: Open, batches: list[list[Record]], given_events: list[Record]
) -> None:
    with new_store(open_store) as store:
        first: dict[str, Record] = {}
        for batch in batches:
            new = {str(one["commit_hash"]) for one in batch} - first.keys()
            assert store.record_commits(batch) == len(new)
            for one in batch:
                first.setdefault(str(one["commit_hash"]), one)
        _check_commits(store, list(first.values()))
        for record in given_events:
            store.record_task_event(**record)
        _check_velocity(store, given_events)
        _check_tasks(store, given_events)


def _check_commits(store: MetricsStore, first: list[Record]) -> None:
    def total(some: list[Record], name: str) -> int:
        return sum(cast("int", one[name] or 0) for one in some)

    due = [
        {
            "day": day,
            "agent_id": agent or None,
            "commits": len(some),
            "files_changed": total(some, "files_changed"),
            "lines_added": total(some, "lines_added"),
            "lines_deleted": total(some, "lines_deleted"),
        }
        for (day, agent), some in grouped(first, "agent_id", digits=10).items()
    ]
    assert [day.as_dict() for day in store.commit_daily(days=3)] == due
    fed = store.commit_feed(1000)
    assert {one.commit_hash for one in fed} == {one["commit_hash"] for one in first}
    assert [one.commit_timestamp for one in fed] == sorted(
        (one.commit_timestamp for one in fed), reverse=True
    )


def _check_velocity(store: MetricsStore, given_events: list[Record]) -> None:
    found = store.task_velocity(3)
    types = ("created", "updated", "completed", "blocked", "assigned")
    days = grouped(given_events, digits=10)
    assert [day.day for day in found.days] == ["2026-03-08", "2026-03-09", "2026-03-10"]
    for day in found.days:
        some = by(days.get((day.day,), []), "event_type")
        assert {name: day[name] for name in types} == {name: some.get(name, 0) for name in types}
    done = [one for one in given_events if one["event_type"] == "completed"]
    assert found.completed == len(done)
    assert found.by_assignee == by([one for one in done if one.get("assigned_to")], "assigned_to")
    leads = []
    for one in done:
        made = [
            _at(other)
            for other in given_events
            if other["task_id"] == one["task_id"]
            and other["event_type"] == "created"
            and _at(other) <= _at(one)
        ]
        leads += [(_at(one) - min(made)).total_seconds()] if made else []
    assert found.lead_times == len(leads)
    if leads:
        assert found.average_lead_seconds == pytest.approx(sum(leads) / len(leads))
        assert found.median_lead_seconds == pytest.approx(median(leads))


def _check_tasks(store: MetricsStore, given_events: list[Record]) -> None:
    """Whatever a task is said to be, the newest event that says it counts."""
    tasks: dict[str, dict[str, object]] = {}
    for one in sorted(given_events, key=_at):  # stable: of one moment the last one counts
        task = tasks.setdefault(str(one["task_id"]), {"status": None, "to": None, "title": None})
        ended = one["event_type"] in ("completed", "blocked")
        if one.get("new_status") is not None or ended:
            task["status"] = one.get("new_status") or one["event_type"]
        if one.get("assigned_to") is not None:
            task["to"] = one["assigned_to"] or None
        if one.get("details"):
            task["title"] = cast("Record", one["details"])["title"]
    found = {
        one.task_id: {"status": one.status, "to": one.assigned_to, "title": one.title}
        for one in store.tasks()
    }
    assert found == tasks
    names = "task_id, status, assigned_to, title, last_event, changed_by, first_at, last_at"
    kept = store.query(f"SELECT {names} FROM task_status")
    listed = [one.as_dict() for one in store.tasks(limit=None)]
    assert sorted(kept, key=str) == sorted(
        ({name: one[name] for name in row} for one, row in zip(listed, kept, strict=True)), key=str
    )
    for name in tasks:
        history = store.task_history(name)
        assert [e.recorded_at for e in history] == sorted(e.recorded_at for e in history)


def test_days_stay_exact_when_retention_deletes_samples(store: MetricsStore) -> None:
    for hour in range(24):
        at = f"2026-03-01T{hour:02d}:00:00Z"
        store.record_agent_sample("builder", cpu_usage=hour / 3, memory_usage=100.0 + hour, at=at)
        store.record_system_health(cpu=hour / 2, error_count=hour, at=at)
        store.record_rag_metrics(hit_rate=hour / 24, at=at)
    store.record_agent_sample("gone", "offline", at="2026-03-01T05:00:00Z")
    before = (store.agent_daily(days=60), store.system_daily(60), store.rag_daily(60))
    hours = store.system_hourly("400 hours")
    assert len(hours) == 24
    store._database.clock.set("2026-04-20T12:00:00Z")  # type: ignore[attr-defined]
    store.record_agent_sample("builder", "idle")
    store.record_system_health()
    store.record_rag_metrics()
    store.retain()
    # The newest sample of an agent stays, however old it is; the numbers of all stay.
    assert [one.agent_id for one in store.agent_status()] == ["builder", "gone"]
    assert len(store.agent_history("builder", None)) == 1
    assert len(store.system_history(None)) == 1
    assert len(store.rag_history(None)) == 1
    after = (store.agent_daily(days=60), store.system_daily(60), store.rag_daily(60))
    for old, new in zip(before, after, strict=True):
        assert new[: len(old)] == old
        assert len(new) == len(old) + 1
    # Hours are kept for 30 days.
    assert [one.period for one in store.system_hourly("1500 hours")] == ["2026-04-20T12"]
    assert store.check("deep").findings == ()


def test_nonsense_is_refused(store: MetricsStore) -> None:
    for days in (0, -1, 10**9, True, "7"):
        with pytest.raises(InvalidQuery):
            store.agent_daily(days=days)  # type: ignore[arg-type]
    with pytest.raises(InvalidQuery):
        store.system_hourly("100 years")
    assert store.agent_daily("\ud800") == []
    assert store.agent_history("\ud800") == []
    assert store.task_velocity(2).median_lead_seconds is None
    assert store.system_health() is None
    assert store.rag_metrics() is None
