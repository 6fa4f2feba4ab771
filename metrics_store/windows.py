"""Spans of time as people write them: ``7 days``, ``90 min``, ``2w``."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from metrics_store.errors import InvalidQuery

_UNITS = {
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hr": 3600, "hour": 3600,
    "d": 86_400, "day": 86_400,
    "w": 604_800, "week": 604_800,
    "month": 30 * 86_400,
    "y": 365 * 86_400, "year": 365 * 86_400,
}  # fmt: skip
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)?\s*([a-z]+)\s*", re.IGNORECASE)
#: Longest span that is believed: a thousand years.
_LONGEST = 1000 * 365 * 86_400


def seconds(span: str | float | timedelta) -> float:
    """The seconds of a span.

    Args:
        span: seconds, a timedelta, or text; a month is 30 days, a year 365.

    Raises:
        InvalidQuery: it is no span, or not a positive one.
    """
    if isinstance(span, timedelta):
        value = span.total_seconds()
    elif isinstance(span, (int, float)) and not isinstance(span, bool):
        value = float(span) if -_LONGEST <= span <= _LONGEST else math.inf
    elif isinstance(span, str):
        value = _of_text(span)
    else:
        raise _no_span(span)
    if not math.isfinite(value) or not 0 < value <= _LONGEST:
        raise InvalidQuery(
            f"{span!r:.60} is no span of time", hint="Such as '7 days' or '12 hours'."
        )
    return value


def _no_span(span: object) -> InvalidQuery:
    said = f"{span!r}"[:60]
    return InvalidQuery(f"{said} is no span of time", hint="Such as '7 days' or '12 hours'.")


def _of_text(span: str) -> float:
    match = _SPAN.fullmatch(span)
    unit = match[2].lower() if match else ""
    size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
    if match is None or size is None:
        raise InvalidQuery(
            f"{span!r:.60} is no span of time", hint="Such as '7 days' or '12 hours'."
        )
    return float(match[1] or 1) * size
