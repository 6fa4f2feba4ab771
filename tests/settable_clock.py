"""A clock for tests: time passes when it is told to."""

from __future__ import annotations

from metrics_store.clock import MICROSECONDS, Clock, parse


class SettableClock(Clock):
    """A clock that stands still until it is told to go on; waiting moves it."""

    def __init__(self, moment: str = "2026-03-10T12:00:00Z") -> None:
        self.us = parse(moment)
        self.monotonic = 1_000_000

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.us += round(seconds * MICROSECONDS)
        self.monotonic += round(seconds * MICROSECONDS)

    def set(self, moment: str) -> None:
        """Set the wall clock; the monotonic one is not moved."""
        self.us = parse(moment)
