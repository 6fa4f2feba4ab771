"""Retention of a large log while two processes write to it: how fast it is, and who waits."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, NamedTuple

from measure import Figure, Run, percentile, say
from sample import Sample

from metrics_store import MetricsStore

_WRITERS = 2
_BATCH = 2_000


class _Retained(NamedTuple):
    """What the process that deleted says; moments are of the clock all processes share."""

    began: float
    ended: float
    rows: int
    longest: float
    freed: int


def retaining(run: Run) -> Iterator[Figure]:
    """Delete three quarters of a log under two writers."""
    path = run.directory / "old.db"
    rows = run.size(300_000, 10_000)
    say(f"    filling {rows:,} rows of 400 days")
    before = _fill(path, rows, run.seed)
    waits, done = _under_writers(path, run)
    during = [wait for at, wait in waits if at + wait >= done.began and at <= done.ended]
    other = [wait for at, wait in waits if at + wait < done.began]
    p99 = percentile(other, 0.99) * 1e3
    yield Figure(
        f"retention of {done.rows:,} rows under {_WRITERS} writers: longest wait of one",
        (max(during) * 1e3,),
        "ms",
        at_most=50.0,
        note=f"{len(during):,} commits, p99 {percentile(during, 0.99) * 1e3:.0f} ms; before it "
        f"p99 {p99:.0f} ms, the longest {max(other) * 1e3:.0f} ms",
    )
    yield Figure(
        "retention: its longest batch",
        (done.longest * 1e3,),
        "ms",
        at_most=50.0,
        note=f"{done.freed / 1e6:,.1f} MB given back",
    )
    yield Figure("retention: rows a second", (done.rows / (done.ended - done.began),), "/s")
    with MetricsStore(path, create=False) as store:
        wrong = len(store.check("deep").findings)
        lost = before + len(waits) - store.get_summary().total_invocations
    yield Figure(
        "retention: findings of the check, and records not counted any more",
        (float(wrong + abs(lost)),),
        "lost",
        at_most=0.0,
    )


def _fill(path: Path, rows: int, seed: int) -> int:
    fields = Sample(seed).fields(_BATCH)
    now = datetime.now(UTC)
    with MetricsStore(path, durability="normal") as store:
        for start in range(0, rows, _BATCH):
            at = [now - timedelta(days=400) * (1 - (start + n) / rows) for n in range(_BATCH)]
            store.record_invocations(
                [{**f, "invoked_at": m} for f, m in zip(fields, at, strict=True)]
            )
        return store.get_summary().total_invocations


def _under_writers(path: Path, run: Run) -> tuple[list[tuple[float, float]], _Retained]:
    context = multiprocessing.get_context("spawn")
    stop, ready = context.Event(), context.Barrier(_WRITERS + 1)
    results: Queue[list[tuple[float, float]]] = context.Queue()
    done: Queue[_Retained] = context.Queue()
    writers = [
        context.Process(target=_write, args=(path, run.seed + n, ready, stop, results))
        for n in range(_WRITERS)
    ]
    for writer in writers:
        writer.start()
    ready.wait(timeout=300)
    time.sleep(run.size(10, 1))
    deleter = context.Process(target=_retain, args=(path, done))
    deleter.start()
    try:
        retained = done.get(timeout=1800)
    finally:
        stop.set()
    waits = [wait for _ in writers for wait in results.get(timeout=300)]
    for process in (*writers, deleter):
        process.join()
    return waits, retained


def _write(
    path: Path, seed: int, ready: Barrier, stop: Event, results: Queue[list[tuple[float, float]]]
) -> None:
    fields: list[dict[str, Any]] = Sample(seed).fields(_BATCH)
    waits: list[tuple[float, float]] = []
    with MetricsStore(path, create=False) as store:
        ready.wait(timeout=300)
        while not stop.is_set():
            one = {**fields[len(waits) % _BATCH], "invoked_at": None}
            began = time.monotonic()
            store.record_invocation(**one)
            waits.append((began, time.monotonic() - began))
            time.sleep(0.01)  # a runner, not a hammer
    results.put(waits)


def _retain(path: Path, results: Queue[_Retained]) -> None:
    with MetricsStore(path, create=False) as store:
        began = time.monotonic()
        done = store.retain({"skill": "100 days"})
        ended = time.monotonic()
    rows = sum(deleted.rows for deleted in done.families)
    results.put(_Retained(began, ended, rows, done.longest, done.bytes_before - done.bytes_after))
