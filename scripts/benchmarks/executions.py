"""Executions: views and statistics over a million of them, and the nearest of 10,000 vectors.

The shape of the sample: one year up to now, evenly; 20 repositories, 3 tiers, 8 types of tasks and
4 pools; a run in ten fails; seven in ten are scored; one in five was solved by one of 1,000
patterns, of unequal popularity, and one in ten by something that never came again.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from measure import Figure, Run, percentile, say, timed, uncollected

from metrics_store import MetricsStore, clock, logs
from metrics_store.executions.similar import Embeddings
from metrics_store.families.executions import EXECUTIONS
from metrics_store.sqlite import Value

_BATCH = 5_000
_YEAR_US = 365 * 86_400 * clock.MICROSECONDS
_VIEWS = ("tier_performance_mv", "pool_performance_mv", "solution_patterns_mv")
_BUDGET_MS = 50.0
_PATTERNS = [f"pattern {n}: reproduced it in a test, then fixed the cause" for n in range(1000)]
_POPULARITY = list(accumulate((n + 1) ** -0.7 for n in range(len(_PATTERNS))))


def executions(run: Run) -> Iterator[Figure]:
    """Recording, the three views, statistics and performance of each window, similar solutions."""
    count = run.size(1_000_000, 20_000)
    path = run.directory / "executions.db"
    MetricsStore(path).close()
    store = MetricsStore(path, durability="normal")
    contents = _sample(run.seed, count, clock.Clock().now_us())
    seconds = 0.0
    for done in range(0, count, _BATCH):
        batch = [next(contents) for _ in range(min(_BATCH, count - done))]
        seconds += timed(lambda batch=batch: _append(store, batch))  # type: ignore[misc]
        if done % 250_000 == 0 and done:
            say(f"    {done:,} of {count:,} executions, {done / seconds:,.0f}/s")
    yield Figure(
        f"record_executions, batches of {_BATCH:,}", (seconds / count * 1e6,), "us", note="each"
    )
    yield from _one_by_one(run, store)
    size = store.database_status().database.size_mb
    say(f"    {count:,} executions in {size:,.0f} MB")
    for view in _VIEWS:
        rows = len(store.query(f"SELECT * FROM {view}"))
        sql = f"SELECT * FROM {view}"
        yield _read(run, view, count, partial(_all, store, sql), f"{rows:,} rows", _BUDGET_MS)
    for window in ("1h", "24h", "7d", "30d", "90d"):
        yield _read(
            run,
            f"execution_statistics {window}",
            count,
            partial(store.execution_statistics, window),
        )
        yield _read(
            run,
            f"performance_metrics {window}",
            count,
            partial(store.performance_metrics, window),
        )
    yield _read(run, "database_status", count, store.database_status)
    store.close()
    yield from _similar(run)


def _all(store: MetricsStore, sql: str) -> object:
    """What SQLite takes for a view, without a Python dict for each row."""
    with store.database.read() as connection:
        return connection.execute(sql).fetchall()


def _append(store: MetricsStore, batch: Sequence[tuple[Value, ...]]) -> None:
    store.database.write(
        lambda connection: logs.append(connection, EXECUTIONS, batch), rows=len(batch)
    )


def _one_by_one(run: Run, store: MetricsStore) -> Iterator[Figure]:
    source = random.Random(run.seed)

    def block() -> float:
        def work() -> None:
            for _ in range(100):
                store.record_execution(
                    success=source.random() > 0.1,
                    repo=f"repo-{source.randrange(20)}",
                    model_tier=f"tier-{source.randrange(3)}",
                    pool_type=f"pool-{source.randrange(4)}",
                    task_type=f"task-{source.randrange(8)}",
                    duration_seconds=source.expovariate(0.05),
                    cost_estimate="0.05",
                    actual_cost="0.04",
                    quality_score=source.randrange(100),
                    peak_memory_mb=source.randrange(100, 2000),
                )

        return timed(work) / 100

    with uncollected():
        block()
        values = [block() for _ in range(run.size(21, 3))]
    note = "durability normal; two dozen rollups, a cell with its percentile, five indexes"
    yield Figure("record_execution", tuple(s * 1e6 for s in values), "us", note=note)


def _read(
    run: Run,
    what: str,
    count: int,
    work: Callable[[], object],
    note: str = "",
    at_most: float | None = None,
) -> Figure:
    with uncollected():
        work()
        seconds = [timed(work) for _ in range(run.size(21, 5))]
    tail = f"p99 {percentile(seconds, 0.99) * 1e3:.1f} ms"
    return Figure(
        f"{what}, {count:,} executions",
        tuple(s * 1e3 for s in seconds),
        "ms",
        at_most=at_most,
        note=f"{tail}; {note}" if note else tail,
    )


def _similar(run: Run) -> Iterator[Figure]:
    """The nearest of 10,000 vectors, with numpy and without."""
    count = run.size(10_000, 2_000)
    source = random.Random(run.seed)
    store = MetricsStore(run.directory / "vectors.db", durability="normal")
    store.record_executions(
        ({"task_id": str(n), "success": True, "embedding": _vector(source)} for n in range(count)),
        batch_size=1000,
    )
    ways = [("nothing but Python", False)]
    try:
        import numpy
    except ImportError:
        say("    numpy is not installed: its figures are left out")
    else:
        ways.insert(0, (f"numpy {numpy.__version__}", True))
    for name, with_numpy in ways:
        embeddings = Embeddings(with_numpy=with_numpy)
        first = timed(lambda: embeddings.nearest(store.database, _vector(source), 5, None))  # noqa: B023
        second = timed(lambda: embeddings.nearest(store.database, _vector(source), 5, None))  # noqa: B023
        with uncollected():
            seconds = [
                timed(lambda: embeddings.nearest(store.database, _vector(source), 5, None))  # noqa: B023
                for _ in range(run.size(31, 5))
            ]
        yield Figure(
            f"find_similar_solutions, {count:,} vectors, {name}",
            tuple(s * 1e3 for s in seconds),
            "ms",
            at_most=_BUDGET_MS,
            note=f"the first search of a process, which reads them: {first * 1e3:,.0f} ms; "
            f"the second: {second * 1e3:,.0f} ms",
        )
    store.close()


def _vector(source: random.Random) -> array[float]:
    return array("f", (source.gauss(0, 1) for _ in range(384)))


def _sample(seed: int, count: int, end_us: int) -> Iterator[tuple[Value, ...]]:
    """Contents of the log, in the order of time."""
    source = random.Random(seed)
    for n in range(count):
        us = end_us - _YEAR_US + round(_YEAR_US * (n + source.random()) / (count + 1))
        failed, tier = source.random() < 0.1, source.choices(range(3), (6, 3, 1))[0]
        duration = round(math.exp(source.gauss(2 + tier, 0.8)) * 1e6)
        estimate = round(math.exp(source.gauss(-5 + tier, 0.6)) * 1e9)
        luck = source.random()
        summary = None
        if luck < 0.2:
            summary = source.choices(_PATTERNS, cum_weights=_POPULARITY)[0]
        elif luck < 0.3:
            summary = f"Solved {n} by {source.getrandbits(128):032x}"
        yield (
            f"{source.getrandbits(128):032x}",
            clock.text(us),
            f"task-{source.randrange(8)}",
            f"Make number {n} work, and say what was changed and why",
            f"repo-{source.randrange(20)}",
            source.randrange(1, 40),
            source.randrange(500, 90_000),
            f"tier-{tier}",
            f"pool-{source.randrange(4)}",
            "single",
            round(source.random(), 3),
            source.randrange(1, 11) * 1000,
            int(not failed),
            duration,
            source.randrange(30_000, 100_001) if source.random() < 0.7 else None,
            estimate,
            round(estimate * source.uniform(0.6, 1.2)),
            source.choice(("TimeoutError", "ValueError", "TestFailed")) if failed else None,
            None,
            source.randrange(2) if source.random() < 0.3 else None,
            source.randrange(1, 6) if source.random() < 0.2 else None,
            source.randrange(50_000, 4_000_000),
            duration // 3,
            summary,
            None,
            None,
        )
