"""Who waits for the write lock is woken when it is let go, and where that cannot be, sleeps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from semaphores import file_of, needs_semaphores, wakeups_of, without
from settable_clock import SettableClock

from metrics_store import MetricsStore, semaphore, wakeups
from metrics_store.clock import Clock
from metrics_store.errors import StoreBusy
from metrics_store.wakeups import Wakeups

Open = Callable[..., MetricsStore]
Hold = Callable[[str], Callable[[], None]]
Run = Callable[..., subprocess.CompletedProcess[str]]

#: Far beyond what a busy machine needs to do what a test asks for.
_MINUTE_NS = 60_000_000_000

# Does what it is told by lines, and says when it has.
_OTHER = """
import sys
from metrics_store import MetricsStore, wakeups
wakeups._REMEMBERED = 600_000_000_000  # a slow machine is a crowd for longer
store = MetricsStore(sys.argv[1], busy_timeout=120)
def told():
    return sys.stdin.readline().strip()
def hold(_):
    print("held", flush=True)
    if told() == "fail":
        raise ZeroDivisionError
print("open", flush=True)
while word := told():
    try:
        store.record_rows([], hold) if word == "hold" else store.record_invocation("other")
    except ZeroDivisionError:
        pass
    print("done", flush=True)
store.close()
"""


class Other:
    """Another process that has the store open."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OTHER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        self.says("open")

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def says(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"


@pytest.fixture
def path(tmp_path: Path, new_file: Path) -> str:
    """The file of a store of its own."""
    copy = tmp_path / "m.db"
    shutil.copyfile(new_file, copy)
    copy.chmod(0o600)
    return without(str(copy))


@pytest.fixture
def other(path: str) -> Iterator[Other]:
    """Another process, which has met a crowd."""
    other = Other(path)
    with MetricsStore(path) as store:

        def meet(_: object) -> None:
            other.tell("record")
            _until(lambda: file_of(path).exists())

        store.record_rows([], meet)
        other.says("done")
    yield other
    other.process.communicate()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def _recorded(store: MetricsStore, meanwhile: Callable[[], object]) -> float:
    """Record in a thread, do something once it waits, and give the seconds from then."""
    recording = threading.Thread(target=lambda: store.record_invocation("waiter"))
    recording.start()
    _until(lambda: wakeups_of(store)._crowded_until > 0)
    start = time.monotonic()
    meanwhile()
    recording.join()
    return time.monotonic() - start


def _wait_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_SHORTEST", 2 * _MINUTE_NS)
    monkeypatch.setattr(wakeups, "_LONGEST", 2 * _MINUTE_NS)


@needs_semaphores
@pytest.mark.parametrize("end", ["commit", "fail"])
def test_who_waits_is_woken_by_the_end_of_a_transaction(
    path: str, other: Other, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wait_a_minute(monkeypatch)
    with MetricsStore(path, busy_timeout=300) as store:
        other.tell("hold")
        other.says("held")
        assert _recorded(store, lambda: other.tell(end)) < 30
        other.says("done")
        assert store.get_skill_metrics("waiter").total_invocations == 1  # type: ignore[union-attr]


@needs_semaphores
def test_a_holder_that_is_killed_keeps_nobody_waiting(path: str, other: Other) -> None:
    with MetricsStore(path, busy_timeout=300) as store:
        other.tell("hold")
        other.says("held")
        assert _recorded(store, other.process.kill) < 30
        assert store.get_skill_metrics("waiter").total_invocations == 1  # type: ignore[union-attr]
    # What the killed one left in /dev/shm went with the next one that met a crowd.
    assert not file_of(path).exists()


@needs_semaphores
def test_the_limit_stands_however_long_a_wait_would_be(
    path: str, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wait_a_minute(monkeypatch)
    with MetricsStore(path, busy_timeout=0.3) as store:
        assert wakeups_of(store).wait(1)
        hold_lock(path)
        start = time.monotonic()
        with pytest.raises(StoreBusy):
            store.record_invocation("waiter")
        assert 0.3 <= time.monotonic() - start < 30


@needs_semaphores
def test_tokens_left_over_do_no_harm(path: str, hold_lock: Hold) -> None:
    with MetricsStore(path, busy_timeout=0.2) as store:
        free = hold_lock(path)
        assert wakeups_of(store).wait(1)
        held = wakeups_of(store)._semaphore
        assert held is not None
        for _ in range(100):
            held.post()
        start = time.monotonic()
        with pytest.raises(StoreBusy):
            store.record_invocation("waiter")
        assert time.monotonic() - start >= 0.2
        free()
        store.record_invocation("waiter")


@needs_semaphores
def test_a_process_that_met_nobody_makes_and_loads_nothing(path: str, python: Run) -> None:
    python(
        """
import sys
from metrics_store import MetricsStore
with MetricsStore(sys.argv[1]) as store:
    store.record_invocation("alone")
    assert store.database._writer._wakeups._semaphore is None
assert "ctypes" not in sys.modules
""",
        path,
    )
    assert not file_of(path).exists()


@needs_semaphores
def test_a_crowd_is_forgotten(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_REMEMBERED", _MINUTE_NS)
    waker = Wakeups(path, Clock())
    assert waker.wait(1)
    held = waker._semaphore
    assert held is not None
    waker.done()
    waker.done()
    assert not held.is_empty()
    assert waker.wait(1)
    assert held.is_empty()
    waker._crowded_until = 1
    waker.done()
    assert held.is_empty()
    assert waker._crowded_until == 0
    waker.close()


def test_waits_grow_to_a_bound_and_start_anew_with_each_transaction(path: str) -> None:
    waker = Wakeups(path, Clock())
    bounds = [waker._bound() for _ in range(40)]
    assert 1_000_000 <= bounds[0] <= 3_000_000
    assert all(16_000_000 <= bound <= 48_000_000 for bound in bounds[4:])
    waker._crowded_until = time.monotonic_ns() + _MINUTE_NS
    waker.done()
    assert waker._bound() <= 3_000_000


# Where it cannot be


def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore, "_libc", lambda: None)


def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore, "_FOLDER", "/dev/no-such-folder")


@pytest.mark.parametrize("lacking", [_no_library, _no_folder])
def test_without_semaphores_one_sleeps(
    path: str,
    hold_lock: Hold,
    lacking: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking(monkeypatch)
    with MetricsStore(path, busy_timeout=0.1) as store:
        free = hold_lock(path)
        start = time.monotonic()
        with pytest.raises(StoreBusy):
            store.record_invocation("waiter")
        assert time.monotonic() - start >= 0.1
        assert wakeups_of(store)._semaphore is None
        free()
        store.record_invocation("waiter")
    assert not file_of(path).exists()


def test_a_clock_that_is_set_is_not_waited_by(
    open_store: Open, clock: SettableClock, hold_lock: Hold
) -> None:
    store = open_store(busy_timeout=5)
    free = hold_lock(without(store.path))
    before = clock.monotonic
    with pytest.raises(StoreBusy):
        store.record_invocation("waiter")
    assert clock.monotonic - before >= 5_000_000
    free()
    store.record_invocation("waiter")
    assert not file_of(store.path).exists()


# Many


_WORKER = """
import sys
from metrics_store import MetricsStore
path, me = sys.argv[1:]
store = MetricsStore(path, busy_timeout=120)
print("open", flush=True)
sys.stdin.readline()
for n in range(50):
    store.record_invocation("crowd", invocation_id=f"{me}-{n}")
if int(me) % 2:
    store.close()  # the others leave it to the end of the process
"""


def test_a_crowd_of_processes_loses_nothing_and_leaves_nothing(path: str) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, path, str(me)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        for me in range(8)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "open\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0] * 8
    with MetricsStore(path) as store:
        ids = store.query("SELECT id FROM skill_invocation")
        assert {row["id"] for row in ids} == {f"{me}-{n}" for me in range(8) for n in range(50)}
    assert not file_of(path).exists()


def test_two_stores_of_one_process_share_a_file(path: str) -> None:
    stores = [MetricsStore(path, busy_timeout=120) for _ in range(2)]

    def work(store: MetricsStore) -> None:
        for _ in range(40):
            store.record_invocation("both")

    threads = [threading.Thread(target=work, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stores[0].close()
    stores[1].record_invocation("both")
    stores[1].close()
    with MetricsStore(path) as store:
        assert store.get_summary().total_invocations == 161
    assert not file_of(path).exists()
