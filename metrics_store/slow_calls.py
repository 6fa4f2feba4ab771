"""The store times its own calls: one that takes too long is logged, and noted in the store."""

from __future__ import annotations

import logging
import sys
import threading
from types import FrameType
from typing import NamedTuple

from metrics_store import clock, liveness
from metrics_store.clock import Clock

_log = logging.getLogger("metrics_store.slow")
# A host that has not set up logging does not want to see it: `metrics-store health` tells too.
_log.addHandler(logging.NullHandler())

#: The call is named for the outermost method of these that is running.
_PUBLIC = frozenset(
    f"metrics_store.{name}" for name in ("store", "reports", "operations", "buffer", "tracking")
)
#: The schema version that has the table.
SINCE = 5
#: Notes that wait to be written, and how often they are, at most.
_MOST, _PAUSE_US = 100, 1_000_000


class Note(NamedTuple):
    """A row of ``slow_call``."""

    ended_at: str
    name: str
    duration_us: int
    waited_us: int
    process: str


class SlowCalls:
    """Calls that took too long, until they are written down.

    Args:
        limit_ms: from here on a call is slow.
        clock: source of time.
    """

    def __init__(self, limit_ms: float, clock: Clock) -> None:
        self.limit_us = round(limit_ms * 1000)
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[Note] = []
        self._written_us: int | None = None

    def note(self, duration_us: int, waited_us: int) -> None:
        """Log a slow call, and keep it to be written. Called in the thread that made it."""
        name = _name(sys._getframe(1))
        _log.warning(
            "%s took %.3f s, %.3f s of it waiting for the lock",
            name,
            duration_us / 1e6,
            waited_us / 1e6,
        )
        ended = clock.text(self._clock.now_us())
        note = Note(ended, name, duration_us, waited_us, liveness.identity())
        with self._lock:
            self._waiting = [*self._waiting[1 - _MOST :], note]

    def due(self, *, now: bool = False) -> list[Note]:
        """The notes to be written, which it then forgets; none if some were just before.

        Args:
            now: however short ago.
        """
        if not self._waiting:
            return []
        us = self._clock.monotonic_us()
        with self._lock:
            if not now and self._written_us is not None and us - self._written_us < _PAUSE_US:
                return []
            self._written_us = us
            notes, self._waiting = self._waiting, []
        return notes

    def keep(self, notes: list[Note], why: Exception) -> None:
        """Keep notes that could not be written, for the next time."""
        _log.debug("slow calls are noted later: %s", why)
        with self._lock:
            self._waiting = [*notes, *self._waiting][-_MOST:]


def _name(frame: FrameType | None) -> str:
    own = name = ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module in _PUBLIC:
            name = frame.f_code.co_qualname
        elif (
            not own and module.startswith("metrics_store.") and module != "metrics_store.connection"
        ):
            own = f"{module.removeprefix('metrics_store.')}.{frame.f_code.co_name}"
        frame = frame.f_back
    return (name or own or "call").partition(".<locals>")[0]
