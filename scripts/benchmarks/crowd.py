"""Sixteen processes on one store, against one alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

from measure import Figure, Run, percentile, ratios
from sample import Sample

from metrics_store import MetricsStore
from metrics_store.errors import MetricsStoreError
from metrics_store.settings import Durability

_MANY = 16


class _Done(NamedTuple):
    """What a process says when it is through; moments are of the clock all processes share."""

    started: float
    ended: float
    calls: list[float]
    errors: int


@dataclass(frozen=True, slots=True)
class _Turn:
    """What some processes did together.

    Args:
        rate: records a second, of all of them.
        calls: the seconds that each call took.
        errors: calls that raised.
        lost: records that are not in the store although their call returned.
    """

    rate: float
    calls: list[float]
    errors: int
    lost: int


def crowd(run: Run) -> Iterator[Figure]:
    """What sixteen processes record together, and how long their calls take, beside one alone."""
    durabilities: tuple[Durability, ...] = ("full", "normal")
    for durability in durabilities:
        many: list[_Turn] = []
        one: list[_Turn] = []
        for turn in range(run.size(5, 1)):
            for processes, each, turns in (
                (_MANY, run.size(500, 50), many),
                (1, run.size(1_000, 100), one),
            ):
                path = run.directory / f"{durability}-{turn}-{processes}.db"
                turns.append(_together(path, durability, processes, each, run.seed + turn))
        yield from _figures(durability, many, one)


def _figures(durability: Durability, many: list[_Turn], one: list[_Turn]) -> Iterator[Figure]:
    what = f"{_MANY} processes, {durability.upper()}"
    full = durability == "full"
    rates, alone = [turn.rate for turn in many], [turn.rate for turn in one]
    yield Figure(
        f"{what}: together",
        tuple(rates),
        "/s",
        at_least=1_500.0 if full else None,
        note=f"one alone in the same turns: {min(alone):,.0f} to {max(alone):,.0f}/s",
    )
    yield Figure(f"{what}: throughput / one alone", ratios(rates, alone), "x", at_least=0.6)
    yield Figure(
        f"{what}: p99 of a call",
        tuple(percentile(turn.calls, 0.99) * 1e3 for turn in many),
        "ms",
        at_most=50.0 if full else None,
        note=f"alone: {max(percentile(turn.calls, 0.99) for turn in one) * 1e3:.3g} ms at worst",
    )
    worst = tuple(max(turn.calls) * 1e3 for turn in many)
    yield Figure(
        f"{what}: worst single call", worst, "ms", note=f"the worst of all: {max(worst):.1f} ms"
    )
    errors = sum(turn.errors for turn in (*many, *one))
    yield Figure(f"{what}: calls that raised", (float(errors),), "errors", at_most=0.0)
    lost = sum(turn.lost for turn in (*many, *one))
    yield Figure(f"{what}: records lost", (float(lost),), "lost", at_most=0.0)


def _together(path: Path, durability: Durability, processes: int, each: int, seed: int) -> _Turn:
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
    errors = sum(d.errors for d in done)
    recorded = processes * each - errors
    lost = max(recorded - kept, recorded - int(logged or 0))
    return _Turn(recorded / took, [call for d in done for call in d.calls], errors, lost)


def _work(
    path: Path,
    durability: Durability,
    each: int,
    seed: int,
    barrier: Barrier,
    results: Queue[_Done],
) -> None:
    fields: list[dict[str, Any]] = Sample(seed).fields(each)
    calls: list[float] = []
    errors = 0
    with MetricsStore(path, durability=durability, create=False) as store:
        barrier.wait()
        started = before = time.monotonic()
        for f in fields:
            try:
                store.record_invocation(**f)
            except MetricsStoreError:
                errors += 1
            after = time.monotonic()
            calls.append(after - before)
            before = after
    results.put(_Done(started, before, calls, errors))
