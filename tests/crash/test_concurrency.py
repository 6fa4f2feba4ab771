"""Many threads and many processes on one file: nothing is lost, nothing is torn."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore, Settings, get_store
from metrics_store.clock import Clock

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
