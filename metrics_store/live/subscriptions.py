"""Who is told of changes: each has a queue of its own, which never grows past its limit."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate

from metrics_store import asked
from metrics_store.closing import Closing
from metrics_store.results import Result


def matching(pattern: str) -> Callable[[str], object]:
    """What tells whether a key fits a pattern, in which ``*`` and ``?`` alone are special.

    Raises:
        InvalidQuery: it is no text.
    """
    asked.text("pattern", pattern)
    return re.compile(translate(pattern.replace("[", "[[]"))).match


@dataclass(frozen=True, slots=True)
class Change(Result):
    """A key with another value.

    Args:
        key: which.
        value: what it has now; None if it is gone.
        at: when that was noticed, UTC text.
        lost: how many changes before this one were thrown away, for nobody took them in time.
    """

    key: str
    value: object
    at: str
    lost: int = 0


class Subscription(Closing):
    """Changes as they come; iterating ends when it is closed, or the state is.

    :meth:`metrics_store.LiveState.subscribe` makes it.

    Args:
        pattern: keys with ``*`` and ``?``; None for all.
        limit: changes that wait at most; past that the oldest are thrown away.
    """

    def __init__(self, pattern: str | None, limit: int) -> None:
        self._matches = None if pattern is None else matching(pattern)
        self._limit = limit
        self._lost = 0
        self._closed = False
        self._waiting: deque[Change] = deque()
        self._changed = threading.Condition(threading.Lock())

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed

    def offer(self, changes: list[Change]) -> None:
        """Take what is asked for; never waits for whoever reads."""
        wanted = changes
        if self._matches is not None:
            wanted = [change for change in changes if self._matches(change.key)]
        if not wanted:
            return
        with self._changed:
            if self._closed:
                return
            self._waiting.extend(wanted)
            while len(self._waiting) > self._limit:
                self._waiting.popleft()
                self._lost += 1
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Change | None:
        """The next change; None if none came in time, or it is closed.

        Args:
            timeout: seconds to wait at most; None waits until there is one, 0 does not wait.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            if not self._waiting:
                return None
            change, lost = self._waiting.popleft(), self._lost
            self._lost = 0
        return change if not lost else Change(change.key, change.value, change.at, lost)

    def __iter__(self) -> Iterator[Change]:
        while (change := self.get()) is not None:
            yield change

    def close(self) -> None:
        """Let nothing more come; what waits can still be taken. Closing twice does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def renew_lock(self) -> None:
        """In a forked child: nobody holds it here, whoever did in the parent."""
        self._changed = threading.Condition(threading.Lock())
