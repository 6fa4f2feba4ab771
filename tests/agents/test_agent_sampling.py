"""Samples of real processes, of this machine, and of working trees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from metrics_store.agents import sampling
from metrics_store.clock import Clock
from metrics_store.errors import MissingExtra, SourceError

psutil = pytest.importorskip("psutil")

_BUSY = "print('up', flush=True)\nblob = b'x' * 60_000_000\nwhile True: pass"
_WAITING = "import sys\nprint('up', flush=True)\nsys.stdin.read()"


def started(code: str) -> subprocess.Popen[str]:
    """A process that is up."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def now() -> int:
    return Clock().now_us()


def test_a_busy_process_is_active_and_measured() -> None:
    process = started(_BUSY)
    try:
        watched = sampling.Process(process.pid)
        watched.sample(now())
        status, fields = watched.sample(now())
        for _ in range(100):  # on a machine that has other things to do
            status, fields = watched.sample(now())
            if fields["cpu_usage"] and (fields["memory_usage"] or 0) > 55:
                break
        assert status == "active"
        assert fields["cpu_usage"] is not None
        assert fields["cpu_usage"] > 0
        assert fields["memory_usage"] == pytest.approx(
            psutil.Process(process.pid).memory_info().rss / 2**20, rel=0.5
        )
        assert 0 < (fields["memory_percent"] or 0) <= 100
        assert 0 <= (fields["uptime_seconds"] or -1) < 600
    finally:
        ended(process)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such states")
def test_a_process_that_waits_is_idle_one_that_is_stopped_blocked_a_dead_one_offline() -> None:
    import signal

    process = started(_WAITING)
    try:
        watched = sampling.Process(process.pid)
        watched.sample(now())
        assert watched.sample(now())[0] == "idle"
        process.send_signal(signal.SIGSTOP)
        psutil.Process(process.pid)
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            pass
        assert watched.sample(now())[0] == "blocked"
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert watched.sample(now()) == ("offline", {})
    finally:
        ended(process)
    assert watched.sample(now()) == ("offline", {})
    assert sampling.Process(process.pid).sample(now())[0] == "offline"


def test_this_machine_has_a_status_by_its_memory_and_disk(tmp_path: Path) -> None:
    machine = sampling.Machine(tmp_path)
    status, fields = machine.sample(now())
    machine.sample(now())
    worst = max(fields["memory"] or 0, fields["disk"] or 0)
    due = "unhealthy" if worst >= 98 else "degraded" if worst >= 90 else "healthy"
    assert status == due
    assert 0 <= (fields["cpu"] or 0) <= 100
    with pytest.raises(SourceError):
        sampling.Machine(tmp_path / "nowhere").sample(now())


def test_without_psutil_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MissingExtra, match="psutil") as caught:
        sampling.Machine(tmp_path).sample(now())
    assert caught.value.hint == "pip install 'metrics-store[agents]'"


def test_samples_follow_each_other_without_drifting() -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) < 3

    assert sampling.repeat(lambda: True, sleep, every=60, count=None) == 3
    assert len(waits) == 3
    assert 59 < waits[0] <= 60
    waits.clear()
    assert sampling.repeat(lambda: True, sleep, every=1, count=2) == 2
    assert sampling.repeat(lambda: False, sleep, every=1, count=2) == 1
