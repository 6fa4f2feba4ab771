"""`metrics-store agents ...`: what is printed, the keys of its JSON, and exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path
from commands import Done

from metrics_store import MetricsStore, clock

Call = Callable[..., Done]
HOSTILE = "T\x1b[31m\u202e\n<b>"


@pytest.fixture
def call(call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command of agents on the store ``m.db``, in the test's folder, not in a terminal."""

    def called(*arguments: object, given: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        return call("--db", "m.db", "agents", *arguments)

    return called


@pytest.fixture
def filled(open_store: Callable[..., MetricsStore]) -> None:
    """A store with something of everything, of just now."""
    store = open_store(clock=clock.Clock())
    store.record_agent_sample("builder", "active", cpu_usage=12.5, current_task=HOSTILE)
    store.record_agent_sample(HOSTILE, "error")
    store.record_task_event(HOSTILE, "created", new_status="todo", details={"title": HOSTILE})
    store.record_task_event(HOSTILE, "completed", assigned_to="builder")
    store.record_commit("c" * 40, author=HOSTILE, message=HOSTILE, lines_added=3, branch=HOSTILE)
    store.record_system_health("degraded", cpu=95, details={"why": HOSTILE})
    store.record_rag_metrics(hit_rate=0.5, top_patterns=[HOSTILE])
    store.close()


KEYS: dict[tuple[str, ...], dict[str, str]] = {
    ("status",): {
        "agents": "id agent_id recorded_at status current_task cpu_usage memory_usage "
        "memory_percent uncommitted_changes uptime_seconds last_activity branch"
    },
    ("history", "builder"): {"agent_id": "", "samples": "id agent_id recorded_at status"},
    ("daily",): {
        "days": "day agent_id samples statuses cpu_usage memory_usage memory_percent "
        "uncommitted_changes",
        "commits": "day agent_id commits files_changed lines_added lines_deleted",
    },
    ("hourly",): {
        "hours": "hour agent_id samples statuses cpu_usage memory_usage memory_percent "
        "uncommitted_changes"
    },
    ("feed",): {
        "commits": "commit_hash short_hash agent_id author message branch files_changed "
        "lines_added lines_deleted commit_timestamp recorded_at repository"
    },
    ("tasks",): {
        "tasks": "task_id status assigned_to title last_event changed_by first_at last_at"
    },
    ("task", HOSTILE): {
        "task_id": "",
        "events": "id task_id recorded_at event_type previous_status new_status assigned_to "
        "changed_by details",
    },
    ("velocity",): {
        "days": "day created updated completed blocked assigned", "created": "", "completed": "",
        "blocked": "", "completed_per_day": "", "by_assignee": "", "lead_times": "",
        "average_lead_seconds": "", "median_lead_seconds": "",
    },
    ("system",): {
        "current": "", "by": "",
        "periods": "period records statuses cpu memory disk api_latency error_count "
        "websocket_connections file_watch_events",
    },
    ("system", "--by", "day", "--last", "3 days"): {"current": "", "by": "", "periods": "period"},
    ("rag",): {
        "current": "",
        "days": "day records total_patterns total_queries average_response_time hit_rate "
        "memory_usage query_volume_last_hour",
    },
}  # fmt: skip


@pytest.mark.usefixtures("filled")
def test_every_reading_command_has_stable_json_and_safe_text(call: Call) -> None:
    for command, keys in KEYS.items():
        done = call(*command, "--json")
        assert (done.code, done.err) == (0, ""), command
        found = json.loads(done.out)
        assert list(found) == list(keys), command
        for key, names in keys.items():
            if names:
                assert found[key], command
                assert list(found[key][0])[: len(names.split())] == names.split()
        shown = call(*command)
        assert (shown.code, shown.err) == (0, ""), command
        for text in (done.out, shown.out):
            assert not any(sign in text for sign in "\x1b\u202e"), command
        assert "\n<b>" not in shown.out


def test_an_empty_store_says_what_to_do(call: Call, store: MetricsStore) -> None:
    store.close()
    for command in ("status", "daily", "hourly", "feed", "tasks", "system", "rag"):
        done = call(command)
        assert (done.code, done.out) == (0, ""), command
        assert done.err, command
    for command in (("status", "x"), ("history", "x"), ("task", "x")):
        done = call(*command)
        assert (done.code, done.out) == (1, ""), command
        assert "hint:" in done.err
    velocity = call("velocity", "--days", 3, "--json")
    assert len(json.loads(velocity.out)["days"]) == 3


def test_what_does_not_go_together_is_refused(call: Call, store: MetricsStore) -> None:
    store.close()
    for command in (
        ("sample", "--pid", 1),
        ("sample", "--repo", "."),
        ("sample", "--agent", "a"),
        ("sample", "--count", 3),
        ("sample", "--agent", "a", "--status", "busy"),
        ("sample", "--agent", "", "--status", "idle"),
        ("import", "nowhere", "--table", "other"),
        ("history", "a", "--last", "never"),
        ("velocity", "--days", 10**9),
        ("commits", "--since", "soon"),
        ("commits", "--timeout", "inf"),
        ("commits", "--timeout", "nan"),
        ("sample", "--every", "nan"),
        ("sample", "--every", "inf"),
    ):
        assert call(*command).code == 2, command
    for command in (
        ("import", "nowhere"),
        ("watch", "nowhere"),
        ("watch", "nowhere", "--once"),
        ("commits", "--repo", "nowhere"),
        ("commits", "--agent-map", "nowhere"),
    ):
        done = call(*command)
        assert (done.code, done.out) == (3, ""), command
        assert "hint:" in done.err or "nowhere" in done.err, command


def test_samples_are_recorded_and_printed(call: Call, store: MetricsStore) -> None:
    pytest.importorskip("psutil")
    store.close()
    line = json.loads(call("sample", "--json").out)
    assert line["system"]["cpu"] is not None
    done = call(
        "sample", "--agent", "me", "--pid", os.getpid(), "--task", "T", "--every", "0.1",
        "--count", 3, "--json",
    )  # fmt: skip
    lines = [json.loads(text) for text in done.out.splitlines()]
    assert [one["agent_id"] for one in lines] == ["me"] * 3
    assert lines[0]["memory_usage"] > 1
    [me] = json.loads(call("status", "me", "--json").out)["agents"]
    assert (me["id"], me["current_task"]) == (lines[-1]["id"], "T")
    assert "offline" in call("sample", "--agent", "me", "--status", "offline").out
    assert "this machine is" in call("sample").out
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = call("sample", "--agent", "me", "--pid", gone.pid, "--status", "active", "--every", 60)
    assert (done.code, done.out.count("is offline")) == (0, 1)  # it does not come back


def test_lines_from_standard_input_are_taken_in(call: Call, store: MetricsStore) -> None:
    store.close()
    lines = '{"agent_id": "a", "status": "idle", "at": 1773050400}\n{"torn'
    done = call("import", "-", "--json", given=lines)
    assert done.code == 1
    found = json.loads(done.out)
    assert list(found) == ["source", "tables", "problems", "ignored"]
    assert found["tables"]["agent_metrics"] == {
        "read": 1, "inserted": 1, "already_there": 0, "retired": 0, "invalid": 0,
    }  # fmt: skip
    assert call("import", "-", given="").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="it is ended by a signal")
def test_sampling_again_and_again_ends_when_it_is_told_to(
    store: MetricsStore, tmp_path: Path
) -> None:
    pytest.importorskip("psutil")
    process = subprocess.Popen(
        [sys.executable, "-m", "metrics_store.cli", "--db", str(tmp_path / "m.db"), "agents",
         "sample", "--every", "3600"],
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "this machine is" in process.stdout.readline()
        began = time.monotonic()
        process.terminate()
        assert process.wait(30) == 0
        assert time.monotonic() - began < 25
    finally:
        process.kill()
        process.communicate()
    assert len(store.system_history(None)) == 1
