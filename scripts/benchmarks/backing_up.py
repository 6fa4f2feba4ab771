"""A backup of a large store while eight processes write to it: does it end, and who waits?"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, NamedTuple

from measure import Figure, Run, percentile, say
from sample import Sample

from metrics_store import MetricsStore, sqlite
from metrics_store.backup import creating
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.settings import Settings

_WRITERS = 8
_BATCH = 2_000
#: Makes a row some kilobyte long, so that a gigabyte is filled in a minute or two.
_PADDING = "x" * 500


class _Written(NamedTuple):
    """What a writer says when it is through."""

    acknowledged: list[str]
    waits: list[tuple[float, float]]


class _Made(NamedTuple):
    """What the process that backed up says; moments are of the clock all processes share."""

    path: str
    began: float
    ended: float
    copied_in: float
    peak_mb: float


def backing_up(run: Run) -> Iterator[Figure]:
    """Back a store of a gigabyte up under eight writers."""
    path = run.directory / "large.db"
    size = run.size(1_000_000_000, 5_000_000)
    say(f"    filling {size / 1e6:,.0f} MB")
    _fill(path, size, run.seed)
    made, alone, written, log_mb = _under_writers(path, run)
    copied = made.began + made.copied_in
    size_mb = Path(made.path).stat().st_size / 1e6
    what = f"backup of {size_mb:,.0f} MB under {_WRITERS} writers"
    yield Figure(
        what,
        (made.ended - made.began,),
        "s",
        note=f"the store was read for {made.copied_in:.2f} s; the rest is the check of the copy",
    )
    before = f"before it {_told(alone)}"
    during = _waits(written, made.began, copied)
    yield Figure(
        f"{what}: longest wait of one",
        (max(during) * 1e3,),
        "ms",
        at_most=1_000.0,
        note=f"while the store was read: {_told(during)}; {before}",
    )
    checked = _waits(written, copied, made.ended)
    yield Figure(
        f"{what}: the same during the check",
        (max(checked) * 1e3,),
        "ms",
        note=f"the check reads the copy and takes a processor: {_told(checked)}; {before}",
    )
    yield Figure(f"{what}: memory of it", (made.peak_mb,), "MB", at_most=200.0)
    lost = _lost(path, Path(made.path), written)
    yield Figure(
        f"{what}: records lost, or not of one moment",
        (float(lost),),
        "lost",
        at_most=0.0,
        note=f"the log had grown to {log_mb:,.0f} MB",
    )


def _told(waits: list[float]) -> str:
    p99, longest = percentile(waits, 0.99) * 1e3, max(waits) * 1e3
    return f"{len(waits):,} commits, p99 {p99:.0f} ms, the longest {longest:.0f} ms"


def _fill(path: Path, size: int, seed: int) -> None:
    fields = Sample(seed).fields(_BATCH)
    with MetricsStore(path, durability="normal") as store:
        while path.stat().st_size < size:
            store.record_invocations([{**f, "attributes": {"note": _PADDING}} for f in fields])


def _under_writers(path: Path, run: Run) -> tuple[_Made, list[float], list[_Written], float]:
    context = multiprocessing.get_context("spawn")
    stop, ready = context.Event(), context.Barrier(_WRITERS + 1)
    results: Queue[_Written] = context.Queue()
    made: Queue[_Made] = context.Queue()
    writers = [
        context.Process(target=_write, args=(path, run.seed + n, ready, stop, results))
        for n in range(_WRITERS)
    ]
    for writer in writers:
        writer.start()
    ready.wait(timeout=300)
    time.sleep(run.size(10, 2))
    maker = context.Process(target=_back_up, args=(path, made))
    maker.start()
    log = 0
    try:
        while made.empty() and maker.is_alive():
            time.sleep(0.05)
            log = max(log, Path(f"{path}-wal").stat().st_size)
        backup = made.get(timeout=60)
    finally:
        stop.set()
    written = [results.get(timeout=300) for _ in writers]
    for process in (*writers, maker):
        process.join()
    before = [wait for one in written for at, wait in one.waits if at + wait < backup.began]
    return backup, before, written, log / 1e6


def _write(path: Path, seed: int, ready: Barrier, stop: Event, results: Queue[_Written]) -> None:
    fields: list[dict[str, Any]] = Sample(seed).fields(_BATCH)
    acknowledged: list[str] = []
    waits: list[tuple[float, float]] = []
    with MetricsStore(path, create=False) as store:
        ready.wait(timeout=300)
        while not stop.is_set():
            one = fields[len(waits) % _BATCH]
            began = time.monotonic()
            acknowledged.append(store.record_invocation(**one))
            waits.append((began, time.monotonic() - began))
    results.put(_Written(acknowledged, waits))


def _back_up(path: Path, made: Queue[_Made]) -> None:
    import resource

    with closing(Database(Settings(database=path), Clock(), create=False)) as database:
        began = time.monotonic()
        backup = creating.create(database, gently=True)
        ended = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / (1e6 if sys.platform == "darwin" else 1e3)
    made.put(_Made(str(backup.path), began, ended, backup.copied_in, peak_mb))


def _waits(written: list[_Written], began: float, ended: float) -> list[float]:
    """How long each commit took that was under way between two moments."""
    return [wait for one in written for at, wait in one.waits if at + wait >= began and at <= ended]


def _lost(path: Path, backup: Path, written: list[_Written]) -> int:
    """Acknowledged records that the store lacks, and rows by which the copy is not a beginning."""
    with (
        closing(sqlite.connect(str(path), read_only=True)) as live,
        closing(sqlite.connect(str(backup), read_only=True, immutable=True)) as copy,
    ):
        last = copy.execute("SELECT max(seq) FROM skill_invocation").fetchone()[0]
        rows = "SELECT seq, id, digest FROM skill_invocation WHERE seq <= ? ORDER BY seq"
        pairs = zip(live.execute(rows, (last,)), copy.execute(rows, (last,)), strict=True)
        differing = sum(bool(one != other) for one, other in pairs)
        kept = {name for (name,) in live.execute("SELECT id FROM skill_invocation")}
    return differing + sum(name not in kept for one in written for name in one.acknowledged)
