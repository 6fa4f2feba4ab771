"""What was left in flight is closed as abandoned, with the reason, and what lives is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from checking import python_path
from settable_clock import SettableClock

from metrics_store import MetricsStore, liveness, rows
from metrics_store.errors import AlreadyEnded, InvalidQuery

_START = """
import sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
invocation = store.track_invocation("deploy", "p", "s", "/x", {"k": 1})
print(invocation.invocation_id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere(store: MetricsStore) -> subprocess.Popen[str]:
    """Another process, with an invocation in flight in the test's store."""
    return subprocess.Popen(
        [sys.executable, "-c", _START, store.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )


def _started(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_nothing_in_flight_is_nothing_to_reap(store: MetricsStore) -> None:
    assert store.reap() == ()
    assert store.reap("1 second") == ()


def test_what_this_process_runs_is_left_alone(store: MetricsStore, clock: SettableClock) -> None:
    started = store.track_invocation("deploy")
    clock.advance(1e9)
    assert store.reap() == ()
    started.complete()


def test_what_a_killed_process_left_is_closed(
    store: MetricsStore, elsewhere: subprocess.Popen[str]
) -> None:
    name = _started(elsewhere)
    assert store.reap() == ()
    elsewhere.kill()
    elsewhere.communicate()
    (reaped,) = store.reap()
    assert (reaped.invocation_id, reaped.skill_name, reaped.reason) == (
        name,
        "deploy",
        "process gone",
    )
    row = store.get_invocation(name)
    assert row is not None
    assert (row.outcome, row.duration_seconds, row.ended_at) == (
        "abandoned",
        None,
        "2026-03-10T12:00:00.000000Z",
    )
    assert (row.workflow_path, row.session_id, row.project_path) == ("p", "s", "/x")
    assert row.attributes == {"k": 1, "reaped": "process gone"}
    metrics = store.get_skill_metrics("deploy")
    assert metrics is not None
    assert (metrics.abandoned_invocations, metrics.failed_invocations, metrics.in_flight) == (
        1,
        0,
        0,
    )
    assert store.reap() == ()


def test_a_process_that_is_dead_but_not_waited_for_is_gone(
    store: MetricsStore, elsewhere: subprocess.Popen[str]
) -> None:
    _started(elsewhere)
    elsewhere.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, elsewhere.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert len(store.reap()) == 1
    elsewhere.communicate()


@pytest.mark.parametrize("limit", ["1 hour", 3600, 3600.0, timedelta(hours=1), "60 min"])
def test_what_gave_no_sign_of_life_for_too_long_is_closed(
    store: MetricsStore, clock: SettableClock, limit: str | float | timedelta
) -> None:
    old = store.track_invocation("deploy")
    clock.advance(1800)
    young = store.track_invocation("deploy")
    clock.advance(1800)
    assert store.reap(limit) == ()
    clock.advance(1)
    (reaped,) = store.reap(limit)
    assert (reaped.invocation_id, reaped.reason) == (old.invocation_id, "too old")
    assert [flying.id for flying in store.in_flight()] == [young.invocation_id]
    for late in (old.complete, old.heartbeat):
        with pytest.raises(AlreadyEnded):
            late()
    assert store.get_summary().total_invocations == 1


def test_a_heartbeat_is_a_sign_of_life(store: MetricsStore, clock: SettableClock) -> None:
    started = store.track_invocation("deploy")
    for _ in range(5):
        clock.advance(3000)
        started.heartbeat()
        assert store.reap("1 hour") == ()
    clock.advance(3601)
    assert len(store.reap("1 hour")) == 1


@pytest.mark.parametrize("limit", ["soon", 0, -1, float("nan"), "-1 hour", ""])
def test_an_age_that_is_none_is_refused(store: MetricsStore, limit: object) -> None:
    with pytest.raises(InvalidQuery):
        store.reap(limit)  # type: ignore[arg-type]


def test_what_a_legacy_file_holds_is_closed_only_on_request(
    store: MetricsStore, clock: SettableClock
) -> None:
    store.database.write(
        lambda connection: connection.execute(
            "INSERT INTO skill_inflight (id, skill_name, invoked_at, origin, legacy) "
            "VALUES ('old', 'deploy', '2020-01-01T00:00:00.000000Z', 'legacy', '{\"raw\":1}')"
        )
    )
    assert store.reap("1 hour") == ()
    (reaped,) = store.reap("1 hour", include_legacy=True)
    assert reaped.invocation_id == "old"
    assert store.query("SELECT origin, legacy FROM skill_invocation") == [
        {"origin": "legacy", "legacy": '{"raw":1}'}
    ]


def test_the_attributes_of_the_caller_are_kept_whatever_they_are(
    store: MetricsStore, clock: SettableClock
) -> None:
    longest = {"x": "y" * (rows.MAX_ATTRIBUTES - len('{"x":""}'))}
    for attributes in ({"reaped": "mine"}, longest):
        store.track_invocation("deploy", attributes=attributes)
    clock.advance(7200)
    assert len(store.reap("1 hour")) == 2
    kept = [row.attributes for row in store.invocations().invocations]
    assert any("mine" in map(str, row.values()) for row in kept)
    assert any(len(str(row.get("x"))) == len(longest["x"]) for row in kept)


def test_this_process_runs_and_its_name_says_so() -> None:
    name = liveness.identity()
    assert liveness.is_gone(name) is False
    host, boot, namespace, pid, started = name.split("|")
    assert pid == str(os.getpid())
    there = "|".join
    assert liveness.is_gone(there((host, boot, namespace, pid, started + "1"))) is True
    assert liveness.is_gone(there((host, "another boot", namespace, "1", started))) is True
    assert liveness.is_gone(there(("another host", boot, namespace, pid, "1"))) is None
    assert liveness.is_gone(there((host, boot, "another namespace", pid, "1"))) is None
    for odd in ("", "x", "a|b|c|d|e", f"{host}|{boot}|{namespace}|-1|5"):
        assert liveness.is_gone(odd) is None


def test_many_are_reaped_in_one_transaction(
    store: MetricsStore, clock: SettableClock, python: Callable[..., object]
) -> None:
    python(
        "import sys\nfrom metrics_store import MetricsStore\nstore = MetricsStore(sys.argv[1])\n"
        "for n in range(300):\n    store.track_invocation(f's{n % 3}')",
        store.path,
    )
    assert len(store.reap()) == 300
    assert store.get_summary().total_invocations == 300
    assert store.in_flight() == []
