"""Readers that may run together, and a moment when none does.

A connection must not be closed while another thread runs a statement on it, and nothing may be
open across a fork.
"""

from __future__ import annotations

import threading


class Gate:
    """Counts the threads that are inside; :meth:`shut` waits until they have left."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside = 0
        self._shut = False

    def enter(self) -> None:
        """Go in; wait while the gate is shut."""
        with self._changed:
            while self._shut:
                self._changed.wait()
            self._inside += 1

    def leave(self) -> None:
        """Go out."""
        with self._changed:
            self._inside -= 1
            if self._shut:
                self._changed.notify_all()

    def shut(self, but: int = 0, timeout: float | None = None) -> bool:
        """Let nobody in, and wait until all but the caller's own have left.

        Args:
            but: how many of those inside are the caller's own.
            timeout: seconds to wait at most.

        Returns:
            False if somebody is still inside; the gate is then open again.
        """
        with self._changed:
            return not self._shut and self._alone(but, timeout)

    def _alone(self, but: int, timeout: float | None) -> bool:
        self._shut = True
        if self._changed.wait_for(lambda: self._inside <= but, timeout):
            return True
        self._shut = False
        self._changed.notify_all()
        return False

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._shut = False
            self._changed.notify_all()
