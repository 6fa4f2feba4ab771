"""One process of a soak; :mod:`soak` starts it. Every half second it tells in JSON what it did.

It ends when its time is over, or when whoever started it has gone.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from metrics_store import MetricsStore
from metrics_store.errors import StoreBusy

_TELL_EVERY = 0.5
#: One commit of so many is a batch, an invocation that is tracked, a group of a buffer.
_RARE = 20


class Told:
    """What a worker did since it last told."""

    def __init__(self) -> None:
        self._clear()
        self._next = time.monotonic() + _TELL_EVERY

    def _clear(self) -> None:
        self.commits = self.rows = self.busy = 0
        self.worst = 0.0
        self.waits: Counter[int] = Counter()
        self.failures: list[str] = []
        self._cpu = time.process_time()

    def timed(self, work: Callable[[], int]) -> None:
        """Do what adds rows, in one commit, and note how long it took."""
        before = time.monotonic()
        try:
            rows = work()
        except StoreBusy:
            self.busy += 1
            return
        took_us = (time.monotonic() - before) * 1e6
        self.commits += 1
        self.rows += rows
        self.worst = max(self.worst, took_us)
        self.waits[round(math.log(max(took_us, 1.0), 1.02))] += 1

    def now_and_then(self, *, at_once: bool = False) -> None:
        """Tell, if it is time."""
        if not at_once and time.monotonic() < self._next:
            return
        sys.stdout.write(
            json.dumps(
                {
                    "commits": self.commits,
                    "rows": self.rows,
                    "busy": self.busy,
                    "worst": self.worst,
                    "cpu": time.process_time() - self._cpu,
                    "waits": self.waits,
                    "failures": self.failures,
                }
            )
            + "\n"
        )
        sys.stdout.flush()
        self._clear()
        self._next = time.monotonic() + _TELL_EVERY


class Work:
    """What a writer records: a session keeps to a few skills, and a skill to a few ways."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left = 0
        self._session = ""
        self._skills: list[int] = []

    def next(self) -> dict[str, Any]:
        """The next invocation."""
        rng = self._rng
        if self._left == 0:
            self._left = rng.randrange(1, 100)
            self._session = f"session-{rng.getrandbits(48):012x}"
            self._skills = rng.choices(range(20), [(n + 1) ** -0.7 for n in range(20)], k=8)
        self._left -= 1
        skill = rng.choice(self._skills)
        failed = rng.random() < 0.1
        return {
            "skill_name": f"skill-{skill}",
            "completed": not failed,
            "duration_seconds": round(math.exp(rng.gauss(skill / 4, 0.8)), 6),
            "workflow_path": rng.choice([None, "quick", "full", f"way {skill}"]),
            "session_id": self._session,
            "project_path": "/home/someone/project",
            "follow_up_actions": rng.sample(["commit", "push", "ask", "retry"], rng.randrange(4)),
            "error_type": rng.choice(["TimeoutError", "OSError"]) if failed else None,
        }


def write(store: MetricsStore, work: Work, rng: random.Random, told: Told) -> None:
    """Record something, most often one invocation."""
    match rng.randrange(_RARE * 2):
        case 0:
            batch = [work.next() for _ in range(rng.randrange(2, 40))]
            told.timed(lambda: store.record_invocations(batch).inserted)
        case 1:
            record = work.next()
            try:
                flying = store.track_invocation(record["skill_name"], None, record["session_id"])
            except StoreBusy:
                told.busy += 1
                return
            told.timed(lambda: flying.complete(True, ["commit"]) or 1)
        case _:
            record = work.next()
            told.timed(lambda: int(bool(store.record_invocation(**record))))


def read(store: MetricsStore, _: Work, rng: random.Random, __: Told) -> None:
    """Ask for one of the reports; now and then hold one view for long."""
    match rng.randrange(8):
        case 0 | 1:
            store.get_all_metrics()
        case 2:
            store.get_skill_metrics(f"skill-{rng.randrange(40)}")
        case 3:
            store.get_skill_timeline(f"skill-{rng.randrange(40)}", "2 days")
        case 4:
            store.invocations(limit=100)
        case 5:
            store.get_session_skills(f"session-{rng.randrange(200)}")
        case 6:
            store.get_summary()
        case _:
            with store.database.read():
                store.get_summary()
                time.sleep(rng.uniform(0.0, 0.2))
    time.sleep(rng.uniform(0.0, 0.05))


def operate(store: MetricsStore, _: Work, rng: random.Random, __: Told) -> None:
    """What an operator's cron does: close what was left, look at everything."""
    store.reap()
    store.get_all_metrics()
    store.get_daily_counts(30)
    time.sleep(rng.uniform(0.2, 1.0))


def main(role: str, path: str, seconds: float, seed: int) -> None:
    """Work until the time is over."""
    work = {"writer": write, "reader": read, "operator": operate}[role]
    rng, told = random.Random(seed), Told()
    mine = Work(rng)
    with MetricsStore(path, create=False) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        threading.Thread(target=_follow, daemon=True).start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                work(store, mine, rng, told)
            except Exception as error:
                told.failures.append(f"{type(error).__name__}: {error}")
                time.sleep(0.1)
            told.now_and_then()
    told.now_and_then(at_once=True)


def _follow() -> None:
    # Whoever started it closes the pipe, or dies and has it closed.
    if not sys.stdin.readline():
        os._exit(9)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
