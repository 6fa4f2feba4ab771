"""How fast the store grows, and how long the disk lasts at that."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024
_DAY_S = 86_400.0
_WEEK_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Growth:
    """What :func:`reckon` gives.

    Args:
        bytes_per_row: of the database file; None while the log is empty.
        rows_per_day: of the last 7 days.
        mb_per_day: MiB that a day adds.
        days_left: how long the disk lasts; None if nothing grew.
    """

    bytes_per_row: float | None
    rows_per_day: float | None
    mb_per_day: float | None
    days_left: float | None


def reckon(
    used_bytes: int | None,
    rows: int | None,
    week: int | None,
    age_s: float | None,
    free_bytes: int | None,
) -> Growth:
    """Reckon how the store grows.

    bytes_per_row = pages in use × page size / rows in the log: rollups, indexes and search are in
    it, as a new row pays for them too. rows_per_day = runs begun in the last 7 days / 7, or / the
    days since the first run if they are fewer, at least 1. growth = bytes_per_row × rows_per_day.
    days_left = free / growth. Retention makes the growth less than this; nothing makes it more but
    more runs.

    Args:
        used_bytes: pages in use × page size.
        rows: in the log.
        week: runs begun in the last 7 days.
        age_s: seconds since the first run began.
        free_bytes: room on the disk.
    """
    per_row = used_bytes / rows if used_bytes is not None and rows else None
    per_day = None
    if week is not None:
        days = _WEEK_DAYS if age_s is None else min(max(age_s / _DAY_S, 1.0), _WEEK_DAYS)
        per_day = week / days
    if per_row is None or per_day is None:
        return Growth(per_row, per_day, None, None)
    growth = per_row * per_day
    left = free_bytes / growth if growth > 0 and free_bytes is not None else None
    return Growth(per_row, per_day, growth / _MIB, left)
