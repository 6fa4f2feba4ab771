"""The classic numbers of a skill, as every tracker gives them, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

#: Members of a skill's totals that the legacy file has beside the fields: reckoned, never read.
RECKONED = ("completion_rate", "avg_duration_seconds")


@dataclass(frozen=True, slots=True)
class SkillNumbers:
    """The classic numbers of one skill; equal by value.

    Args:
        total_invocations: those that have ended.
        abandoned_invocations: those that ended without being completed.
        total_duration_seconds: seconds of completed invocations.
        workflow_paths, common_errors, follow_up_actions: how often each came.
        first_invoked: start of the first that was recorded; naive local time in ISO 8601.
        last_invoked: start of the last that ended.
    """

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
        """Percent of invocations that were completed; 0.0 without any."""
        # This order of operations, for the last digit is in the file.
        total = self.total_invocations
        return self.completed_invocations / total * 100 if total else 0.0

    def avg_duration_seconds(self) -> float:
        """Seconds, over completed invocations; 0.0 without any."""
        completed = self.completed_invocations
        return self.total_duration_seconds / completed if completed else 0.0

    def to_dict(self) -> dict[str, object]:
        """The totals as the legacy file has them, in its order."""
        return {
            "skill_name": self.skill_name,
            "total_invocations": self.total_invocations,
            "completed_invocations": self.completed_invocations,
            "abandoned_invocations": self.abandoned_invocations,
            "total_duration_seconds": self.total_duration_seconds,
            "workflow_paths": dict(self.workflow_paths),
            "common_errors": dict(self.common_errors),
            "follow_up_actions": dict(self.follow_up_actions),
            "first_invoked": self.first_invoked,
            "last_invoked": self.last_invoked,
            "completion_rate": self.completion_rate(),
            "avg_duration_seconds": self.avg_duration_seconds(),
        }


def add(numbers: SkillNumbers | None, record: Mapping[str, object]) -> SkillNumbers:
    """The numbers with one more ended record, by the legacy rules.

    Args:
        numbers: None if the skill is new.
        record: the seven members of the legacy format.
    """
    moment = str(record["invoked_at"])
    if numbers is None:
        numbers = SkillNumbers(str(record["skill_name"]), first_invoked=moment)
    completed = record["completed"] is True
    seconds = record["duration_seconds"]
    actions = record["follow_up_actions"]
    more = seconds if completed and isinstance(seconds, (int, float)) else 0
    return replace(
        numbers,
        total_invocations=numbers.total_invocations + 1,
        completed_invocations=numbers.completed_invocations + completed,
        abandoned_invocations=numbers.abandoned_invocations + (not completed),
        total_duration_seconds=numbers.total_duration_seconds + more,
        workflow_paths=_counted(numbers.workflow_paths, [record["workflow_path"]]),
        common_errors=_counted(numbers.common_errors, [record["error_type"]]),
        # Of actions the legacy tracker counts empty ones too.
        follow_up_actions=_counted(
            numbers.follow_up_actions, actions if isinstance(actions, list) else [], empty=True
        ),
        last_invoked=moment,
    )


def of_totals(skill_name: str, totals: object) -> SkillNumbers:
    """Read the totals of one skill of a legacy file; a member that is missing counts as nothing.

    Raises:
        ValueError: they are not what the legacy tracker writes.
    """
    try:
        read = _object(totals).get
        return SkillNumbers(
            skill_name,
            _whole(read("total_invocations", 0)),
            _whole(read("completed_invocations", 0)),
            _whole(read("abandoned_invocations", 0)),
            _seconds(read("total_duration_seconds", 0.0)),
            _counts(read("workflow_paths")),
            _counts(read("common_errors")),
            _counts(read("follow_up_actions")),
            _text(read("first_invoked")),
            _text(read("last_invoked")),
        )
    except TypeError as error:
        raise ValueError(f"the totals of {skill_name!r}: {error}") from None


def summary_of(metrics: Mapping[str, SkillNumbers]) -> dict[str, object]:
    """The numbers of all skills together, in the shape of the classic ``get_summary``.

    Returns:
        ``overall_completion_rate`` in percent, ``avg_duration_seconds`` over completed
        invocations, ``skills_by_usage`` pairs of skill and total, the most used first. Without a
        skill there is neither ``most_used_count`` nor ``skills_by_usage``.
    """
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
    usage = [(name, m.total_invocations) for name, m in metrics.items()]
    usage.sort(key=lambda pair: pair[1], reverse=True)
    return {
        "total_skills": len(metrics),
        "total_invocations": total,
        "overall_completion_rate": completed / total * 100 if total else 0.0,
        "most_used_skill": usage[0][0],
        "most_used_count": usage[0][1],
        "avg_duration_seconds": seconds / completed if completed else 0.0,
        "skills_by_usage": usage,
    }


def report_of(metrics: Mapping[str, SkillNumbers]) -> str:
    """The classic report: all skills together, then each, the most used first."""
    summary = summary_of(metrics)
    lines = ["Skill Metrics Report", "=" * 50, ""]
    lines.append(f"Total Skills: {summary['total_skills']}")
    lines.append(f"Total Invocations: {summary['total_invocations']}")
    lines.append(f"Overall Completion Rate: {summary['overall_completion_rate']:.1f}%")
    if metrics:
        used = f"{summary['most_used_skill']} ({summary['most_used_count']} invocations)"
        lines.append(f"Most Used Skill: {used}")
    lines.append(f"Average Duration: {summary['avg_duration_seconds']:.1f}s")
    for m in sorted(metrics.values(), key=lambda m: -m.total_invocations):
        lines += ["", m.skill_name, "-" * 50]
        lines.append(f"  Invocations: {m.total_invocations}")
        lines.append(f"  Completed: {m.completed_invocations} ({m.completion_rate():.1f}%)")
        lines.append(f"  Abandoned: {m.abandoned_invocations}")
        lines.append(f"  Average Duration: {m.avg_duration_seconds():.1f}s")
        for title, counts in (
            ("Workflow Paths", m.workflow_paths),
            ("Common Errors", m.common_errors),
            ("Follow-up Actions", m.follow_up_actions),
        ):
            if counts:
                lines.append(f"  {title}:")
                ordered = sorted(counts.items(), key=lambda pair: -pair[1])
                lines += [f"    - {label}: {n}" for label, n in ordered]
    return "\n".join(lines) + "\n"


def _counted(
    counts: dict[str, int], labels: list[object], *, empty: bool = False
) -> dict[str, int]:
    counts = dict(counts)
    for label in labels:
        if isinstance(label, str) and (label or empty):
            counts[label] = counts.get(label, 0) + 1
    return counts


def _whole(value: object) -> int:
    # A NaN and an infinity are no whole numbers either.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise TypeError(f"{value!r} is no whole number"[:100])
    return int(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number of seconds"[:100])
    return value


def _counts(value: object) -> dict[str, int]:
    return {label: _whole(n) for label, n in _object(value).items()}


def _object(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no object"[:100])
    return value


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is no text"[:100])
    return value
