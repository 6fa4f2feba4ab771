"""What a metric is: what it is asked, what it gives for each subject, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from metrics_store.alerts.rules import Comparison
from metrics_store.sqlite import Connection


class Ask(NamedTuple):
    """What a metric is asked.

    Args:
        now_us: microseconds since 1970.
        window_us: how far back to look, microseconds.
        at_least: subjects with fewer runs are left out.
    """

    now_us: int
    window_us: int
    at_least: int


class Reading(NamedTuple):
    """The value of a subject, and what it was made of, in words."""

    value: float
    detail: str = ""


Measure = Callable[[Connection, Ask], Mapping[str, Reading]]


class Metric(NamedTuple):
    """A metric.

    Args:
        name: by which rules name it.
        about: what it is, for the page and for `alerts rules`.
        title: of alerts about it.
        type: of alerts about it.
        unit: ``%``, ``MiB``, ``s``, ``""`` for a count, ``flag`` for 1 or 0.
        compare: on which side it is bad, if a rule does not say.
        measure: reads it.
        window_us: how far back it looks if a rule does not say; None for what is so now.
        at_least: of how many runs, if a rule does not say; None for what counts none.
        only_subject: its subject, if it has just one.
    """

    name: str
    about: str
    title: str
    type: str
    unit: str
    compare: Comparison
    measure: Measure
    window_us: int | None = None
    at_least: int | None = None
    only_subject: str = ""
