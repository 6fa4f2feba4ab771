"""The only source of time and of ids.

Moments are UTC text, ``2026-01-31T12:34:56.123456Z``: text order is time order. Durations are
integer microseconds.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from random import Random

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: The first and last moment that the text form can hold, in microseconds since 1970.
MIN_US = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
MAX_US = (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC) - _EPOCH) // _MICROSECOND


class Clock:
    """Wall time and monotonic time of this machine; tests inject one of their own."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        """Microseconds that only ever grow; only differences mean anything."""
        return time.monotonic_ns() // 1000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


_DAY = 86_400
_day: tuple[int, str] = (-1, "")
_WITHOUT_SIGNS = {ord(sign): None for sign in "-:.Z"}


def text(us: int) -> str:
    """Write a moment as UTC text.

    Args:
        us: microseconds since 1970, within the years 1 to 9999.
    """
    global _day
    seconds, micro = divmod(us, MICROSECONDS)
    day, second = divmod(seconds, _DAY)
    known = _day
    if known[0] != day:
        # strftime costs 1.3 us, and most moments share their day with the last one.
        known = _day = (day, (_EPOCH + timedelta(days=day)).date().isoformat())
    minute, second = divmod(second, 60)
    return f"{known[1]}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}.{micro:06d}Z"


def stamp(us: int) -> str:
    """A moment as part of a file's name: ``20260131T123456123456``."""
    return text(us).translate(_WITHOUT_SIGNS)


def parse(moment: str) -> int:
    """Read a moment that :func:`text` wrote, or any ISO 8601 text with an offset.

    Returns:
        Microseconds since 1970, UTC.

    Raises:
        ValueError: it is not ISO 8601, or it bears no offset.
    """
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        raise ValueError(f"{moment!r} bears no offset from UTC")
    return of_datetime(parsed)


def of_datetime(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


class _IdSource:
    """UUIDv7 (RFC 9562 §5.7): ordered by time, so that the index on ids only grows at its end."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            # A forked child would otherwise hand out the very ids its parent hands out.
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._last = -1
        self._random = Random()  # seeded by the operating system

    def new(self, us: int) -> str:
        # Milliseconds and a counter of 12 bits as one number that only grows: within a millisecond,
        # or after the clock was set back, it counts on (RFC 9562 §6.2, method 1).
        with self._lock:
            now = us // 1000 << 12
            self._last = now = now if now > self._last else self._last + 1
            tail = self._random.getrandbits(62)
        head = f"{now & 0xFFF_FFFF_FFFF_FFFF:015x}"
        end = f"{tail | 0x8000_0000_0000_0000:016x}"
        return f"{head[:8]}-{head[8:12]}-7{head[12:]}-{end[:4]}-{end[4:]}"


_ids = _IdSource()


def new_id(us: int) -> str:
    """A new UUIDv7 for a moment; ids made by one process are in the order of their making.

    Args:
        us: microseconds since 1970.
    """
    return _ids.new(us)
