"""The readers: the classic numbers, by the classic names, and never an empty answer for a failed
one."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.errors import InvalidQuery, ReadError
from metrics_store.results import plain

Open = Callable[..., MetricsStore]


@pytest.fixture
def filled(store: MetricsStore) -> MetricsStore:
    store.record_invocations(
        [
            {
                "skill_name": "deploy",
                "invoked_at": "2026-03-01T10:00:00Z",
                "duration_seconds": 2,
                "workflow_path": "fast",
                "session_id": "s1",
                "follow_up_actions": ["push", "push"],
            },
            {
                "skill_name": "deploy",
                "invoked_at": "2026-03-02T10:00:00Z",
                "duration_seconds": 4,
                "workflow_path": "slow",
                "session_id": "s1",
            },
            {
                "skill_name": "deploy",
                "invoked_at": "2026-03-03T10:00:00Z",
                "duration_seconds": 99,
                "completed": False,
                "error_type": "OSError",
                "workflow_path": "slow",
                "session_id": "s2",
            },
            {
                "skill_name": "deploy",
                "invoked_at": "2026-02-01T10:00:00Z",
                "outcome": "abandoned",
            },
            {"skill_name": "test", "invoked_at": "2026-03-04T10:00:00Z", "session_id": "s1"},
        ]
    )
    store.track_invocation("test")
    return store


def test_the_numbers_of_one_skill(filled: MetricsStore) -> None:
    metrics = filled.get_skill_metrics("deploy")
    assert metrics is not None
    assert metrics.as_dict() == {
        "skill_name": "deploy",
        "total_invocations": 4,
        "completed_invocations": 2,
        "abandoned_invocations": 2,
        "failed_invocations": 1,
        "completion_rate": 50.0,
        "total_duration_seconds": 6.0,
        "avg_duration_seconds": 3.0,
        "min_duration_seconds": 2.0,
        "max_duration_seconds": 4.0,
        "p50_duration_seconds": pytest.approx(2.0, rel=0.01),
        "p95_duration_seconds": pytest.approx(4.0, rel=0.01),
        "p99_duration_seconds": pytest.approx(4.0, rel=0.01),
        "workflow_paths": {"fast": 1, "slow": 2},
        "common_errors": {"OSError": 1},
        "follow_up_actions": {"push": 2},
        "first_invoked": "2026-02-01T10:00:00.000000Z",
        "last_invoked": "2026-03-03T10:00:00.000000Z",
        "in_flight": 0,
        "logged_invocations": 4,
        "baseline": None,
    }


def test_results_answer_as_attributes_and_as_mappings_and_are_frozen(
    filled: MetricsStore,
) -> None:
    metrics = filled.get_skill_metrics("deploy")
    assert metrics is not None
    assert metrics.completion_rate == metrics["completion_rate"] == 50.0
    assert metrics.get("completion_rate") == 50.0
    assert metrics.get("colour", "red") == "red"
    assert "completion_rate" in metrics
    assert "colour" not in metrics
    assert dict(metrics)["total_invocations"] == 4
    with pytest.raises(KeyError):
        metrics["colour"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.completion_rate = 1.0  # type: ignore[misc]
    assert json.loads(json.dumps(metrics.as_dict()))["workflow_paths"] == {"fast": 1, "slow": 2}
    assert plain({"a": (metrics,)}) == {"a": [metrics.as_dict()]}


def test_a_skill_without_a_name_in_the_store_is_none(filled: MetricsStore) -> None:
    for name in ("nobody", "", "\0", "half \ud800", "deploy%"):
        assert filled.get_skill_metrics(name) is None
        assert filled.get_session_skills(name) == []
        assert filled.invocations(skill_name=name).invocations == ()
        assert filled.get_invocation(name) is None
        assert filled.in_flight(name) == []
        assert filled.search_workflow_paths(f"{name}nothing such") == []


def test_an_empty_store_is_empty_and_no_error(store: MetricsStore) -> None:
    assert store.get_all_metrics() == {}
    assert store.get_sessions() == []
    assert store.invocations().invocations == ()
    assert store.get_daily_counts() == {}
    summary = store.get_summary()
    assert summary.as_dict() == {
        "total_skills": 0,
        "total_invocations": 0,
        "completed_invocations": 0,
        "failed_invocations": 0,
        "overall_completion_rate": 0.0,
        "most_used_skill": None,
        "most_used_count": 0,
        "avg_duration_seconds": 0.0,
        "in_flight": 0,
        "first_invoked": None,
        "last_invoked": None,
        "skills_by_usage": [],
    }


def test_all_metrics_are_those_of_each(filled: MetricsStore) -> None:
    every = filled.get_all_metrics()
    assert list(every) == ["deploy", "test"]
    for name, metrics in every.items():
        assert metrics == filled.get_skill_metrics(name)
    assert every["test"].in_flight == 1
    assert every["test"].avg_duration_seconds == 0.0
    assert every["test"].min_duration_seconds is None


def test_the_summary_is_the_sum_of_all(filled: MetricsStore) -> None:
    summary = filled.get_summary()
    assert summary.total_skills == 2
    assert summary.total_invocations == 5
    assert summary.overall_completion_rate == 60.0
    assert summary["most_used_skill"] == "deploy"
    assert summary.most_used_count == 4
    assert summary.avg_duration_seconds == 2.0  # as legacy: over all completed ones
    assert summary.in_flight == 1
    assert summary.skills_by_usage == (("deploy", 4), ("test", 1))
    assert summary.first_invoked == "2026-02-01T10:00:00.000000Z"


def test_a_session_lists_its_skills(filled: MetricsStore) -> None:
    deploy, test = filled.get_session_skills("s1")
    assert deploy.as_dict() == {
        "session_id": "s1",
        "skill_name": "deploy",
        "invocation_count": 2,
        "completed": 2,
        "failed": 0,
        "first_invoked_at": "2026-03-01T10:00:00.000000Z",
        "last_invoked_at": "2026-03-02T10:00:00.000000Z",
        "total_duration_seconds": 6.0,
    }
    assert (test.skill_name, test.invocation_count) == ("test", 1)
    assert [session.session_id for session in filled.get_sessions()] == ["s1", "s2"]
    assert filled.get_sessions()[0].skills == 2
    assert len(filled.get_sessions(limit=1)) == 1


@pytest.mark.parametrize("limit", [0, -1])
def test_limits_below_one_are_refused(store: MetricsStore, limit: int) -> None:
    for read in (
        lambda: store.get_sessions(limit),
        lambda: store.in_flight(limit=limit),
        lambda: store.invocations(limit=limit),
        lambda: store.search_workflow_paths("x", limit=limit),
    ):
        with pytest.raises(InvalidQuery):
            read()


def test_a_limit_beyond_all_measure_is_no_limit(filled: MetricsStore) -> None:
    assert len(filled.get_sessions(10**30)) == 2
    assert len(filled.in_flight(limit=10**30)) == 1
    assert len(filled.invocations(limit=10**30)) == 5
    assert len(filled.search_workflow_paths("slow", limit=10**30)) == 1


def test_in_flight_is_newest_first(store: MetricsStore, clock: SettableClock) -> None:
    started = []
    for _ in range(3):
        started.append(store.track_invocation("deploy").invocation_id)
        clock.advance(1)
    assert [flying.id for flying in store.in_flight()] == started[::-1]
    assert len(store.in_flight(limit=2)) == 2
    assert store.in_flight("other") == []


def test_the_classic_views_say_the_same(filled: MetricsStore) -> None:
    (row,) = filled.query("SELECT * FROM skill_metrics WHERE skill_name = 'deploy'")
    metrics = filled.get_skill_metrics("deploy")
    assert metrics is not None
    counted = {"workflow_paths", "common_errors", "follow_up_actions"}
    assert {name: metrics[name] for name in row if name not in counted} == {
        name: value for name, value in row.items() if name not in counted
    }
    assert json.loads(str(row["workflow_paths"])) == {"fast": 1, "slow": 2}
    assert json.loads(str(row["common_errors"])) == {"OSError": 1}
    assert json.loads(str(row["follow_up_actions"])) == {"push": 2}
    (line,) = filled.query("SELECT * FROM skill_metrics_summary")
    summary = filled.get_summary()
    assert {name: summary[name] for name in line} == line
    sessions = filled.query("SELECT * FROM session_skill WHERE session_id = 's1' ORDER BY 2")
    assert [row["invocation_count"] for row in sessions] == [2, 1]
    days = filled.query("SELECT day, invocations FROM skill_day WHERE skill_name = 'deploy'")
    assert [(row["day"], row["invocations"]) for row in days] == [
        ("2026-02-01", 1),
        ("2026-03-01", 1),
        ("2026-03-02", 1),
        ("2026-03-03", 1),
    ]


@pytest.mark.parametrize("table", ["rollup", "skill_inflight", "skill_invocation", "workflow_path"])
def test_a_broken_store_is_an_error_never_an_empty_answer(
    open_store: Open, damaged: Callable[[object], None], table: str
) -> None:
    store = open_store()
    damaged(store.path)
    store.record_invocation("deploy", workflow_path="p")
    store.database.write(lambda c: c.execute(f"ALTER TABLE {table} RENAME TO elsewhere"))
    reads: dict[str, list[Callable[[], object]]] = {
        "rollup": [
            lambda: store.get_skill_metrics("deploy"),
            store.get_all_metrics,
            store.get_summary,
            store.get_sessions,
            lambda: store.get_session_skills("s"),
            lambda: store.get_skill_timeline("deploy"),
            store.get_daily_counts,
        ],
        "skill_inflight": [lambda: store.get_skill_metrics("deploy"), store.in_flight],
        "skill_invocation": [store.invocations, lambda: store.get_invocation("a")],
        "workflow_path": [lambda: store.search_workflow_paths("p")],
    }
    for read in reads[table]:
        with pytest.raises(ReadError):
            read()


def test_reading_changes_no_byte(filled: MetricsStore) -> None:
    def content() -> list[bytes]:
        # By another descriptor's close, this process would drop its locks: ask a child process.
        import subprocess

        script = (
            "import sys, hashlib\n"
            "for name in ('', '-wal'):\n"
            "    print(hashlib.sha256(open(sys.argv[1] + name, 'rb').read()).hexdigest())"
        )
        command = [sys.executable, "-c", script, filled.path]
        return subprocess.run(command, capture_output=True, check=True).stdout.split()

    before = content()
    filled.get_all_metrics()
    filled.get_summary()
    filled.get_skill_timeline("deploy", "60 days", zone="Asia/Kathmandu")
    filled.search_workflow_paths("slow")
    filled.invocations(session_id="s1")
    filled.get_sessions()
    filled.query("SELECT * FROM skill_metrics_summary")
    assert content() == before
