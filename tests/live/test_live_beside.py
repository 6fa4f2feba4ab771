"""The live state beside other processes: how fresh it is, forks, restores, locks, lost files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import timeit
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import LiveState, MetricsStore
from metrics_store.errors import SchemaNewer

Open = Callable[..., MetricsStore]
Watch = Callable[..., LiveState]
Until = Callable[[Callable[[], object]], None]

_WRITE = """
import sys, time
from metrics_store import MetricsStore

with MetricsStore(sys.argv[1], durability="normal") as store:
    for _ in range(10):
        store.record_agent_sample("other", "active", current_task=str(time.monotonic()))
        time.sleep(0.13)
"""


def test_what_another_process_writes_is_seen_within_a_second(
    store: MetricsStore, watch: Watch
) -> None:
    live = watch(every=0.2)
    changes = live.subscribe("agents:other:status")
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITE, store.path], env={"PYTHONPATH": python_path()}
    )
    ages = []
    while writer.poll() is None:
        if (change := changes.get(0.1)) is not None:
            ages.append(time.monotonic() - float(change.value.current_task))
    assert writer.wait(60) == 0
    # Those that came between two looks are seen as one; what is seen is seen in time. The median:
    # on a busy machine one of them may have to wait for its turn.
    assert len(ages) >= 3
    assert sorted(ages)[len(ages) // 2] < 1


def test_asking_takes_five_microseconds_at_most(store: MetricsStore, watch: Watch) -> None:
    for number in range(20):
        store.record_task_event(f"t{number}", "created")
    live = watch(every=5)
    for key in ("tasks:current", "tasks:t3:history", "system:alerts:active"):
        seconds = min(timeit.repeat(lambda key=key: live.get(key), number=2000, repeat=20))
        assert seconds / 2000 < 5e-6


def test_memory_does_not_grow_with_what_is_recorded(store: MetricsStore, watch: Watch) -> None:
    live = watch(every=60, agents=20, tasks=20, history=10, activity=10, services=5)

    def record(start: int, count: int) -> int:
        for number in range(start, start + count):
            name = f"n{number % 100:05d}"
            store.record_agent_sample(name, "active", current_task=f"{number}" + "x" * 500)
            store.record_task_event(name, "updated", changed_by=name, details={"a": "y" * 500})
            store.heartbeat(name, "healthy")
            store.database.clock.sleep(1)
            if number % 50 == 49:
                live._look()
        return tracemalloc.get_traced_memory()[0]

    record(0, 100)
    tracemalloc.start()
    try:
        live._look()
        first = record(100, 100)
        second = record(200, 300)
    finally:
        tracemalloc.stop()
    held = live.keys()
    assert sum(key.startswith("agents:") for key in held) <= 40
    assert sum(key.endswith(":history") for key in held) <= 20
    assert sum(key.startswith("services:") for key in held) <= 5
    assert second - first < 300_000
    assert sum(len(live.get(key)) for key in held if key.endswith((":activity", ":history"))) <= 400


def test_a_restored_backup_is_read_anew(
    store: MetricsStore, watch: Watch, until: Until, tmp_path: Path
) -> None:
    store.record_agent_sample("a", "active")
    store.record_task_event("t1", "created")
    backup = store.back_up(tmp_path / "backups")
    store.record_agent_sample("a", "error")
    store.record_agent_sample("b", "idle")
    live = watch()
    assert live.get("agents:a:status").status == "error"
    changes = live.subscribe("agents:b:*")
    command = [sys.executable, "-m", "metrics_store.cli", "restore", str(backup.path)]
    done = subprocess.run(
        [*command, "--execute", "--db", store.path],
        env={"PYTHONPATH": python_path(), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    until(lambda: live.get("agents:a:status").status == "active")
    until(lambda: live.get("agents:b:status") is None)
    gone = {changes.get(30), changes.get(30)}
    assert {(change.key, change.value) for change in gone if change} == {
        ("agents:b:status", None), ("agents:b:activity", None),
    }  # fmt: skip
    # Numbers that were given before are given again, to other rows.
    store.record_agent_sample("c", "blocked")
    until(lambda: live.get("agents:c:status"))


def test_a_lock_that_somebody_holds_keeps_nobody_from_reading(
    store: MetricsStore, watch: Watch, hold_lock: Callable[..., Callable[[], None]]
) -> None:
    store.record_agent_sample("a", "active")
    live = watch()
    let_go = hold_lock(store.path)
    live._look()
    assert live.stale_since is None
    let_go()


def test_a_file_that_is_gone_leaves_the_last_picture_and_says_since_when(
    open_store: Open, watch: Watch, until: Until, tmp_path: Path
) -> None:
    store = open_store("moved.db")
    store.record_agent_sample("a", "active")
    live = watch(store)
    path, away = Path(store.path), tmp_path / "away"
    path.rename(away)
    until(lambda: live.stale_since)
    assert "gone" in str(live.error)
    assert live.get("agents:a:status").status == "active"
    away.rename(path)
    until(lambda: live.stale_since is None)
    assert live.error is None
    store.record_agent_sample("a", "idle")
    until(lambda: live.get("agents:a:status").status == "idle")


def test_a_store_that_cannot_be_read_is_told_once_and_tried_again(
    store: MetricsStore, watch: Watch, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    store.record_agent_sample("a", "active")
    live = watch()
    [(version,)] = store.database.write(lambda c: c.execute("PRAGMA user_version").fetchall())

    def become(version: int) -> None:
        store.database.write(
            lambda c: c.execute(f"PRAGMA user_version = {version:d}"), check_schema=False
        )

    become(version + 1)
    until(lambda: live.stale_since)
    assert isinstance(live.error, SchemaNewer)
    assert live.get("agents:a:status").status == "active"
    become(version)
    until(lambda: live.stale_since is None)
    told = [record.message for record in caplog.records if "stale" in record.message]
    assert len(told) == 1  # and not several times a second


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_child_goes_on_by_itself(
    python: Callable[..., subprocess.CompletedProcess[str]], new_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "forked.db"
    shutil.copyfile(new_file, path)
    done = python(_FORK, path)
    assert done.stdout.split() == ["child", "active", "idle", "closed", "parent", "idle", "0"]


_FORK = """
import os, sys, time
from metrics_store import LiveState, MetricsStore

def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)

store = MetricsStore(sys.argv[1], durability="normal")
store.record_agent_sample("a", "active")
live = LiveState(store, every=0.02)
changes = live.subscribe("agents:a:status")
child = os.fork()
if child == 0:
    print("child", live.get("agents:a:status").status, end=" ")
    store.record_agent_sample("a", "idle")
    until(lambda: live.get("agents:a:status").status == "idle")
    print(changes.get(60).value.status, end=" ")
    live.close()
    print("closed" if list(changes) == [] else "open", flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
until(lambda: live.get("agents:a:status").status == "idle")
print("parent", changes.get(60).value.status, status)
live.close()
store.close()
"""
