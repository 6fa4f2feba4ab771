"""Numbers as people read them: counts, shares, durations, moments, sparklines and bars."""

from __future__ import annotations

import os
from collections.abc import Sequence

#: Stands for a number that is not known.
NONE = "–"
_SPARKS = "▁▂▃▄▅▆▇█"
_PARTS = " ▏▎▍▌▋▊▉"


def number(n: int) -> str:
    """A count: ``12,345``."""
    return f"{n:,}"


def plural(n: int, one: str, many: str = "") -> str:
    """A count with its noun: ``1 skill``, ``12 skills``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(rate: float | None) -> str:
    """A share from 0 to 100: ``97.3 %``. Only all of it is ``100 %``, only none of it ``0 %``."""
    if rate is None:
        return NONE
    if rate in (0, 100):
        return f"{rate:.0f} %"
    if 0 < rate < 100:
        rate = min(max(rate, 0.1), 99.9)
    return f"{rate:.1f} %"


def duration(seconds: float | None) -> str:
    """A duration in three digits or two units: ``842 ms``, ``4.21 s``, ``3m 12s``, ``2h 05m``."""
    if seconds is None:
        return NONE
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.0009995:
        return f"{round(seconds * 1e6)} µs" if seconds else "0 s"
    if seconds < 0.9995:
        return f"{_three_digits(seconds * 1e3)} ms"
    if seconds < 59.95:
        return f"{_three_digits(seconds)} s"
    if seconds < 3599.5:
        minutes, left = divmod(round(seconds), 60)
        return f"{minutes}m {left:02d}s"
    if seconds < 86_370:
        hours, left = divmod(round(seconds / 60), 60)
        return f"{hours}h {left:02d}m"
    days, left = divmod(round(seconds / 3600), 24)
    return f"{days:,}d {left:02d}h"


def _three_digits(value: float) -> str:
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def moment(utc: str | None) -> str:
    """A UTC moment to the minute: ``2026-11-21 09:16``."""
    return NONE if utc is None else f"{utc[:10]} {utc[11:16]}"


def day(utc: str | None) -> str:
    """The UTC day of a moment: ``2026-11-21``."""
    return NONE if utc is None else utc[:10]


def size(n: int) -> str:
    """A number of bytes: ``340 kB``."""
    if n < 1000:
        return plural(n, "byte")
    value = float(n)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{_three_digits(value) if unit != 'kB' else round(value)} {unit}"
    return f"{value:,.0f} GB"


def path(absolute: str) -> str:
    """A path as it is called from here, if that is inside the working directory."""
    try:
        relative = os.path.relpath(absolute)
    except (ValueError, OSError):  # another drive, or the working directory is gone
        return absolute
    return absolute if relative.startswith(os.pardir) else relative


def sparkline(values: Sequence[int]) -> str:
    """One character a value, on a scale from nothing to the largest; ``·`` is none at all."""
    most = max(values, default=0)
    return "".join(
        _SPARKS[min(7, value * 8 // most if value < most else 7)] if value > 0 else "·"
        for value in values
    )


def bar(value: float, most: float, width: int) -> str:
    """A bar of block characters, as long as a value's share of the largest; anything shows."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(min(1.0, value / most) * width * 8))
    return "█" * (eighths // 8) + _PARTS[eighths % 8].strip()
