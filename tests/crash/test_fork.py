"""A forked process has its own connections, and its parent never notices."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems

from metrics_store import MetricsStore
from metrics_store.clock import Clock
from metrics_store.errors import ForkedInUse
from metrics_store.records import row_of_mapping

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about fork")
Open = Callable[..., MetricsStore]


def _joined(children: list[multiprocessing.context.ForkProcess]) -> None:
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * len(children)


def test_a_new_file_can_be_opened_by_many_warm_children_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for repetition in range(10):
        path = tmp_path / f"{repetition}.db"
        barrier = context.Barrier(6)

        def child(path: Path = path, barrier: object = barrier) -> None:
            barrier.wait()  # type: ignore[attr-defined]
            MetricsStore(path, durability="normal").record_invocation("deploy")

        children = [context.Process(target=child) for _ in range(6)]
        _joined(children)
        assert MetricsStore(path).get_summary().total_invocations == 6


def test_forked_children_write_through_the_store_they_inherited(open_store: Open) -> None:
    store = open_store(durability="full", clock=Clock())
    store.record_invocation("parent")
    store.get_summary()

    def child(me: int) -> None:
        for n in range(50):
            store.record_invocation("child", invocation_id=f"{me}-{n}")
        assert store.get_skill_metrics("child").total_invocations >= 50  # type: ignore[union-attr]

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=child, args=(me,)) for me in range(4)]
    for process in children:
        process.start()
    for _ in range(50):
        store.record_invocation("parent")
    for process in children:
        process.join(120)
    assert [process.exitcode for process in children] == [0] * 4
    every = store.get_all_metrics()
    assert {name: metrics.total_invocations for name, metrics in every.items()} == {
        "child": 200,
        "parent": 51,
    }


def test_a_childs_records_survive_its_parents_close(
    open_store: Open, python: Callable[..., object]
) -> None:
    store = open_store(durability="full", clock=Clock())
    store.record_invocation("parent")
    store.get_summary()
    path = store.path
    done_read, done_write = os.pipe()
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.record_invocation("child", invocation_id="c")
            os.write(done_write, b"1")
            os.read(go_read, 1)
            for n in range(20):
                store.record_invocation("child", invocation_id=f"c{n}")
            os.write(done_write, b"2")
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(done_read, 1) == b"1"
    store.close()
    python(
        "import sys\nfrom metrics_store import MetricsStore\n"
        "with MetricsStore(sys.argv[1]) as store:\n"
        "    for _ in range(20):\n        store.record_invocation('other')",
        path,
    )
    os.write(go_write, b"g")
    assert os.read(done_read, 1) == b"2"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    totals = {name: m.total_invocations for name, m in open_store().get_all_metrics().items()}
    assert totals == {"parent": 1, "child": 21, "other": 20}


@pytest.mark.parametrize("ending", ["use", "exit", "drop"])
def test_a_fork_in_the_middle_of_another_threads_transaction(
    open_store: Open, python: Callable[..., object], ending: str
) -> None:
    path = open_store().path
    python(  # in a process of its own, whose children end as processes do
        """
import os, sys, threading
from pathlib import Path
from metrics_store import MetricsStore, Settings
from metrics_store.records import row_of_mapping
path, ending = sys.argv[1:]
# A cache this small spills the transaction into the WAL before its commit.
store = MetricsStore(settings=Settings(Path(path), durability="normal", cache_mb=0.1))
store.record_invocation("parent")
inside = threading.Event()
rows = [row_of_mapping(0, {"skill_name": f"s{n % 50}", "attributes": {"x": "y" * 300}})
        for n in range(5000)]
worker = threading.Thread(target=lambda: store.record_rows(rows, lambda _: inside.set()))
worker.start()
inside.wait()
child = os.fork()
if child == 0:
    if ending == "use":
        store.record_invocation("child")
        assert store.get_skill_metrics("child").total_invocations == 1
        os._exit(0)
    if ending == "exit":
        sys.exit(0)
    del store
    import gc
    gc.collect()
    os._exit(0)
worker.join()
_, status = os.waitpid(child, 0)
assert status == 0, status
for _ in range(10):
    store.record_invocation("parent")
assert store.get_skill_metrics("parent").total_invocations == 11
assert store.get_summary().total_invocations == 5011 + (ending == "use")
""",
        path,
        ending,
    )
    assert problems(path) == []


def test_a_child_that_is_forked_while_a_thread_imports_what_it_needs_goes_on(
    open_store: Open, python: Callable[..., object]
) -> None:
    code = """
