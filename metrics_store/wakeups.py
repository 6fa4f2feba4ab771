"""Waking one who waits for the write lock when it is let go.

SQLite cannot wait for a lock: it can only try again. Sixteen writers that sleep a millisecond
between two tries wake 12,000 times a second for a thousand commits. So every process that has met
such a crowd within the last second posts to a semaphore when it lets the lock go, and who waits
for the lock waits on that.

It is a hint and no lock. Each wait ends by itself soon, so a post that is lost, late or one too
many costs time alone: of somebody in a container with a ``/dev/shm`` of its own, say. Where there
is no such semaphore one sleeps as before: elsewhere than on Linux with glibc 2.30 or newer.
"""

from __future__ import annotations

import errno
import random
import time

from metrics_store.clock import Clock
from metrics_store.semaphore import Semaphore

#: Nanoseconds: the shortest and the longest wait, before jitter. With 1,400 commits a second the
#: turn of each of sixteen comes every 11 ms; longer bounds gained nothing. Posts go to who has
#: waited longest, so that whoever waits for shorter times than the others would never get one.
_SHORTEST, _LONGEST = 2_000_000, 32_000_000
#: Nanoseconds for which a crowd, and a failure to open, are remembered.
_REMEMBERED = 1_000_000_000
#: After so many waits on end that ran out, one looks whether the semaphore is still the others'.
_LOOK_AFTER = 4


class Wakeups:
    """Waits for the lock of one store, and wakes others; for one thread at a time.

    Args:
        path: the database.
        clock: source of time. One that a test moves stands still in a real wait, so that only
            :class:`Clock` itself is waited by.
    """

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._possible = type(clock) is Clock
        self._semaphore: Semaphore | None = None
        # Moments are of the system's monotonic clock, in nanoseconds; 0 is long ago.
        self._crowded_until = 0
        self._opening_from = 0
        self._waits = 0
        self._ran_out = 0

    def wait(self, longest_us: int) -> bool:
        """Wait until somebody lets the lock go, or for a while.

        Args:
            longest_us: no longer than this, in microseconds.

        Returns:
            False if that cannot be, and one has to sleep.
        """
        now = time.monotonic_ns()
        semaphore = self._semaphore or self._opened(now)
        if semaphore is None:
            return False
        self._crowded_until = now + _REMEMBERED
        ended = semaphore.wait(now + min(self._bound(), longest_us * 1000))
        if ended == errno.ETIMEDOUT:
            self._look()
        elif ended == 0:
            self._ran_out = 0
        elif ended != errno.EINTR:
            self._give_up(now)
        return True

    def _look(self) -> None:
        self._ran_out += 1
        if self._ran_out >= _LOOK_AFTER and self._semaphore is not None:
            self._ran_out = 0
            # Whoever closed the store has removed the name, or the store is another file by now.
            if not self._semaphore.is_of(self._path):
                self.close()

    def _bound(self) -> int:
        bound = min(_SHORTEST << self._waits, _LONGEST)
        self._waits = min(self._waits + 1, 16)
        return int(bound * random.uniform(0.5, 1.5))

    def done(self) -> None:
        """Say that a transaction has ended, however it did: the lock is free."""
        if self._crowded_until:
            self._waits = 0
            if time.monotonic_ns() >= self._crowded_until:
                self._crowded_until = 0
            elif self._semaphore is not None and self._semaphore.is_empty():
                self._semaphore.post()

    def close(self) -> None:
        """Let go of the semaphore; the next wait opens one."""
        if self._semaphore is not None:
            self._semaphore.close()
            self._semaphore = None

    def _opened(self, now: int) -> Semaphore | None:
        if self._possible and now >= self._opening_from:
            try:
                self._semaphore = Semaphore(self._path)
            except OSError:
                # Refused, or none to be had: what follows is the sleep of those without.
                self._give_up(now)
        return self._semaphore

    def _give_up(self, now: int) -> None:
        self.close()
        self._opening_from = now + _REMEMBERED
