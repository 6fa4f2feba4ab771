"""From numbers to findings: each metric against its limits."""

from __future__ import annotations

from collections.abc import Iterable

from metrics_store.health.metrics import Metrics
from metrics_store.health.report import STATUSES, Finding, Level
from metrics_store.health.rules import LEVELS, RULES, Limits, Rule
from metrics_store.health.thresholds import Thresholds
from metrics_store.health.wording import spoken


def judge(
    metrics: Metrics, troubles: Iterable[Finding], thresholds: Thresholds
) -> tuple[Finding, ...]:
    """Everything that asks for a person, the worst first.

    Args:
        metrics: what was measured; what is not known is no finding.
        troubles: what could not be looked at.
        thresholds: where each level begins.
    """
    found = [*troubles]
    for rule in RULES:
        finding = _judged(rule, metrics, thresholds.of(rule.metric))
        if finding is not None:
            found.append(finding)
    return tuple(sorted(found, key=lambda finding: -STATUSES.index(finding.level)))


def _judged(rule: Rule, metrics: Metrics, limits: Limits) -> Finding | None:
    value = metrics.number(rule.metric) if rule.bad is not None else None
    if value is None or not _applies(rule, metrics):
        return None
    passed = _passed(rule, value, limits)
    if passed is None:
        return None
    level, threshold = passed
    return Finding(
        level, rule.kind, rule.metric, value, float(threshold),
        _sentence(rule, value, threshold), _hint(rule, metrics),
    )  # fmt: skip


def _applies(rule: Rule, metrics: Metrics) -> bool:
    if rule.only_if is None:
        return True
    other, least = rule.only_if
    return (metrics.number(other) or 0) >= least


def _passed(rule: Rule, value: float, limits: Limits) -> tuple[Level, float] | None:
    for level in reversed(LEVELS):
        limit = limits.of(level)
        if limit is not None and (value > limit if rule.bad == "above" else value < limit):
            return level, limit
    return None


def _sentence(rule: Rule, value: float, threshold: float) -> str:
    shown, limit = spoken(value, rule.unit), spoken(threshold, rule.unit)
    if rule.sentence:
        return rule.sentence.format(value=shown, threshold=limit)
    return f"{rule.metric} is {shown}, {rule.bad} {limit}."


def _hint(rule: Rule, metrics: Metrics) -> str:
    if rule.kind == "wal" and metrics.oldest_reader is not None:
        return f"{rule.hint} Now {metrics.oldest_reader} has a view."
    if rule.metric == "oldest_reader_s" and metrics.oldest_reader is not None:
        return f"{rule.hint} It is {metrics.oldest_reader}."
    if rule.metric == "slow_calls_day" and metrics.slow_calls_by_name:
        names = ", ".join(
            f"{slow.name} ({slow.calls:,})" for slow in metrics.slow_calls_by_name[:3]
        )
        return f"Most often {names}. {rule.hint}"
    return rule.hint or "Its limit stands in the file of thresholds."
