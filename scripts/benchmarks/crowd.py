"""Eight processes on one store, against one alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

from measure import Figure, Run, ratios
from sample import Sample

from metrics_store import MetricsStore
from metrics_store.settings import Durability

_MANY = 8


class _Done(NamedTuple):
    """What a process says when it is through; moments are of the clock all processes share."""

    started: float
    ended: float
    worst: float


def crowd(run: Run) -> Iterator[Figure]:
    """Total throughput of eight processes against that of one, under FULL and NORMAL."""
    durabilities: tuple[Durability, ...] = ("full", "normal")
    for durability in durabilities:
        many: list[float] = []
        one: list[float] = []
        worst: list[float] = []
        lost = 0
        for turn in range(run.size(5, 1)):
            seed = run.seed + turn
            for processes, rates in ((_MANY, many), (1, one)):
                path = run.directory / f"{durability}-{turn}-{processes}.db"
                rate, wait, missing = _together(
                    path, durability, processes, run.size(1_000, 100), seed
                )
                rates.append(rate)
                lost += missing
                if processes > 1:
                    worst.append(wait * 1e3)
        what = f"8 processes, {durability.upper()}"
        yield Figure(
            f"{what}: throughput / one alone",
            ratios(many, one),
            "x",
            at_least=0.6,
            note=f"{max(many):,.0f}/s together, {max(one):,.0f}/s alone, at best",
        )
        yield Figure(f"{what}: records lost", (float(lost),), "lost", at_most=0.0)
        yield Figure(
            f"{what}: worst single call",
            tuple(worst),
            "ms",
            note=f"the worst of all: {max(worst):.1f} ms",
        )


def _together(
    path: Path, durability: Durability, processes: int, each: int, seed: int
) -> tuple[float, float, int]:
    """Records a second, the longest call in seconds, and the records that are missing."""
    MetricsStore(path, durability=durability).close()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    results: Queue[_Done] = context.Queue()
    workers = [
        context.Process(target=_work, args=(path, durability, each, seed + n, barrier, results))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    done = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    took = max(d.ended for d in done) - min(d.started for d in done)
    with MetricsStore(path, create=False) as store:
        kept = store.get_summary().total_invocations
        logged = store.query("SELECT count(*) AS n FROM skill_invocation")[0]["n"]
    expected = processes * each
    missing = max(expected - kept, expected - int(logged or 0))
    return expected / took, max(d.worst for d in done), missing


def _work(
    path: Path,
    durability: Durability,
    each: int,
    seed: int,
    barrier: Barrier,
    results: Queue[_Done],
) -> None:
    fields: list[dict[str, Any]] = Sample(seed).fields(each)
    with MetricsStore(path, durability=durability, create=False) as store:
        barrier.wait()
        started = before = time.monotonic()
        worst = 0.0
        for f in fields:
            store.record_invocation(**f)
            after = time.monotonic()
            worst = max(worst, after - before)
            before = after
    results.put(_Done(started, before, worst))
