"""What the metrics say, rule by rule: reading only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metrics_store.alerts.metric import Ask, Reading
from metrics_store.alerts.metrics import METRICS
from metrics_store.alerts.rules import Rule
from metrics_store.sqlite import Connection

#: By the name of a rule, what was read of each of its subjects.
Readings = Mapping[str, Mapping[str, Reading]]


def measure(connection: Connection, rules: Sequence[Rule], now_us: int) -> Readings:
    """Read what each rule looks at.

    Args:
        now_us: microseconds since 1970.
    """
    # Rules that ask the same are answered once.
    answers: dict[tuple[str, Ask], Mapping[str, Reading]] = {}
    found: dict[str, Mapping[str, Reading]] = {}
    for rule in rules:
        ask = Ask(now_us, rule.window_us or 0, rule.at_least)
        key = (rule.metric, ask)
        if key not in answers:
            answers[key] = METRICS[rule.metric].measure(connection, ask)
        found[rule.name] = {
            subject: reading for subject, reading in answers[key].items() if rule.is_about(subject)
        }
    return found
