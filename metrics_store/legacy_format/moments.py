"""Moments of a legacy file: naive local time, read in the zone the file was written in.

An hour that comes twice when summer time ends is told apart by the order in the file: the log is
written in the order of starts, so a step back within that hour is the second time around.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple

from metrics_store import clock
from metrics_store.errors import InvalidQuery, InvalidValue
from metrics_store.timeline import zone_named

#: The flag of a moment within an hour that came twice.
REPEATED = "repeated_hour"
_SKIPPED = "skipped_hour"
_EPOCH = datetime(1970, 1, 1)


class Read(NamedTuple):
    """A moment of the file.

    Args:
        us: microseconds since 1970, UTC.
        flag: ``repeated_hour`` or ``skipped_hour``, else empty.
        face_us: what the text would be in UTC, whatever the zone; ids begin with it.
    """

    us: int
    flag: str
    face_us: int


class ZoneReader:
    """Reads the moments of one file in their order.

    Args:
        zone: an IANA name.

    Raises:
        InvalidQuery: there is no such zone.
    """

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._place: tzinfo = zone_named(zone)
        self._utc = self._place is UTC
        self._last: datetime | None = None
        self._second_time = False
        self._hour: tuple[datetime, timedelta] | None = None

    def read(self, text: str) -> Read:
        """Read a moment.

        Raises:
            ValueError: it is no ISO 8601 moment, or outside the years 1 to 9999 in UTC.
        """
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            us = _checked(clock.of_datetime(moment))
            return Read(us, "", us)
        face_us = _face_us(moment)
        if self._utc:
            return Read(_checked(face_us), "", face_us)
        offset, flag = self._local(moment)
        return Read(_checked(face_us - offset // timedelta(microseconds=1)), flag, face_us)

    def _local(self, moment: datetime) -> tuple[timedelta, str]:
        """The offset from UTC at a local time."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        known = self._hour
        if known is not None and known[0] == hour:
            # Offsets change within a few hours a year; this one was found to be a plain one.
            self._last, self._second_time = moment, False
            return known[1], ""
        first, second = self._offset(moment, 0), self._offset(moment, 1)
        if first > second:
            return (second if self._is_second_time(moment) else first), REPEATED
        self._last, self._second_time = moment, False
        if first < second:
            # A local time that never was; the offset before the change is as good as any.
            return first, _SKIPPED
        if self._plain(hour, first):
            self._hour = (hour, first)
        return first, ""

    def _is_second_time(self, moment: datetime) -> bool:
        last = self._last
        if last is None or last.date() != moment.date():
            self._second_time = False  # of another year's change
        elif moment < last and self._ambiguous(last):
            self._second_time = True
        self._last = moment
        return self._second_time

    def _ambiguous(self, moment: datetime) -> bool:
        return self._offset(moment, 0) > self._offset(moment, 1)

    def _plain(self, hour: datetime, offset: timedelta) -> bool:
        end = hour + timedelta(minutes=59, seconds=59)
        return all(self._offset(m, fold) == offset for m in (hour, end) for fold in (0, 1))

    def _offset(self, moment: datetime, fold: int) -> timedelta:
        offset = moment.replace(tzinfo=self._place, fold=fold).utcoffset()
        return offset if offset is not None else timedelta(0)


def readings(text: str, zone: str) -> tuple[int, ...]:
    """What a moment of the file can mean, microseconds since 1970: either, in an hour that comes
    twice.

    Raises:
        ValueError: it is no ISO 8601 moment.
        InvalidQuery: there is no such zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        return (clock.of_datetime(moment),)
    place, face_us = zone_named(zone), _face_us(moment)
    offsets = (moment.replace(tzinfo=place, fold=fold).utcoffset() for fold in (0, 1))
    return tuple(
        face_us - (offset or timedelta(0)) // timedelta(microseconds=1) for offset in offsets
    )


def local_zone() -> str:
    """The IANA name of this machine's zone.

    Raises:
        InvalidValue: the machine does not tell; name it with ``--zone``.
    """
    candidates = [os.environ.get("TZ", "").lstrip(":")]
    if sys.platform != "win32":
        link = os.path.realpath("/etc/localtime")
        # Without the file the C library's time is UTC.
        candidates.append(link.partition("zoneinfo/")[2] if os.path.exists(link) else "UTC")
        with suppress(OSError):
            candidates.append(Path("/etc/timezone").read_text(encoding="utf-8").strip())
    for name in candidates:
        try:
            if name and not name.startswith("/"):
                zone_named(name)
                return name
        except InvalidQuery:
            continue
    raise InvalidValue(
        "the time zone of this machine has no name",
        hint="Say in which zone the file was written: --zone Europe/Berlin.",
    )


def _face_us(moment: datetime) -> int:
    # Five times as fast as giving it a zone and dividing the difference.
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * clock.MICROSECONDS + since.microseconds


def _checked(us: int) -> int:
    if not clock.MIN_US <= us <= clock.MAX_US:
        raise ValueError("outside the years 1 to 9999 in UTC")
    return us
