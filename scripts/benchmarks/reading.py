"""Reading two million rows as fast as two thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from measure import Figure, Run, alternated, percentile, ratios, say, timed, uncollected
from sample import Sample, span

from metrics_store import MetricsStore, clock

_BATCH = 5_000


def skill_metrics(run: Run) -> Iterator[Figure]:
    """get_skill_metrics with percentiles: two million rows against two thousand."""
    large, small = run.size(2_000_000, 20_000), 2_000
    big, names, _ = _filled(run, "large.db", large, skills=20)
    little, _, _ = _filled(run, "small.db", small, skills=20)
    turns = 10

    def block(store: MetricsStore) -> float:
        def work() -> None:
            for _ in range(turns):
                for name in names:
                    if store.get_skill_metrics(name) is None:
                        raise AssertionError(name)

        return timed(work) / (turns * len(names))

    a, b = alternated(lambda: block(big), lambda: block(little), run.size(31, 5))
    fewest, most = _spread(big)
    yield Figure(
        f"get_skill_metrics, {large:,} rows / {small:,}",
        ratios(a, b),
        "x",
        at_most=1.5,
        note=f"20 skills of {fewest:,} to {most:,} rows; "
        f"{median(a) * 1e6:.0f} us against {median(b) * 1e6:.0f} us",
    )
    yield Figure(
        f"get_skill_metrics, {large:,} rows", tuple(s * 1e6 for s in a), "us", at_most=150.0
    )
    big.close()
    little.close()


def overview(run: Run) -> Iterator[Figure]:
    """The timeline of 30 days, the summary and all metrics of 200 skills."""
    count = run.size(2_000_000, 20_000)
    store, names, end_us = _filled(run, "wide.db", count, skills=200)
    end = clock.text(end_us)
    turn = iter(range(1_000_000))

    def timeline() -> object:
        return store.get_skill_timeline(names[next(turn) % 20], "30 days", now=end)

    fewest, most = _spread(store)
    note = f"200 skills of {fewest:,} to {most:,} rows over 365 days"
    yield _read(run, "timeline of 30 days", timeline, "the 20 most used skills in turn")
    yield _read(run, "summary", store.get_summary, note)
    yield _read(run, "all metrics of 200 skills", store.get_all_metrics)
    store.close()


def _read(run: Run, what: str, work: Callable[[], object], note: str = "") -> Figure:
    with uncollected():
        work()
        seconds = [timed(work) for _ in range(run.size(101, 11))]
    tail = f"p99 {percentile(seconds, 0.99) * 1e3:.2f} ms"
    return Figure(
        f"{what}, {run.size(2_000_000, 20_000):,} rows",
        tuple(s * 1e3 for s in seconds),
        "ms",
        at_most=10.0,
        note=f"{tail}; {note}" if note else tail,
    )


def _filled(run: Run, name: str, count: int, skills: int) -> tuple[MetricsStore, list[str], int]:
    """A store of rows spread over 365 days, its skills, and its last moment."""
    path: Path = run.directory / name
    sample = Sample(run.seed, skills=skills, step_us=span(count))
    store = MetricsStore(path, durability="normal")
    seconds = 0.0
    for begin in range(0, count, _BATCH):
        rows = list(sample.rows(min(_BATCH, count - begin)))
        seconds += timed(lambda batch=rows: store.record_rows(batch))  # type: ignore[misc]
        if begin % 250_000 == 0 and begin:
            say(f"    {begin:,} of {count:,} rows, {begin / seconds:,.0f}/s")
    # Opened anew, as a reader finds it.
    store.close()
    size = path.stat().st_size / 1e6
    say(f"    {count:,} rows in {size:,.0f} MB, {count / seconds:,.0f}/s in batches of {_BATCH:,}")
    return MetricsStore(path, create=False), sample.skills, sample.now_us


def _spread(store: MetricsStore) -> tuple[int, int]:
    counts = [n for _, n in store.get_summary().skills_by_usage]
    return min(counts), max(counts)
