"""Services: three that beat every minute for sixty days; their size, and what is asked of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Figure, Run, percentile, say, timed, uncollected

from metrics_store import MetricsStore, clock
from metrics_store.clock import Clock
from metrics_store.services import recording
from metrics_store.services.recording import Beat

NAMES = ("file_watcher", "vectorization", "indexing")
_TASKS = (None, "polling", "scanning", "indexing vast_srv/test_ftp_commands.py")
_MINUTE_US = 60 * clock.MICROSECONDS
_BATCH = 3_000
#: 2026-03-02T00:00:00Z
_END_US = 1_772_409_600_000_000


class _At(Clock):
    """A clock that stands at the end of what was recorded."""

    def now_us(self) -> int:
        return _END_US


def services(run: Run) -> Iterator[Figure]:
    """The file's size, the current status, uptime and outages over 30 days, one heartbeat."""
    minutes = run.size(60 * 24 * 60, 2_000)
    path = run.directory / "services.db"
    rows = _fill(run, path, minutes)
    shown = f"{rows:,} heartbeats"
    size = path.stat().st_size / 1e6
    note = f"{size * 1e6 / rows:.0f} bytes a heartbeat, indexes and numbers included"
    yield Figure(f"file of {shown}", (size,), "MB", at_most=40.0, note=note)
    store = MetricsStore(path, create=False, clock=_At())
    turns = 200

    def status() -> float:
        def work() -> None:
            for _ in range(turns):
                for name in NAMES:
                    store.service_status(name)

        return timed(work) / (turns * len(NAMES)) * 1e6

    yield _read(run, f"service_status of one, {shown}", status, "us", 50.0)
    spans = store.query("SELECT count(*) AS n FROM service_span")[0]["n"]
    assert isinstance(spans, int)
    for what, call in (
        ("uptime over 30 days", store.uptime),
        ("outages of 30 days", store.outages),
        ("trend of 35 days", store.trend),
    ):
        turn = iter(range(1_000_000))

        def read(call: Callable[[str], object] = call, turn: Iterator[int] = turn) -> float:
            return timed(lambda: call(NAMES[next(turn) % 3])) * 1e3

        yield _read(run, f"{what}, {shown}", read, "ms", 20.0, f"{spans:,} spans")
    store.close()
    store = MetricsStore(path, create=False)

    def beat() -> float:
        return timed(lambda: store.heartbeat("indexing", "running", "polling", latency=0.1)) * 1e6

    yield _read(run, f"heartbeat, synced, {shown}", beat, "us")
    store.close()


def _read(
    run: Run,
    what: str,
    work: Callable[[], float],
    unit: str,
    at_most: float | None = None,
    note: str = "",
) -> Figure:
    with uncollected():
        work()
        values = tuple(work() for _ in range(run.size(101, 11)))
    tail = f"p99 {percentile(values, 0.99):.3g} {unit}"
    return Figure(what, values, unit, at_most=at_most, note=f"{tail}; {note}" if note else tail)


def _fill(run: Run, path: Path, minutes: int) -> int:
    """A store of heartbeats as they come in: all services in turn, minute by minute."""
    source = random.Random(run.seed)
    store = MetricsStore(path, durability="normal")
    batch: list[Beat] = []
    rows, seconds = 0, 0.0
    outage = 0
    for minute in range(minutes, 0, -1):
        # About once in three days a service is silent for a while.
        outage = source.randrange(5, 60) if source.random() < 1 / 4320 else max(0, outage - 1)
        for name in NAMES[: 2 if outage else 3]:
            us = _END_US - minute * _MINUTE_US + source.randrange(50_000)
            status = "error" if source.random() < 0.0005 else "running"
            latency = source.lognormvariate(-1.0, 0.5)
            task = source.choice(_TASKS)
            batch.append(recording.checked(us, name, status, task, None, latency))
        if len(batch) >= _BATCH or minute == 1:
            seconds += timed(lambda batch=batch: recording.record(store.database, batch))  # type: ignore[misc]
            rows, batch = rows + len(batch), []
    store.close()
    say(f"    {rows:,} heartbeats, {rows / seconds:,.0f}/s in batches of {_BATCH:,}")
    return rows
