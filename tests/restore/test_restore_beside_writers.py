"""Processes that have the store open go on through a restore; what they were told is kept is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from contents import ids, record, restored_property, settings_of

from metrics_store import MetricsStore
from metrics_store.backup import restoring
from metrics_store.clock import Clock
from metrics_store.integrity import check_file

_WRITE = """
import sys
from metrics_store import MetricsStore
path, name, way = sys.argv[1:]
store = MetricsStore(path)
for n in range(1_000_000):
    ids = [f"{name}-{n}"]
    if way == "tracked":
        with store.track_invocation("s", f"path {n % 9}") as tracked:
            pass
        ids = [tracked.invocation_id]
    elif way == "batch":
        ids = [f"{name}-{n}-{k}" for k in range(5)]
        store.record_invocations([{"skill_name": "s", "invocation_id": one} for one in ids])
    else:
        store.record_invocation("s", invocation_id=ids[0], workflow_path=f"path {n % 9}")
    assert store.get_all_metrics()
    print(*ids, flush=True)
"""
RESTORES = 4


class Worker:
    """A process that records all the while, and what it said it had recorded."""

    def __init__(self, path: Path, way: str) -> None:
        self.acknowledged: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITE, str(path), way, way],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.acknowledged += line.split()

    def goes_on(self, n: int = 6) -> None:
        """Wait until it has recorded some more."""
        wanted = len(self.acknowledged) + n
        deadline = time.monotonic() + 60
        while len(self.acknowledged) < wanted:
            assert self.process.poll() is None, self.error()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def end(self) -> None:
        """End it, in the midst of whatever it does."""
        self.process.kill()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def error(self) -> str:
        """What it complained of; it has ended."""
        assert self.process.stderr is not None
        with self.process.stderr as errors:
            return errors.read()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    workers: list[Worker] = []

    def started(way: str) -> Worker:
        workers.append(Worker(tmp_path / "m.db", way))
        return workers[-1]

    yield started
    for worker in workers:
        worker.end()
        worker.process.wait()
        if worker.process.stderr is not None:
            worker.process.stderr.close()


def test_three_writers_see_no_error_and_every_record_is_accounted_for(
    tmp_path: Path, start: Callable[[str], Worker]
) -> None:
    path = tmp_path / "m.db"
    with MetricsStore(path, durability="normal") as store:
        record(store, [f"old-{n}" for n in range(300)])
        backup = store.back_up().path
    settings, copies = settings_of(path), []
    workers = [start(way) for way in ("single", "batch", "tracked")]
    for n in range(RESTORES):
        for worker in workers:
            worker.goes_on()
        if n % 2:
            done = restoring.undo(settings, Clock(), execute=True)
        else:
            done = restoring.restore(backup, settings, Clock())
        assert done.problems == ()
        assert done.safety is not None
        copies.append(done.safety)
        assert done.lost is not None
    for worker in workers:
        worker.goes_on()
        worker.end()
        assert worker.error() == ""
    acknowledged = [name for worker in workers for name in worker.acknowledged]
    assert len(acknowledged) == len({*acknowledged}) > 3 * RESTORES * 6
    kept = {name for copy in copies for name in ids(copy)}
    now = ids(path)
    assert not {*acknowledged} - kept - now
    # What was recorded after the last restore is in the store itself, with what was restored.
    assert {worker.acknowledged[-1] for worker in workers} <= now
    assert restored_property(path)["safety"] == copies[-1]
    assert check_file(path, level="deep").ok
    assert json.loads(Path(f"{copies[-1]}.json").read_text())["findings"] == 0


def test_a_reader_in_the_midst_of_a_view_sees_the_old_content_to_its_end(
    tmp_path: Path, store: MetricsStore
) -> None:
    record(store, ["before"])
    backup = store.back_up().path
    record(store, ["since"])
    with store._database.read() as view:
        seen = "SELECT count(*) FROM skill_invocation"
        assert view.execute(seen).fetchone() == (2,)
        done = restoring.restore(backup, settings_of(tmp_path / "m.db"), Clock())
        assert done.problems == ()
        assert view.execute(seen).fetchone() == (2,)
    assert store.query(f"{seen.replace('count(*)', 'count(*) AS n')}") == [{"n": 1}]


def test_a_buffer_of_records_goes_on_into_the_restored_store(
    tmp_path: Path, store: MetricsStore
) -> None:
    record(store, ["before"])
    backup = store.back_up().path
    with store.buffered(max_delay=3600) as buffer:
        waiting = buffer.record_invocation("s")
        restoring.restore(backup, settings_of(tmp_path / "m.db"), Clock())
    assert ids(tmp_path / "m.db") == {"before", waiting}
