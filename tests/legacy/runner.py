"""A runner of the campaign: calls a tracker until it is told to stop, and writes down what it did.

Run as a program with one argument, the JSON of :class:`Duty`. Each call has a token of its own as
its workflow path. Of each there is a line before it begins, with what is to come of it, and one
after its completer has returned: only then it was acknowledged. A line is one append, so a kill
tears none.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from legacy_tracker import LegacyTracker

from metrics_store import JsonMetricsTracker, open_tracker
from metrics_store.errors import AlreadyEnded, MetricsStoreError
from metrics_store.legacy import control

Kind = Literal["log", "raise", "json", "plain"]
ERRORS = (None, None, None, "Timeout", "naïve error\n2")
ACTIONS = ("commit", "test", "déjà vu", "x" * 40)
#: Tries of a completer that raised: a legacy tracker may be in the midst of its rewrite.
TRIES = 40


@dataclass(frozen=True)
class Duty:
    """What a runner is to do.

    Args:
        name: begins its tokens.
        kind: ``log`` and ``raise`` go through ``open_tracker``, ``json`` through
            JsonMetricsTracker, and ``plain`` is a legacy tracker.
        notes: the file for its lines.
        pace: seconds of rest between two things that it does, on average.
        reads: share of them that are reads.
        held: calls that it may have open at a time.
        threads: of a kind of ours; a legacy tracker has but one.
    """

    name: str
    kind: Kind
    json_file: str
    db: str
    notes: str
    seed: int
    pace: float = 0.02
    reads: float = 0.1
    held: int = 3
    threads: int = 1

    def text(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


class Notes:
    """The lines of one runner."""

    def __init__(self, path: str) -> None:
        self._handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def add(self, event: str, **what: object) -> None:
        """Append a line."""
        os.write(self._handle, (json.dumps({"event": event, **what}) + "\n").encode())


class Runner:
    """Calls one tracker from one or more threads.

    Args:
        duty: what to do.
        stopping: says when to stop; what is open then is ended first.
    """

    def __init__(self, duty: Duty, stopping: Callable[[], bool]) -> None:
        self.duty = duty
        self.notes = Notes(duty.notes)
        self._stopping = stopping
        self._numbers = iter(range(sys.maxsize))
        self._numbering = threading.Lock()
        self.tracker = self._tracker()

    def _tracker(self) -> object:
        duty = self.duty
        match duty.kind:
            case "plain":
                return LegacyTracker(Path(duty.json_file))
            case "json":
                return JsonMetricsTracker(duty.json_file, on_error="raise")
            case _:
                return open_tracker(duty.json_file, duty.db, duty.kind)

    def work(self, number: int = 0) -> None:
        """Begin and end calls until it is time to stop."""
        rng = random.Random(f"{self.duty.seed} {number}")
        begun: list[Callable[[], None]] = []
        try:
            while not self._stopping():
                if rng.random() < self.duty.reads:
                    self._read(rng)
                elif begun and rng.randrange(self.duty.held) < len(begun):
                    begun.pop(rng.randrange(len(begun)))()
                else:
                    begun.append(self._begin(rng))
                time.sleep(rng.uniform(0, 2 * self.duty.pace))
            for end in begun:
                end()
        except BaseException:
            self.notes.add("failed", text=traceback.format_exc())
            raise

    def _begin(self, rng: random.Random) -> Callable[[], None]:
        with self._numbering:
            token = f"{self.duty.name}/{next(self._numbers)}"
        skill = f"skill-{rng.randrange(5)}"
        ending: dict[str, object] = {
            "completed": rng.random() < 0.7,
            "error_type": rng.choice(ERRORS),
            "follow_up_actions": rng.sample(ACTIONS, rng.randrange(3)) or None,
        }
        beyond: dict[str, object] = {}
        if self.duty.kind in ("log", "raise") and rng.random() < 0.3:
            beyond = {"session_id": f"session-{rng.randrange(3)}", "attributes": {"n": 1}}
        if self.duty.kind != "plain" and rng.random() < 0.3:
            ending["duration_seconds"] = rng.randrange(1, 10**9) / 1_000_000
        self.notes.add("begun", token=token, skill=skill, **ending, **beyond)
        try:
            completer = self.tracker.track_invocation(skill, token, **beyond)  # type: ignore[attr-defined]
        except MetricsStoreError as refusal:
            if self.duty.kind == "log":
                raise
            self.notes.add("refused", token=token, error=f"{type(refusal).__name__}: {refusal}")
            return lambda: None
        return lambda: self._end(token, completer, ending)

    def _end(self, token: str, completer: Callable[..., None], ending: dict[str, object]) -> None:
        before = self._phase()
        error = ""
        for _ in range(TRIES):
            try:
                completer(**ending)
            except AlreadyEnded:
                raise
            except MetricsStoreError as refusal:
                if self.duty.kind == "log":
                    raise
                error = f"{type(refusal).__name__}: {refusal}"
                time.sleep(0.02)
                continue
            self.notes.add("ended", token=token, phases=[before, self._phase()])
            return
        self.notes.add("refused", token=token, error=error)

    def _phase(self) -> str:
        """The phase now; of a call it is known if it was the same before and after."""
        there = control.read(self.duty.json_file)
        return "1 legacy" if there is None else f"{there.epoch} {there.phase}"

    def _read(self, rng: random.Random) -> None:
        if self.duty.kind == "plain":
            return
        asked = rng.choice(("get_skill_metrics", "get_all_metrics", "get_summary"))
        with_skill = (f"skill-{rng.randrange(5)}",) if asked == "get_skill_metrics" else ()
        try:
            getattr(self.tracker, asked)(*with_skill)
        except MetricsStoreError as error:
            self.notes.add("unread", error=f"{type(error).__name__}: {error}"[:300])
        else:
            self.notes.add("read")


def main() -> None:
    """Work until SIGTERM."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runner = Runner(Duty(**json.loads(sys.argv[1])), told.is_set)
    runner.notes.add("ready", pid=os.getpid())
    more = [
        threading.Thread(target=runner.work, args=(number,))
        for number in range(1, runner.duty.threads)
    ]
    for thread in more:
        thread.start()
    runner.work()
    for thread in more:
        thread.join()
    if hasattr(runner.tracker, "close"):
        runner.tracker.close()
    runner.notes.add("stopped")


if __name__ == "__main__":
    main()