import os, signal, sys, threading, time
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1], durability="normal")
begun = threading.Event()
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "metrics_store.services.recording":
            begun.set()
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=store.heartbeat, args=("api", "running"))
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(10)  # who waits for a thread that is not there waits for ever
    store.heartbeat("api", "running")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
(found,) = store.query("SELECT count(*) AS n FROM system_status_history")
assert found == {"n": 2}, found
"""
    store = open_store()
    store.close()
    python(code, store.path)


def test_forks_at_random_moments_of_busy_threads(
    open_store: Open, python: Callable[..., object]
) -> None:
    path = open_store().path
    python(
        """
import os, sys, threading
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1], durability="normal")
stop = threading.Event()
counts = []
def write():
    n = 0
    while not stop.is_set():
        store.record_invocation("parent")
        n += 1
    counts.append(n)
def read():
    while not stop.is_set():
        store.get_all_metrics()
        store.query("SELECT count(*) FROM skill_invocation")
threads = [threading.Thread(target=work) for work in (write, write, read, read)]
for thread in threads:
    thread.start()
for n in range(40):
    child = os.fork()
    if child == 0:
        try:
            store.record_invocation("child")
            store.get_summary()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
totals = {name: m.total_invocations for name, m in store.get_all_metrics().items()}
assert totals == {"child": 40, "parent": sum(counts)}, (totals, counts)
""",
        path,
    )
    assert problems(path) == []


def test_a_fork_from_within_a_read_or_a_transaction_leaves_the_parent_whole(
    open_store: Open,
) -> None:
    store = open_store(clock=Clock())
    path = store.path

    def forked() -> None:
        child = os.fork()
        if child == 0:
            refused = 0
            for use in (
                lambda: store.record_invocation("child"),
                store.get_summary,
                lambda: MetricsStore(path),
            ):
                try:
                    use()
                except ForkedInUse as error:
                    refused += bool(error.hint)
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

    with store.database.read():
        forked()
        assert store.get_summary().total_invocations == 0
    store.record_rows([row_of_mapping(0, {"skill_name": "deploy"})], lambda _: forked())
    assert store.get_summary().total_invocations == 1
    store.record_invocation("deploy")


def test_children_can_open_stores_while_a_thread_of_their_parent_opens_some(
    open_store: Open, python: Callable[..., object]
) -> None:
    python(
        """
import os, sys, threading
from metrics_store import MetricsStore
stop = threading.Event()
def opening():
    while not stop.is_set():
        MetricsStore(sys.argv[1], durability="normal").close()
thread = threading.Thread(target=opening)
thread.start()
for n in range(40):
    child = os.fork()
    if child == 0:
        store = MetricsStore(sys.argv[1], durability="normal")
        store.record_invocation("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
assert MetricsStore(sys.argv[1]).get_summary().total_invocations == 40
""",
        open_store().path,
    )


def test_a_buffer_is_its_own_in_a_child(open_store: Open) -> None:
    store = open_store(clock=Clock())
    buffer = store.buffered(max_delay=3600)
    for _ in range(10):
        buffer.record_invocation("parent")

    def child() -> None:
        buffer.flush()  # what the parent took, the parent writes
        for _ in range(5):
            buffer.record_invocation("child")
        buffer.flush()

    _joined([multiprocessing.get_context("fork").Process(target=child)])
    buffer.flush()
    totals = {name: m.total_invocations for name, m in store.get_all_metrics().items()}
    assert totals == {"child": 5, "parent": 10}


@pytest.mark.parametrize("ending", ["exit", "raise", "return"])
def test_a_child_never_ends_the_transaction_it_was_forked_in(
    tmp_path: Path, python: Callable[..., object], ending: str
) -> None:
    path = tmp_path / "m.db"
    python(
        """
import os, sys
from pathlib import Path
from metrics_store import MetricsStore, Settings
from metrics_store.records import row_of_mapping
path, ending = sys.argv[1:]
# Made anew here, for the WAL to hold the schema already.
store = MetricsStore(settings=Settings(Path(path), durability="normal", cache_mb=0.1))
rows = [row_of_mapping(0, {"skill_name": f"s{n % 50}", "workflow_path": f"p{n}",
                           "attributes": {"x": "y" * 300}}) for n in range(20_000)]
parent = os.getpid()
def also(connection):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    elif ending == "exit":
        sys.exit(0)
    elif ending == "raise":
        raise ZeroDivisionError
try:
    store.record_rows(rows, also)
except BaseException:
    if os.getpid() == parent:
        raise
if os.getpid() == parent:
    for _ in range(10):
        store.record_invocation("parent")
    assert store.get_summary().total_invocations == 20_010
""",
        path,
        ending,
    )
    assert problems(path) == []
