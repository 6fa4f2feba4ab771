"""Recording one by one, start and end, in batches, and buffered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from bare import BareLog
from measure import (
    Figure,
    Run,
    alternated,
    microseconds,
    percentile,
    ratios,
    timed,
    uncollected,
)
from sample import Sample, row

from metrics_store import MetricsStore
from metrics_store.settings import Durability

#: Commits of one block: long enough to average an fsync, short enough that neighbours are alike.
_BLOCK = 50
#: What is in both logs before the first block.
_BEFORE = 20_000


class _Both:
    """A store and a bare log that hold the same rows."""

    def __init__(self, run: Run, durability: Durability) -> None:
        name = f"{durability}.db"
        self.store = MetricsStore(run.directory / f"store-{name}", durability=durability)
        self.bare = BareLog(run.directory / f"bare-{name}", durability)
        self.sample = Sample(run.seed)
        for _ in range(run.size(_BEFORE, 1_000) // 1_000):
            rows = list(self.sample.rows(1_000))
            self.store.record_rows(rows)
            self.bare.commit_all(rows)

    def commits(self) -> float:
        """A block of bare commits of one row each."""
        fields = self.sample.fields(_BLOCK)
        now = time.time_ns() // 1000
        bound = self.bare.bound(row(f, now) for f in fields)
        seconds = timed(lambda: self.bare.commit_each(bound))
        self.bare.fold()
        return seconds

    def close(self) -> None:
        self.store.close()
        self.bare.close()


def record_one(run: Run) -> Iterator[Figure]:
    """Record one invocation, against a bare commit of the same log row."""
    yield _against_commit(run, "full", _records, "record one, FULL", 1.6)
    yield _against_commit(run, "normal", _records, "record one, NORMAL", 3.0)


def start_and_end(run: Run) -> Iterator[Figure]:
    """Start and end one invocation under FULL, against one bare commit."""
    yield _against_commit(run, "full", _starts_and_ends, "start + end, FULL", 2.0)


def _against_commit(
    run: Run, durability: Durability, block: Callable[[_Both], float], what: str, goal: float
) -> Figure:
    both = _Both(run, durability)
    ours, bare = alternated(lambda: block(both), both.commits, run.size(61, 5))
    both.close()
    return Figure(
        f"{what} / bare one-row commit",
        ratios(ours, bare),
        "x",
        at_most=goal,
        note=f"{microseconds(ours, _BLOCK)} against {microseconds(bare, _BLOCK)}; the store's "
        f"checkpoints are in, the bare side's are not",
    )


def _records(both: _Both) -> float:
    fields: list[dict[str, Any]] = both.sample.fields(_BLOCK)
    record = both.store.record_invocation

    def work() -> None:
        for each in fields:
            record(**each)

    return timed(work)


def _starts_and_ends(both: _Both) -> float:
    fields: list[dict[str, Any]] = both.sample.fields(_BLOCK)
    track = both.store.track_invocation

    def work() -> None:
        for f in fields:
            track(f["skill_name"], f["workflow_path"], f["session_id"], f["project_path"]).complete(
                f["completed"], f["follow_up_actions"], f["error_type"]
            )

    return timed(work)


def batch(run: Run) -> Iterator[Figure]:
    """A batch of 1,000, against bare batch inserts."""
    both = _Both(run, "full")
    size = 1_000

    def ours() -> float:
        records = both.sample.records(size)
        return timed(lambda: both.store.record_invocations(records))

    def bare() -> float:
        rows = list(both.sample.rows(size))
        seconds = timed(lambda: both.bare.commit_all(rows))
        both.bare.fold()
        return seconds

    a, b = alternated(ours, bare, run.size(41, 5))
    note = f"{microseconds(a, size)} a row against {microseconds(b, size)}"
    yield Figure("batch of 1,000 / bare batch insert", ratios(a, b), "x", at_most=4.0, note=note)
    yield Figure("batch of 1,000, rows", tuple(size / s for s in a), "/s", at_least=40_000)
    both.close()


def buffered(run: Run) -> Iterator[Figure]:
    """Buffered recording: what a call costs its caller, and how many are sustained."""
    sample = Sample(run.seed)
    rounds = run.size(9, 3)
    with MetricsStore(run.directory / "buffered.db") as store:
        calls: list[float] = []
        medians: list[float] = []
        tails: list[float] = []
        with uncollected():
            for _ in range(rounds + 1):
                calls = _paced_calls(store, sample, bursts=run.size(50, 10))
                medians.append(percentile(calls, 0.5) * 1e6)
                tails.append(percentile(calls, 0.99) * 1e6)
        yield Figure(
            "buffered, cost to the caller, median",
            tuple(medians[1:]),
            "us",
            at_most=6.0,
            note="bursts of 100 calls with 5 ms between them, the writer at work beside them",
        )
        yield Figure("buffered, cost to the caller, p99", tuple(tails[1:]), "us")
    with MetricsStore(run.directory / "sustained.db") as store:
        count = run.size(100_000, 5_000)
        rates = [_sustained(store, sample, count) for _ in range(run.size(5, 2) + 1)]
        yield Figure(
            "buffered, sustained until flushed",
            tuple(rates[1:]),
            "/s",
            at_least=40_000,
            note=f"{count:,} in a tight loop, then flush()",
        )


def _paced_calls(store: MetricsStore, sample: Sample, bursts: int) -> list[float]:
    seconds: list[float] = []
    now = time.perf_counter
    with store.buffered() as buffer:
        for _ in range(bursts):
            fields: list[dict[str, Any]] = sample.fields(100)
            for f in fields:
                start = now()
                buffer.record_invocation(**f)
                seconds.append(now() - start)
            time.sleep(0.005)
    return seconds


def _sustained(store: MetricsStore, sample: Sample, count: int) -> float:
    fields: list[dict[str, Any]] = sample.fields(count)
    with uncollected(), store.buffered() as buffer:
        start = time.perf_counter()
        for f in fields:
            buffer.record_invocation(**f)
        buffer.flush()
        return count / (time.perf_counter() - start)
