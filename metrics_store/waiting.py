"""Waiting for a lock: for how long, and how."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from metrics_store import sqlite
from metrics_store.clock import Clock

T = TypeVar("T")

#: Per thread, the longest wait for a lock whatever the settings say.
_limits = threading.local()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Within the block no call of this thread waits longer for a lock than this.

    Args:
        seconds: the limit; a store's own ``busy_timeout`` stands if it is shorter.
    """
    before = getattr(_limits, "seconds", None)
    _limits.seconds = seconds if before is None else min(before, seconds)
    try:
        yield
    finally:
        _limits.seconds = before


class Patience:
    """How long a database's calls wait.

    Args:
        longest: the setting ``busy_timeout``, in seconds.
        clock: source of time for waiting.
    """

    def __init__(self, longest: float, clock: Clock) -> None:
        self._longest = longest
        self._clock = clock

    @property
    def seconds(self) -> float:
        """How long this thread waits now."""
        limit = getattr(_limits, "seconds", None)
        return self._longest if limit is None else min(self._longest, limit)

    def deadline(self) -> int:
        """Until when a call that begins now waits, in monotonic microseconds."""
        return self._clock.monotonic_us() + round(self.seconds * 1e6)

    def patiently(
        self,
        attempt: Callable[[], T],
        deadline: int,
        wait: Callable[[int], bool] | None = None,
    ) -> T:
        """Try until a lock is had. Short jittered sleeps share a contended lock most fairly.

        Args:
            attempt: what takes the lock.
            deadline: what :meth:`deadline` gave.
            wait: between two tries; gets the microseconds left. False has us sleep, as None does.
        """
        while True:
            try:
                return attempt()
            except sqlite.OperationalError as error:
                now = self._clock.monotonic_us()
                if not sqlite.is_busy(error) or now >= deadline:
                    raise
                if wait is None or not wait(deadline - now):
                    self._clock.sleep(random.uniform(0.0005, 0.002))
                self.waited(now)

    def waited(self, since_us: int) -> None:
        """Count what this thread has waited since then."""
        _limits.waited_us = self.waited_us() + self._clock.monotonic_us() - since_us

    def waited_us(self) -> int:
        """Microseconds that this thread has waited; only differences mean anything."""
        return getattr(_limits, "waited_us", 0)
