"""Values with their units, as they stand in findings."""

from __future__ import annotations

_UNKNOWN = "unknown"


def spoken(value: object, unit: str) -> str:
    """A value in words: ``64 MiB``, ``1h 05m``, ``83.3 %``.

    Args:
        value: of a metric, or a limit of it.
        unit: as in :class:`metrics_store.health.rules.Rule`.
    """
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    match unit:
        case "MiB":
            return _size(value)
        case "bytes":
            return f"{value:,.0f} bytes"
        case "s":
            return _span(value)
        case "h":
            return _span(value * 3600)
        case "ms":
            return f"{_figures(value)} ms" if abs(value) < 1000 else _span(value / 1000)
        case "days":
            return _long(value)
        case "%":
            return f"{_share(value)} %"
        case "number":
            return f"{value:,.0f}" if abs(value) >= 100 else _figures(value)
        case _:
            return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def _figures(value: float) -> str:
    """Three digits, and no zero at the end."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    text = f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".")


def _share(value: float) -> str:
    # Only all of it is 100, only none of it 0.
    return _figures(value if value in (0, 100) else min(max(value, 0.1), 99.9))


def _size(mib: float) -> str:
    if mib == 0:
        return "0 MiB"
    if abs(mib) >= 1024:
        return f"{_figures(mib / 1024)} GiB"
    return f"{_figures(mib)} MiB" if abs(mib) >= 1 else f"{_figures(mib * 1024)} KiB"


def _span(seconds: float) -> str:
    if seconds < 0:
        return f"-{_span(-seconds)}"
    if 0 < seconds < 1:
        return f"{_figures(seconds * 1000)} ms"
    if seconds < 119.5:
        return f"{_figures(seconds)} s"
    if seconds < 2 * 3600 - 30:
        return _two(seconds, 60, "m", "s")
    return _two(seconds, 3600, "h", "m") if seconds < 48 * 3600 - 1800 else _days(seconds)


def _long(days: float) -> str:
    if days >= 100 * 365.25:
        return "over 100 years"
    if days >= 1000:
        return f"{days / 365.25:.0f} years"
    return "1 day" if days == 1 else f"{_figures(days)} days"


def _two(seconds: float, large: int, one: str, other: str) -> str:
    small = large // 60
    first, second = divmod(round(seconds / small), 60)
    return f"{first}{one}" if second == 0 else f"{first}{one} {second:02d}{other}"


def _days(seconds: float) -> str:
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} days" if hours == 0 or days >= 10 else f"{days:,} days {hours}h"
