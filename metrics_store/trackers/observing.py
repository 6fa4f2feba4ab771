"""Putting the same question to both sides, and keeping what came of it."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TypeVar

from metrics_store import clock
from metrics_store.errors import LegacyLocked, MetricsStoreError
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore
from metrics_store.trackers import outcome
from metrics_store.trackers.outcome import Kind, Outcome
from metrics_store.waiting import at_most

T = TypeVar("T")
log = logging.getLogger("metrics_store")

#: A dual write that is between its two sides lands within this time; then a difference is one.
SETTLING_TRIES = 5
SETTLING_SECONDS = 0.01
_FAILED = "the candidate failed"
#: Characters of each answer that are kept of a difference.
_LONGEST = 100_000


class Observer:
    """Compares reads and stores the outcomes.

    Args:
        store: gives the store that keeps them.
        epoch: under which they are kept.
        zone: of the JSON file's naive moments.
        sample_rate: share of reads that are compared, 0 to 1.
        patience: seconds that keeping an outcome may wait for a lock.
        lagging: tells why the store may be behind just now; empty if it may not.
        heard: called with every outcome.
        quiet: keeps everybody from writing for a moment, or raises if it cannot.
    """

    def __init__(
        self,
        store: Callable[[], MetricsStore],
        epoch: int,
        zone: str,
        sample_rate: float,
        patience: float,
        lagging: Callable[[], str],
        heard: Callable[[Outcome], None] | None = None,
        quiet: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._store = store
        self._epoch = epoch
        self._zone = zone
        self._sample_rate = sample_rate
        self._patience = patience
        self._lagging = lagging
        self._heard = heard
        self._quiet = quiet
        self._random = random.Random()
        # Outcomes that the store did not take yet; a store that is down loses the oldest of them.
        self._unkept: deque[Outcome] = deque(maxlen=1000)
        self._keeping = threading.Lock()

    def sampled(self) -> bool:
        """Whether the next read is to be compared."""
        return self._sample_rate >= 1 or self._random.random() < self._sample_rate

    def compare(
        self,
        method: str,
        subject: str,
        control: Callable[[], T],
        candidate: Callable[[], object],
        *,
        json_is_control: bool,
    ) -> T:
        """Ask the control, compare what the candidate says, and give the control's answer.

        Raises:
            Exception: what the control raises. What the candidate raises is an outcome.
        """
        answer, control_us = _timed(control)
        try:
            found = self._outcome(
                method, subject, answer, control, control_us, candidate, json_is_control
            )
        except Exception as error:  # noqa: BLE001 - the trial must not break what it tries
            log.warning("comparing %s failed: %s", method, error)
            failed = f"they could not be compared: {type(error).__name__}: {error}"[:300]
            found = Outcome(method, subject, "mismatched", failed, None, None, control_us, 0)
        self.keep(found)
        return answer

    def _outcome(
        self,
        method: str,
        subject: str,
        answer: object,
        control: Callable[[], object],
        control_us: int,
        candidate: Callable[[], object],
        json_is_control: bool,
    ) -> Outcome:
        def made(kind: Kind, reason: str, theirs: object, theirs_us: int) -> Outcome:
            ours, mine = outcome.plain(method, answer), control_us
            sides = (ours, theirs, mine, theirs_us)
            if not json_is_control:
                sides = (theirs, ours, theirs_us, mine)
            return Outcome(method, subject, kind, reason, *sides)

        for attempt in range(SETTLING_TRIES):
            if attempt:
                time.sleep(SETTLING_SECONDS)
                answer = control()
            wrong, known, theirs, us = self._compared(method, answer, candidate, json_is_control)
            if not wrong:
                return made("ignored" if known else "matched", known, theirs, us)
        # Among busy runners somebody is always between the two sides of a write.
        with suppress(LegacyLocked), self._quiet() if self._quiet else nullcontext():
            answer = control()
            wrong, known, theirs, us = self._compared(method, answer, candidate, json_is_control)
        if not wrong:
            return made("ignored" if known else "matched", known, theirs, us)
        # A store that is behind does not excuse one that fails.
        lagging = "" if wrong.startswith(_FAILED) else self._lagging()
        return made("ignored" if lagging else "mismatched", lagging or wrong, theirs, us)

    def _compared(
        self, method: str, answer: object, candidate: Callable[[], object], json_is_control: bool
    ) -> tuple[str, str, object, int]:
        """What differs, what differs for a known reason, the candidate's answer and its time."""
        try:
            other, us = _timed(candidate)
        except Exception as error:  # noqa: BLE001 - it is the one on trial
            return f"{_FAILED}: {type(error).__name__}: {error}"[:300], "", None, 0
        ours, theirs = outcome.plain(method, answer), outcome.plain(method, other)
        pair = (ours, theirs) if json_is_control else (theirs, ours)
        return *outcome.difference(method, *pair, self._zone), theirs, us

    def keep(self, found: Outcome) -> None:
        """Store an outcome: the sums of its kind, and both sides if they differ."""
        if self._heard is not None:
            self._heard(found)
        try:
            with self._keeping, at_most(self._patience):
                self._unkept.append(found)
                while self._unkept:
                    self._write(self._unkept[0])
                    self._unkept.popleft()
        except MetricsStoreError as error:
            log.warning("the outcome of comparing %s was not kept yet: %s", found.method, error)

    def _write(self, found: Outcome) -> None:
        store = self._store()
        now = clock.text(store.database.clock.now_us())
        # The reason tells the ignored apart; in what two differ stands with the difference.
        reason = found.reason if found.kind == "ignored" else ""
        sums = (self._epoch, found.method, found.kind, reason, found.json_us, found.store_us, now)
        if found.kind == "matched":
            store.database.write_one(query("phases.count_read"), sums, flush=False)
        else:
            store.database.write(lambda c: self._keep_difference(c, found, sums, now))

    def _keep_difference(
        self, connection: Connection, found: Outcome, sums: tuple[str | int, ...], now: str
    ) -> None:
        connection.execute(query("phases.count_read"), sums)
        ignored = found.kind == "ignored"
        connection.execute(
            query("phases.add_read_difference"),
            (
                self._epoch,
                now,
                f"{found.method} {found.subject}".strip() + f": {found.reason}",
                _text(found.in_json),
                _text(found.in_store),
                found.json_us,
                found.store_us,
                found.reason if ignored else None,
                now if ignored else None,
                "rule" if ignored else None,
            ),
        )


def _text(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else json.dumps(text[:_LONGEST] + "…")


def _timed(ask: Callable[[], T]) -> tuple[T, int]:
    began = time.perf_counter_ns()
    answer = ask()
    return answer, (time.perf_counter_ns() - began) // 1000
