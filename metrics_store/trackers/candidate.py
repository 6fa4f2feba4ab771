"""The store under trial: its failures reach nobody, are kept, and cost a bounded time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from metrics_store import clock
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import calls, spill
from metrics_store.legacy.calls import Call, Home
from metrics_store.legacy.spill import Spilled
from metrics_store.legacy_format.record import Refused
from metrics_store.store import MetricsStore
from metrics_store.waiting import at_most

log = logging.getLogger("metrics_store")

#: Seconds that a dual write waits for the store's lock at most.
PATIENCE = 0.25
#: Seconds after a failure in which records go to the spill at once: a store that is down costs a
#: caller one wait, not one a call.
COOL_DOWN = 5.0
#: Records kept in memory while not even the spill can be written.
_LONGEST_QUEUE = 10_000


class Spill:
    """The spill of one tracker: the file, and memory for as long as that cannot be written.

    Args:
        json_file: the legacy file.
        clock: source of time.
    """

    def __init__(self, json_file: str, now: Clock) -> None:
        self._json_file = json_file
        self._clock = now
        self._lock = threading.Lock()
        self._unwritten: deque[Spilled] = deque()

    def add(self, call: Call, reason: str, *, in_json: bool) -> None:
        """Keep a record that the store did not take. Never raises."""
        at = clock.text(self._clock.now_us())
        with self._lock:
            self._unwritten.append(Spilled(call, in_json, reason[:500], at))
            self._write()

    def flush(self) -> None:
        """Write what could not be written before. Never raises."""
        if self._unwritten:
            with self._lock:
                self._write()

    def _write(self) -> None:
        try:
            while self._unwritten:
                spill.add(self._json_file, self._unwritten[0], patience=PATIENCE)
                self._unwritten.popleft()
        except MetricsStoreError as error:
            n = len(self._unwritten)
            log.error("%d records are kept in memory only: %s. %s", n, error, error.hint)
            while len(self._unwritten) > _LONGEST_QUEUE:
                lost = self._unwritten.popleft()
                log.critical("a record was given up, in_json=%s: %r", lost.in_json, lost.call)

    def waiting(self) -> str:
        """Why the store may be behind; empty if it is not."""
        try:
            n = len(spill.contents(self._json_file)) + len(self._unwritten)
        except MetricsStoreError as error:
            return f"the spill cannot be read: {error}"
        return "the spill holds records for the store" if n else ""


class Candidate:
    """Writes to a store on trial.

    Args:
        store: gives the store, opening it if need be.
        spill: keeps what the store does not take.
        now: source of time.
        patience: seconds that a write may wait for a lock.
    """

    def __init__(
        self,
        store: Callable[[], MetricsStore],
        spill: Spill,
        now: Clock,
        patience: float = PATIENCE,
    ) -> None:
        self._store = store
        self._spill = spill
        self._clock = now
        self._patience = patience
        self._tripped_us: int | None = None

    def take(self, call: Call, home: Home) -> None:
        """Write a call whose record the JSON file has. Never raises.

        Args:
            call: without a ``raw_invoked_at`` its record was not found; it waits until it is.
        """
        if call.raw_invoked_at is None:
            self._spill.add(call, "its record was not found in the JSON file", in_json=True)
            return
        if self._is_tripped():
            self._spill.add(call, "the store failed a moment ago", in_json=True)
            return
        try:
            with at_most(self._patience):
                calls.take(self._store(), call, home, in_json=True)
        except Refused as refused:
            # The JSON file has it; the next backfill keeps it as text, with this reason.
            log.warning("a record cannot be a row of the store: %s", refused)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is not to feel it
            self._tripped_us = self._clock.monotonic_us()
            reason = f"{type(error).__name__}: {error}"
            log.warning("the store did not take a record, it waits in the spill: %s", reason)
            self._spill.add(call, reason, in_json=True)

    def _is_tripped(self) -> bool:
        since = self._tripped_us
        if since is None:
            return False
        if self._clock.monotonic_us() - since < COOL_DOWN * clock.MICROSECONDS:
            return True
        self._tripped_us = None
        return False
