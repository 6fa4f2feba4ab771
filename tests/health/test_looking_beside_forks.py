"""A fork in the midst of a look, and looks from many threads beside writers."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.clock import Clock

_FORKS = """
import os, sys, threading, time
from metrics_store import MetricsStore
from metrics_store.clock import Clock
from metrics_store.health import measure

class Slow:
    def look(self):
        looking.set()
        time.sleep(0.5)

path, looking, found = sys.argv[1], threading.Event(), []
thread = threading.Thread(target=lambda: found.append(measure(path, log_readers=Slow())))
thread.start()
looking.wait()
began = time.monotonic()
child = os.fork()
if child == 0:
    with MetricsStore(path) as store:
        store.record_invocation("child")
    os._exit(0)
waited = time.monotonic() - began
_, how = os.waitpid(child, 0)
thread.join()
assert waited > 0.2, waited
print(how, found[0].metrics.invocations_total, measure(path).metrics.invocations_total)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork")
def test_a_fork_waits_for_a_look_to_end_and_the_child_can_write(
    store: MetricsStore, python
) -> None:
    store.record_invocation("parent")
    # This process keeps it open, so that the look takes locks.
    done = python(_FORKS, store.path, PYTHONWARNINGS="ignore")
    assert done.stdout == "0 1 2\n"


def test_many_threads_look_while_others_write(store: MetricsStore, look) -> None:
    stop, wrong = threading.Event(), []

    def looks() -> None:
        while not stop.is_set():
            report = look(store)
            m = report.metrics
            if report.findings or m.invocations_total != m.invocations_day:
                wrong.append(report)

    threads = [threading.Thread(target=looks) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        store.record_invocation("a")
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert look(store).metrics.invocations_total == 200


_COMES_AND_GOES = """
import sys
from metrics_store import MetricsStore
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    with MetricsStore(sys.argv[1], durability="normal") as store:
        store.record_invocation("a")
sys.stdin.read()
"""


def test_looks_beside_one_that_opens_and_closes_it_are_never_wrong(
    store: MetricsStore, look, beside
) -> None:
    store.close()
    process = beside(_COMES_AND_GOES, store.path, 60)
    seen = [0]
    while seen[-1] < 60:
        assert process.poll() is None
        # On the real clock: it may have to wait for the other one, for real.
        report = look(Path(store.path), clock=Clock())
        assert report.findings == (), report.findings
        total = report.metrics.invocations_total
        assert total is not None
        seen.append(total)
    assert seen == sorted(seen)


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file cannot be moved")
def test_a_link_to_a_store_is_the_store(store: MetricsStore, look, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(store.path)
    store.record_invocation("a")
    report = look(link)
    assert report.database == store.path
    assert report.metrics.invocations_total == 1
    assert report.metrics.wal_mb
