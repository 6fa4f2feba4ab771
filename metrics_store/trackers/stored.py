"""The store's numbers in the shape that the legacy tracker gives."""

from __future__ import annotations

from metrics_store import clock
from metrics_store.legacy.calls import naive
from metrics_store.results import SkillMetrics
from metrics_store.store import MetricsStore
from metrics_store.trackers.numbers import SkillNumbers


def numbers_of_skill(store: MetricsStore, skill_name: str, zone: str) -> SkillNumbers | None:
    """The numbers of one skill; None if it has ended no invocation.

    Args:
        zone: of the naive moments that callers expect.

    Raises:
        ReadError: the store cannot be read.
    """
    found = store.get_skill_metrics(skill_name)
    if found is None or not found.total_invocations:
        return None
    return _classic(found, zone)


def numbers_of_all(store: MetricsStore, zone: str) -> dict[str, SkillNumbers]:
    """The numbers of every skill, by name; as :func:`numbers_of_skill`."""
    return {
        name: _classic(found, zone)
        for name, found in store.get_all_metrics().items()
        if found.total_invocations
    }


def _classic(found: SkillMetrics, zone: str) -> SkillNumbers:
    return SkillNumbers(
        skill_name=found.skill_name,
        total_invocations=found.total_invocations,
        completed_invocations=found.completed_invocations,
        abandoned_invocations=found.abandoned_invocations,
        total_duration_seconds=found.total_duration_seconds,
        workflow_paths=dict(found.workflow_paths),
        common_errors=dict(found.common_errors),
        follow_up_actions=dict(found.follow_up_actions),
        first_invoked=_naive(found.first_invoked, zone),
        last_invoked=_naive(found.last_invoked, zone),
    )


def _naive(moment: str | None, zone: str) -> str | None:
    return None if moment is None else naive(clock.parse(moment), zone)
