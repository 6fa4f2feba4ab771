"""Heartbeats from a thread: their pace, their last word, a store that fails, forks and kills."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore, clock
from metrics_store.clock import Clock
from metrics_store.errors import InvalidQuery, InvalidValue, UsageError
from metrics_store.services.results import Heartbeat

Open = Callable[..., MetricsStore]


@pytest.fixture
def live(open_store: Open) -> MetricsStore:
    """A store on the real clock."""
    return open_store("live.db", clock=Clock())


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that a thread or a process does; never for longer than a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def oldest_first(store: MetricsStore, name: str) -> list[Heartbeat]:
    return store.service_history(name, "1 hour")[::-1]


def test_a_block_begins_with_a_heartbeat_goes_on_and_ends_with_a_last_word(
    live: MetricsStore,
) -> None:
    with live.heartbeats("librarian", every=0.02) as beats:
        first = live.service_status("librarian")
        assert first is not None
        assert (first.status, first.grace_seconds) == ("running", 0.05)
        until(lambda: len(oldest_first(live, "librarian")) >= 4)
        beats.say("busy", "chapter 1", latency=0.5)
        until(lambda: oldest_first(live, "librarian")[-1].status == "busy")
    found = oldest_first(live, "librarian")
    assert [beat.status for beat in found[:4]] == ["running"] * 4
    assert [beat.latency_seconds for beat in found].count(0.5) == 1
    assert (found[-1].status, found[-1].current_task, found[-1].down) == ("stopped", None, True)
    assert not [t for t in threading.enumerate() if "heartbeats librarian" in t.name]


def test_what_one_takes_does_not_put_off_the_next(live: MetricsStore) -> None:
    with live.heartbeats("librarian", every=0.05):
        until(lambda: len(oldest_first(live, "librarian")) >= 14)
    moments = [clock.parse(beat.heartbeat_timestamp) for beat in oldest_first(live, "librarian")]
    # Who waits a whole interval after each has none that comes sooner after the one before.
    assert min(second - first for first, second in pairwise(moments[1:-1])) < 50_000


@pytest.mark.parametrize(
    ("error", "status", "task"),
    [
        (ValueError("secret"), "failed", "ended by ValueError"),
        (SystemExit(3), "failed", "ended by SystemExit"),
        (SystemExit(0), "over", None),
        (KeyboardInterrupt(), "over", None),
    ],
)
def test_an_exception_is_the_last_word_and_goes_on(
    live: MetricsStore, error: BaseException, status: str, task: str | None
) -> None:
    with pytest.raises(type(error)), live.heartbeats("librarian", last="over"):
        raise error
    last = live.service_status("librarian")
    assert last is not None
    assert (last.status, last.current_task) == (status, task)


def test_leaving_the_block_waits_for_no_interval(live: MetricsStore) -> None:
    began = time.monotonic()
    with live.heartbeats("librarian", every="1 day"):
        pass
    assert time.monotonic() - began < 10
    assert [beat.status for beat in oldest_first(live, "librarian")] == ["running", "stopped"]


def test_what_makes_no_sense_is_told_before_the_block(live: MetricsStore) -> None:
    for given in ({"every": 0}, {"every": "100 days"}, {"status": ""}, {"last": ""}):
        with pytest.raises((InvalidValue, InvalidQuery)):
            live.heartbeats("librarian", **given)  # type: ignore[arg-type]
    with live.heartbeats("librarian") as beats:
        with pytest.raises(InvalidValue):
            beats.say("running", latency=-1)
        with pytest.raises(UsageError):
            beats.__enter__()


def test_a_store_that_fails_disturbs_nobody_and_loses_no_heartbeat(
    open_store: Open,
    hold_lock: Callable[[str], Callable[[], None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = open_store("held.db", clock=Clock(), busy_timeout=0.05)
    caplog.set_level(logging.WARNING, "metrics_store.services")
    with store.heartbeats("librarian", every=0.02) as beats:
        let_go = hold_lock(store.path)
        until(lambda: len(beats._waiting) >= 3)
        let_go()
        until(lambda: not beats._waiting)
    found = oldest_first(store, "librarian")
    late = [beat for beat in found if beat.created_at > beat.heartbeat_timestamp]
    assert len(late) >= 2
    assert found[-1].status == "stopped"
    told = [record.message for record in caplog.records]
    assert len(told) == 2
    assert "cannot be recorded" in told[0]
    assert "recorded again" in told[1]


def test_a_store_that_was_closed_does_not_break_the_block(
    live: MetricsStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "metrics_store.services")
    done = False
    with live.heartbeats("librarian", every=0.01) as beats:
        live.close()
        until(lambda: len(beats._waiting) >= 2)
        done = True
    assert done
    assert "could not be recorded" in caplog.records[-1].message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_neither_beats_nor_says_the_last_word(live: MetricsStore) -> None:
    with live.heartbeats("librarian", every=0.01) as beats:
        until(lambda: len(oldest_first(live, "librarian")) >= 2)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                try:
                    beats.say("from the child")
                except UsageError:
                    beats.__exit__(ValueError, ValueError(), None)
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        n = len(oldest_first(live, "librarian"))
        until(lambda: len(oldest_first(live, "librarian")) > n)
    statuses = {beat.status for beat in oldest_first(live, "librarian")}
    assert statuses == {"running", "stopped"}


_BEATING = """
import sys, time
from metrics_store import MetricsStore
with MetricsStore(sys.argv[1]) as store, store.heartbeats("librarian", every=0.02):
    print("beating", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_is_silent_after_its_grace(live: MetricsStore, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _BEATING, str(tmp_path / "live.db")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "beating\n"
        until(lambda: len(oldest_first(live, "librarian")) >= 5)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    last = oldest_first(live, "librarian")[-1]
    until(lambda: live.service_status("librarian").state == "silent")  # type: ignore[union-attr]
    assert last.status == "running"
    outage = live.outages("librarian", "1 hour")[-1]
    assert (outage.end_at, outage.cause, outage.status) == (None, "silent", None)
    silent_from = clock.parse(last.heartbeat_timestamp) + 50_000
    assert outage.start_at == clock.text(silent_from)
