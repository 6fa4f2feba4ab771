"""The live state: what a get takes, how fresh it is, what it costs; and evaluating alerts."""

from __future__ import annotations

import subprocess
import sys
import time
import timeit
import tracemalloc
from collections.abc import Iterator
from random import Random
from statistics import median

from measure import Figure, Run, percentile, say, timed, uncollected

from metrics_store import LiveState, MetricsStore, clock

_WRITE = """
import sys, time
from metrics_store import MetricsStore

with MetricsStore(sys.argv[1]) as store:
    for _ in range(int(sys.argv[2])):
        store.record_agent_sample("other", "active", current_task=str(time.monotonic()))
        time.sleep(0.37)
"""


def live(run: Run) -> Iterator[Figure]:
    """A live state over many agents and tasks, with a writer in another process."""
    agents, tasks = run.size(1000, 50), run.size(5_000, 200)
    say(f"    filling {agents:,} agents and {tasks:,} tasks")
    with MetricsStore(run.directory / "live.db", durability="normal") as store:
        _fill(store, agents, tasks, run.seed)
        tracemalloc.start()
        watched = LiveState(store, every=0.2)
        held = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        with watched:
            keys = ("tasks:current", "agents:agent-3:status", f"tasks:task-{tasks - 1}:history")
            for key in keys:
                yield _asked(watched, key, 20_000, at_most=5.0)
            if not run.quick:
                yield _asked(watched, "tasks:task-3:history", 200, note="beyond the bound: read")
            yield _freshness(watched, store.path, run.size(60, 5))
            began = time.process_time()
            time.sleep(run.size(10, 1))
            share = (time.process_time() - began) / run.size(10, 1) * 1e3
            yield Figure("live: processor time a second while nothing happens", (share,), "ms")
        with uncollected():
            starts = [
                timed(lambda: LiveState(store, every=60).close()) * 1e3
                for _ in range(run.size(5, 2))
            ]
        note = f"{held:,.1f} MB are held then; {len(watched.keys()):,} keys"
        yield Figure(
            f"live: start over {agents:,} agents, {tasks:,} tasks", tuple(starts), "ms", note=note
        )


def _asked(
    watched: LiveState, key: str, number: int, *, at_most: float | None = None, note: str = ""
) -> Figure:
    with uncollected():
        each = timeit.repeat(lambda: watched.get(key), number=number, repeat=15)
    microseconds = tuple(seconds / number * 1e6 for seconds in each)
    return Figure(f"live get of {key}", microseconds, "us", at_most=at_most, note=note)


def evaluation(run: Run) -> Iterator[Figure]:
    """Evaluating the shipped rules over 30 days of runs of 200 skills."""
    rows = run.size(200_000, 5_000)
    say(f"    filling {rows:,} runs")
    with MetricsStore(run.directory / "alerts.db") as store:
        random, now = Random(run.seed), clock.Clock().now_us()
        store.record_invocations(
            (
                {
                    "skill_name": f"skill-{min(random.randrange(200), random.randrange(200))}",
                    "completed": random.random() < 0.9,
                    "invoked_at": clock.text(now - random.randrange(30 * 86_400_000_000)),
                    "duration_seconds": 1.0,
                }
                for _ in range(rows)
            ),
            batch_size=5_000,
        )
        first = store.evaluate_alerts()
        with uncollected():
            each = [timed(store.evaluate_alerts) * 1e3 for _ in range(run.size(31, 3))]
        note = f"{first.subjects:,} values, {len(first.pending):,} of them waiting"
        yield Figure(f"evaluating the shipped rules, {rows:,} runs", tuple(each), "ms", note=note)


def _fill(store: MetricsStore, agents: int, tasks: int, seed: int) -> None:
    random = Random(seed)
    for number in range(agents * 3):
        store.record_agent_sample(
            f"agent-{number % agents}", random.choice(["active", "idle"]), cpu_usage=12.5
        )
    for number in range(tasks):
        agent = f"agent-{random.randrange(agents)}"
        store.record_task_event(f"task-{number}", "created", new_status="open", changed_by=agent)
        if random.random() < 0.8:
            store.record_task_event(f"task-{number}", "completed", changed_by=agent)


def _freshness(watched: LiveState, path: str, rounds: int) -> Figure:
    ages: list[float] = []
    with watched.subscribe("agents:other:status") as changes:
        writer = subprocess.Popen([sys.executable, "-c", _WRITE, path, str(rounds)])
        while writer.poll() is None:
            change = changes.get(0.1)
            if change is not None:
                ages.append((time.monotonic() - float(change.value.current_task)) * 1e3)  # type: ignore[attr-defined]
    note = f"{len(ages)} of {rounds} seen, p99 {percentile(ages, 0.99):.0f} ms, median "
    return Figure(
        "live: age of another process's row when seen, the worst",
        (max(ages),),
        "ms",
        at_most=1000.0,
        note=f"{note}{median(ages):.0f} ms",
    )
