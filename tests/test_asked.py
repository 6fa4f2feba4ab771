"""What is asked for: a text that is in no store, and what is no text, number or word at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from metrics_store import MetricsStore, asked
from metrics_store.errors import InvalidQuery, InvalidRules, InvalidSetting, InvalidValue

HALF = "half \ud800"
#: What each call that looks something up by a text gives where there is none.
NOTHING: dict[str, tuple[Callable[[MetricsStore, Any], object], object]] = {
    "metrics": (lambda store, name: store.get_skill_metrics(name), None),
    "exact metrics": (lambda store, name: store.get_skill_metrics(name, exact=True), None),
    "session": (lambda store, name: store.get_session_skills(name), []),
    "in flight": (lambda store, name: store.in_flight(name), []),
    "invocation": (lambda store, name: store.get_invocation(name), None),
    "invocations": (lambda store, name: store.invocations(error_type=name).invocations, ()),
    "search": (lambda store, name: store.search_workflow_paths(name), []),
    "service": (lambda store, name: store.service_status(name), None),
    "heartbeats": (lambda store, name: store.service_history(name), []),
    "uptime": (lambda store, name: store.uptime(name), None),
    "course": (lambda store, name: store.uptime_course(name, parts=2), [None, None]),
    "outages": (lambda store, name: store.outages(name), []),
    "trend": (lambda store, name: store.trend(name), None),
    "execution": (lambda store, name: store.get_execution(name), None),
    "embedding": (lambda store, name: store.get_embedding(name), None),
    "executions": (lambda store, name: store.list_executions(repo=name), []),
    "metadata": (lambda store, name: store.get_metadata(name), None),
    "agent": (lambda store, name: store.agent_status(name), []),
    "samples": (lambda store, name: store.agent_history(name), []),
    "days": (lambda store, name: store.agent_daily(name), []),
    "hours": (lambda store, name: store.agent_hourly(name), []),
    "tasks": (lambda store, name: store.tasks(assigned_to=name), []),
    "task": (lambda store, name: store.task_history(name), []),
    "commits": (lambda store, name: store.commit_feed(agent_id=name), []),
    "days of commits": (lambda store, name: store.commit_daily(name), []),
}


@pytest.fixture
def filled(store: MetricsStore) -> MetricsStore:
    """Something of everything, under names that are not asked for."""
    store.record_invocation("deploy", workflow_path="fast", session_id="s")
    store.heartbeat("importer", "running")
    store.record_execution("t", success=True, repo="r")
    store.record_agent_sample("builder")
    store.record_task_event("T", "created", assigned_to="builder")
    store.record_commit("a" * 40, agent_id="builder")
    return store


def _hint(ask: Callable[[], object]) -> str:
    """The hint with which a question is refused."""
    with pytest.raises(InvalidQuery) as refused:
        ask()
    return refused.value.hint


@pytest.mark.parametrize("name", ["nobody", HALF, "\udfff"])
def test_a_text_that_is_in_no_store_is_not_found(filled: MetricsStore, name: str) -> None:
    found = {call: ask(filled, name) for call, (ask, _) in NOTHING.items()}
    assert found == {call: nothing for call, (_, nothing) in NOTHING.items()}


@pytest.mark.parametrize("name", [1, 10**30, 1.5, b"deploy", ["deploy"]])
def test_what_is_no_text_cannot_be_asked_for(filled: MetricsStore, name: object) -> None:
    for ask, _ in NOTHING.values():
        with pytest.raises(InvalidQuery, match="not text"):
            ask(filled, name)


def test_a_text_with_half_a_character_is_equal_to_no_text(store: MetricsStore) -> None:
    wanted = asked.text("name", HALF)
    text = HALF.encode("utf-8", "surrogatepass").decode("latin-1")
    for there in (text, HALF.replace("\ud800", "\\ud800"), "half ?"):
        assert store.query("SELECT ? = ? AS same", (there, wanted)) == [{"same": 0}]


@pytest.mark.parametrize("limit", [0, -1, 1.0, "1", True, None, [1], float("nan")])
def test_what_is_no_number_of_rows_is_refused(store: MetricsStore, limit: Any) -> None:
    for ask in (
        lambda: store.get_sessions(limit),
        lambda: store.invocations(limit=limit),
        lambda: store.list_executions(limit=limit),
        lambda: store.alerts(limit=limit),
        lambda: store.snapshot_quarantine(limit),
        lambda: store.uptime_course("importer", parts=limit),
        lambda: store.get_daily_counts(limit),
        lambda: store.agent_daily(days=limit),
        lambda: store.trend("importer", days=limit),
    ):
        assert _hint(ask).startswith("It is a whole number, 1 ")


def test_any_number_of_rows_can_be_asked_for(store: MetricsStore) -> None:
    store.record_invocation("deploy")
    assert len(store.invocations(limit=10**30).invocations) == 1
    assert asked.count("limit", 10**30) == asked.count_or_all("limit", None) == asked.MANY
    assert _hint(lambda: asked.count("days", 101, 100)) == "It is a whole number, 1 to 100."


def test_a_word_is_one_of_those_there_are(store: MetricsStore) -> None:
    for ask in (
        lambda: store.invocations(outcome="done"),
        lambda: store.get_skill_timeline("deploy", bucket="minute"),  # type: ignore[arg-type]
        lambda: store.alerts("closed"),  # type: ignore[arg-type]
        lambda: store.alerts(severity=["error"]),  # type: ignore[arg-type]
        lambda: store.snapshot_trend("files_indexed", {}),  # type: ignore[arg-type]
        lambda: store.list_executions(success="yes"),  # type: ignore[arg-type]
    ):
        assert re.fullmatch(r"It is \w+(, \w+)+\.|It is true or false\.", _hint(ask))


@pytest.mark.parametrize("seconds", ["soon", -1, float("nan"), True, [1]])
def test_what_is_no_time_to_take_is_refused_before_anything_is_done(
    store: MetricsStore, seconds: Any
) -> None:
    for call in (store.retain, store.vacuum):
        assert _hint(lambda call=call: call(seconds=seconds)) == "It is a number of seconds."


@pytest.mark.parametrize("keep", ["7 days", ["skill"], {"skill": 7}, {1: "7 days"}, {"x": "1 d"}])
def test_what_says_not_how_long_to_keep_is_refused(store: MetricsStore, keep: Any) -> None:
    for call in (store.retention_plan, store.retain):
        with pytest.raises(InvalidSetting):
            call(keep)


@pytest.mark.parametrize("path", ["a\0b", HALF, 3, ["x"], "", "."])
def test_what_is_no_file_of_rules_is_refused(store: MetricsStore, path: Any) -> None:
    with pytest.raises(InvalidRules):
        store.evaluate_alerts(path)


@pytest.mark.parametrize("given", [5, None, "abc", b"abc", {"skill_name": "deploy"}])
def test_what_is_no_list_of_records_is_refused(store: MetricsStore, given: Any) -> None:
    for call in (store.record_invocations, store.record_executions, store.record_commits):
        with pytest.raises(InvalidValue, match="not a list of records"):
            call(given)


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", True])
def test_what_is_no_size_of_a_batch_is_refused_and_nothing_is_written(
    store: MetricsStore, size: Any
) -> None:
    with pytest.raises(InvalidValue, match="batch_size"):
        store.record_invocations([{"skill_name": "deploy"}], batch_size=size)
    with pytest.raises(InvalidValue, match="batch_size"):
        store.record_executions([{"success": True}], batch_size=size)
    assert store.get_summary().total_invocations == 0
    assert store.list_executions() == []


def test_a_batch_may_be_larger_than_any_list(store: MetricsStore) -> None:
    assert store.record_invocations([{"skill_name": "deploy"}], batch_size=10**30).inserted == 1
