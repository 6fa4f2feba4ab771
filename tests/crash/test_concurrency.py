"""Many threads and many processes on one file: nothing is lost, nothing is torn."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems, python_path

from metrics_store import MetricsStore, Settings, get_store, location
from metrics_store.clock import Clock
from metrics_store.records import row_of_mapping

Open = Callable[..., MetricsStore]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about fork")

_WORKER = """
import sys
path, me, count, wait = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
from metrics_store import MetricsStore
print("ready", flush=True)
if wait:
    sys.stdin.read(1)
store = MetricsStore(path, durability="normal")
for n in range(count):
    name = f"{me}-{n}"
    kind = n % 10
    if kind < 5:
        store.record_invocation(f"s{n % 3}", n % 2 == 0, invocation_id=name, duration_seconds=n,
                                session_id=me, workflow_path=f"p{n % 4}")
    elif kind < 8:
        with store.track_invocation(f"s{n % 3}", session_id=me):
            pass
    else:
        store.record_invocations([{"skill_name": "b", "invocation_id": name, "session_id": me}])
store.close()
"""


def _workers(path: str, processes: int, count: int) -> None:
    """Start processes that all open the file at the same moment, and wait for their success."""
    command = [sys.executable, "-c", _WORKER, path]
    started = [
        subprocess.Popen(
            [*command, f"w{n}", str(count), "wait"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        for n in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("g")
        process.stdin.flush()
    failures = [err for process in started if (err := process.communicate()[1])]
    assert not failures, failures[0]


def test_sixteen_threads_lose_nothing(open_store: Open) -> None:
    store = open_store(clock=Clock())
    errors: list[BaseException] = []

    def work(me: int) -> None:
        try:
            for n in range(200):
                if n % 2:
                    store.record_invocation(f"s{me % 4}", session_id=f"x{me}", duration_seconds=n)
                else:
                    started = store.track_invocation(f"s{me % 4}", "p", f"x{me}")
                    started.complete(n % 3 == 0)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.get_summary().total_invocations == 16 * 200
    assert {s.session_id: s.invocation_count for s in store.get_sessions()} == {
        f"x{me}": 200 for me in range(16)
    }
    assert store.in_flight() == []


def test_eight_processes_lose_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "m.db")  # nobody has made it yet
    _workers(path, 8, 500)
    store = MetricsStore(path)
    assert store.get_summary().total_invocations == 8 * 500
    assert {s.session_id: s.invocation_count for s in store.get_sessions()} == {
        f"w{me}": 500 for me in range(8)
    }
    assert store.in_flight() == []


@pytest.mark.parametrize("repetition", range(5))
def test_a_new_file_can_be_opened_by_eight_at_once(tmp_path: Path, repetition: int) -> None:
    path = str(tmp_path / "m.db")
    _workers(path, 8, 10)
    store = MetricsStore(path)
    assert store.get_summary().total_invocations == 80
    assert len(store.query("SELECT * FROM schema_migrations")) == max(
        row["version"] for row in store.query("SELECT version FROM schema_migrations")
    )


@forks
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


def _joined(children: list[multiprocessing.context.ForkProcess]) -> None:
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * len(children)


@forks
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


@forks
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


@forks
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


@forks
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


@forks
def test_a_child_of_a_thread_in_a_read_or_a_transaction_of_its_own(open_store: Open) -> None:
    store = open_store(clock=Clock())

    def forked() -> int:
        child = os.fork()
        if child == 0:
            os._exit(0)
        return os.waitpid(child, 0)[1]

    with store.database.read():
        assert forked() == 0
        assert store.get_summary().total_invocations == 0
    store.record_rows([row_of_mapping(0, {"skill_name": "deploy"})], lambda _: forked())
    assert store.get_summary().total_invocations == 1
    store.record_invocation("deploy")


@forks
def test_a_child_can_open_stores_while_a_thread_of_its_parent_was_opening_one(
    open_store: Open,
) -> None:
    path = open_store().path
    with location.OPENING:  # as if another thread were at it
        context = multiprocessing.get_context("fork")
        child = context.Process(target=lambda: MetricsStore(path).close())
        child.start()
        child.join(30)
        alive = child.is_alive()
        child.kill()
        child.join()
    assert not alive


@forks
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


def test_get_store_is_shared_by_all_threads(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    found: list[MetricsStore] = []

    def look() -> None:
        barrier.wait()
        store = get_store(tmp_path / "m.db")
        store.record_invocation("deploy")
        found.append(store)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(store) for store in found}) == 1
    assert found[0].get_summary().total_invocations == 8


def test_a_reader_sees_whole_transactions_only(open_store: Open) -> None:
    settings = Settings(Path(open_store().path), durability="normal", checkpoint_mb=0.1)
    store = MetricsStore(settings=settings)
    stop = threading.Event()
    errors: list[BaseException] = []

    def write(seed: int) -> None:
        rng = random.Random(seed)
        try:
            while not stop.is_set():
                if rng.random() < 0.5:
                    store.record_invocation("s0", session_id="x", duration_seconds=rng.random())
                else:  # batches come in sevens
                    store.record_invocations({"skill_name": "s1"} for _ in range(7))
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    before = 0
    for _ in range(300):
        with store.database.read() as connection:
            every = store.get_all_metrics()
            summary = store.get_summary()
            total, hours, log = (
                connection.execute(sql).fetchone()[0]
                for sql in (
                    "SELECT sum(n) FROM rollup WHERE kind = 'total'",
                    "SELECT sum(n) FROM rollup WHERE kind = 'hour'",
                    "SELECT count(*) FROM skill_invocation",
                )
            )
        assert (total or 0) == (hours or 0) == log == summary.total_invocations
        assert summary.total_invocations == sum(m.total_invocations for m in every.values())
        if "s1" in every:
            assert every["s1"].total_invocations % 7 == 0
        assert log >= before
        before = log
    stop.set()
    for writer in writers:
        writer.join()
    assert errors == []
    assert before > 0
