"""A plain legacy tracker, written from the description of its format, with all its faults.

It reads the file once, rewrites it whole from its own memory at every end, takes no lock, and takes
a file that it cannot parse for an empty history.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass
class SkillInvocation:
    """One record."""

    skill_name: str
    invoked_at: str
    workflow_path: str | None = None
    completed: bool = False
    duration_seconds: float | None = None
    follow_up_actions: list[str] = field(default_factory=list)
    error_type: str | None = None


@dataclass
class SkillMetrics:
    """The totals of one skill."""

    skill_name: str
    total_invocations: int = 0
    completed_invocations: int = 0
    abandoned_invocations: int = 0
    total_duration_seconds: float = 0.0
    workflow_paths: dict[str, int] = field(default_factory=dict)
    common_errors: dict[str, int] = field(default_factory=dict)
    follow_up_actions: dict[str, int] = field(default_factory=dict)
    first_invoked: str | None = None
    last_invoked: str | None = None

    def completion_rate(self) -> float:
        if self.total_invocations == 0:
            return 0.0
        return (self.completed_invocations / self.total_invocations) * 100

    def avg_duration_seconds(self) -> float:
        if self.completed_invocations == 0:
            return 0.0
        return self.total_duration_seconds / self.completed_invocations

    def to_dict(self) -> dict[str, object]:
        return {
            **asdict(self),
            "completion_rate": self.completion_rate(),
            "avg_duration_seconds": self.avg_duration_seconds(),
        }


class LegacyTracker:
    """The tracker that is being replaced.

    Args:
        metrics_file: the JSON file.
        now: the moment, naive local time; tests give their own.
    """

    def __init__(self, metrics_file: Path, now: Callable[[], datetime] = datetime.now) -> None:
        self.metrics_file = metrics_file
        self._now = now
        self._invocations: list[SkillInvocation] = []
        self._skill_metrics: dict[str, SkillMetrics] = {}
        metrics_file.parent.mkdir(parents=True, exist_ok=True)
        self._load()

    def _load(self) -> None:
        if not self.metrics_file.exists():
            return
        try:
            data = json.loads(self.metrics_file.read_text())
            self._invocations = [SkillInvocation(**one) for one in data.get("invocations", [])]
            for name, totals in data.get("skills", {}).items():
                known = {k: v for k, v in totals.items() if k in SkillMetrics.__dataclass_fields__}
                self._skill_metrics[name] = SkillMetrics(**known)
        except (json.JSONDecodeError, TypeError):
            self._invocations, self._skill_metrics = [], {}

    def _save(self) -> None:
        data = {
            "invocations": [asdict(one) for one in self._invocations],
            "skills": {name: m.to_dict() for name, m in self._skill_metrics.items()},
            "last_updated": self._now().isoformat(),
        }
        self.metrics_file.write_text(json.dumps(data, indent=2))

    def track_invocation(
        self, skill_name: str, workflow_path: str | None = None
    ) -> Callable[..., None]:
        """Start an invocation; what is returned ends it, and is never to be called twice."""
        invocation = SkillInvocation(skill_name, self._now().isoformat(), workflow_path)
        self._invocations.append(invocation)

        def completer(
            *,
            completed: bool = True,
            follow_up_actions: list[str] | None = None,
            error_type: str | None = None,
        ) -> None:
            invocation.completed = completed
            begin = datetime.fromisoformat(invocation.invoked_at)
            invocation.duration_seconds = (self._now() - begin).total_seconds()
            invocation.follow_up_actions = follow_up_actions or []
            invocation.error_type = error_type
            self._count(invocation)
            self._save()

        return completer

    def _count(self, one: SkillInvocation) -> None:
        m = self._skill_metrics.get(one.skill_name)
        if m is None:
            m = SkillMetrics(one.skill_name, first_invoked=one.invoked_at)
            self._skill_metrics[one.skill_name] = m
        m.total_invocations += 1
        m.last_invoked = one.invoked_at
        if one.completed:
            m.completed_invocations += 1
            if one.duration_seconds:
                m.total_duration_seconds += one.duration_seconds
        else:
            m.abandoned_invocations += 1
        if one.workflow_path:
            m.workflow_paths[one.workflow_path] = m.workflow_paths.get(one.workflow_path, 0) + 1
        if one.error_type:
            m.common_errors[one.error_type] = m.common_errors.get(one.error_type, 0) + 1
        for action in one.follow_up_actions:
            m.follow_up_actions[action] = m.follow_up_actions.get(action, 0) + 1

    def get_skill_metrics(self, skill_name: str) -> SkillMetrics | None:
        return self._skill_metrics.get(skill_name)

    def get_all_metrics(self) -> dict[str, SkillMetrics]:
        return self._skill_metrics.copy()

    def get_summary(self) -> dict[str, object]:
        metrics = self._skill_metrics
        if not metrics:
            return {
                "total_skills": 0,
                "total_invocations": 0,
                "overall_completion_rate": 0.0,
                "most_used_skill": None,
                "avg_duration_seconds": 0.0,
            }
        total = sum(m.total_invocations for m in metrics.values())
        completed = sum(m.completed_invocations for m in metrics.values())
        seconds = sum(m.total_duration_seconds for m in metrics.values())
        by_usage = sorted(
            ((name, m.total_invocations) for name, m in metrics.items()),
            key=lambda pair: pair[1],
            reverse=True,
        )
        return {
            "total_skills": len(metrics),
            "total_invocations": total,
            "overall_completion_rate": (completed / total * 100) if total else 0.0,
            "most_used_skill": by_usage[0][0],
            "most_used_count": by_usage[0][1],
            "avg_duration_seconds": (seconds / completed) if completed else 0.0,
            "skills_by_usage": by_usage,
        }
