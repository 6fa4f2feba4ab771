"""What alerts say."""

from __future__ import annotations

from metrics_store.alerts.metric import Metric, Reading
from metrics_store.alerts.rules import Rule

#: Longest title; the subject in it may be of any length.
_LONGEST = 300
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def title_of(rule: Rule, metric: Metric, subject: str) -> str:
    """The title of a rule's alert: what is wrong, and with what."""
    title = rule.title or metric.title
    if subject != metric.only_subject:
        title = f"{title}: {subject}"
    return title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"


def message_of(rule: Rule, metric: Metric, reading: Reading | None, rank: int) -> str:
    """How it is, and which limit it has passed."""
    limit = shown(rule.limit(rank), metric.unit)
    if reading is None:
        return f"There is no value any more; the limit is {limit}."
    if metric.unit == "flag" and reading.detail:
        return f"{reading.detail}."
    value = shown(reading.value, metric.unit)
    within = "" if rule.window_us is None else f" within {span(rule.window_us)}"
    more = f" ({reading.detail})" if reading.detail else ""
    return f"{value}{within}, {rule.compare} {limit}{more}."


def metadata_of(rule: Rule, reading: Reading | None, rank: int) -> dict[str, object]:
    """The same as values."""
    return {
        "metric": rule.metric,
        "value": None if reading is None else reading.value,
        "compare": rule.compare,
        "limit": rule.limit(rank),
        "window_seconds": None if rule.window_us is None else rule.window_us / 1e6,
    }


def shown(value: float, unit: str) -> str:
    """A value with its unit."""
    match unit:
        case "%":
            return f"{_figures(value)} %"
        case "MiB" if abs(value) >= 1024:
            return f"{_figures(value / 1024)} GiB"
        case "MiB":
            return f"{_figures(value)} MiB"
        case "s":
            return span(round(value * 1e6))
        case _:
            return f"{value:,.0f}" if value == round(value) else _figures(value)


def span(us: int) -> str:
    """A span of time in words: ``1 hour``, ``90 minutes``, ``2 days``."""
    seconds = us / 1e6
    if seconds < 1:
        return f"{_figures(seconds)} seconds"
    for size, unit in _UNITS:
        count = seconds / size
        # The largest unit in which it is a whole number, or at least some of them.
        if count >= 1 and (count == int(count) or count >= 2):
            text = _figures(count)
            return f"{text} {unit}" if text == "1" else f"{text} {unit}s"
    return f"{_figures(seconds)} seconds"


def _figures(value: float) -> str:
    """At most one digit after the point, and no zero at the end."""
    text = f"{value:,.1f}"
    return text.removesuffix(".0")
