"""What the readers give: frozen values that answer both ``m.name`` and ``m["name"]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Result:
    """A frozen value whose fields can be read as a mapping's keys; ``dict(result)`` works."""

    #: Further names under which a field answers, as the classic readers called it.
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __getitem__(self, name: str) -> object:
        name = self.aliases.get(name, name)
        if name not in self.__dataclass_fields__:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self.__dataclass_fields__ or name in self.aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get(self, name: str, default: object = None) -> object:
        """The field of that name, or a default."""
        try:
            return self[name]
        except KeyError:
            return default

    def keys(self) -> tuple[str, ...]:
        """The names of the fields, and the classic names."""
        return (*(f.name for f in fields(self)), *self.aliases)

    def as_dict(self) -> dict[str, object]:
        """The fields as plain values that JSON can hold, in their order."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}


def plain(value: object) -> object:
    """A value with every result, mapping and tuple in it turned into dicts and lists."""
    if isinstance(value, Result):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Baseline(Result):
    """Totals of a legacy file that none of its records explain: its log was trimmed, say.

    Args:
        total_invocations, completed_invocations: counts; negative where the file contradicts
            itself.
        total_duration_seconds: seconds of completed invocations.
    """

    total_invocations: int
    completed_invocations: int
    total_duration_seconds: float
    workflow_paths: Mapping[str, int] = field(default_factory=dict)
    common_errors: Mapping[str, int] = field(default_factory=dict)
    follow_up_actions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SkillMetrics(Result):
    """The numbers of one skill.

    The classic totals include the baseline; everything else is the log's. Durations, percentiles
    too, are those of completed invocations, in seconds, None where there is none. Percentiles are
    by nearest rank with at most 1 % relative error (DDSketch, Masson et al. 2019).

    Args:
        total_invocations: those that have ended.
        abandoned_invocations: total minus completed, the classic meaning: failed ones too.
        failed_invocations: those that said they failed.
        completion_rate: percent, 0 to 100.
        first_invoked, last_invoked: UTC text.
        in_flight: started and not ended.
        logged_invocations: those of the total that the log holds or held.
        baseline: what of the classic totals comes from a legacy file's totals alone.
    """

    skill_name: str
    total_invocations: int
    completed_invocations: int
    abandoned_invocations: int
    failed_invocations: int
    completion_rate: float
    total_duration_seconds: float
    avg_duration_seconds: float
    min_duration_seconds: float | None
    max_duration_seconds: float | None
    p50_duration_seconds: float | None
    p95_duration_seconds: float | None
    p99_duration_seconds: float | None
    workflow_paths: Mapping[str, int]
    common_errors: Mapping[str, int]
    follow_up_actions: Mapping[str, int]
    first_invoked: str | None
    last_invoked: str | None
    in_flight: int
    logged_invocations: int
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Summary(Result):
    """The numbers of all skills together.

    Args:
        overall_completion_rate: percent, 0 to 100.
        avg_duration_seconds: seconds, over completed invocations.
        skills_by_usage: pairs of skill and total, the most used first.
    """

    total_skills: int
    total_invocations: int
    completed_invocations: int
    failed_invocations: int
    overall_completion_rate: float
    most_used_skill: str | None
    most_used_count: int
    avg_duration_seconds: float
    in_flight: int
    first_invoked: str | None
    last_invoked: str | None
    skills_by_usage: tuple[tuple[str, int], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class TimelinePoint(Result):
    """One bucket of a timeline.

    Args:
        time_bucket: where it begins: UTC text, or local time with its offset if a zone was named.
        avg_duration_seconds: seconds, over completed invocations; None without any.
        p50_duration_seconds, p95_duration_seconds: seconds; None where buckets are not whole UTC
            days, which is as fine as durations are kept.
    """

    aliases: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"avg_duration": "avg_duration_seconds"}
    )

    time_bucket: str
    invocations: int
    completed: int
    failed: int
    abandoned: int
    total_duration_seconds: float
    avg_duration_seconds: float | None
    min_duration_seconds: float | None
    max_duration_seconds: float | None
    p50_duration_seconds: float | None = None
    p95_duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SessionSkill(Result):
    """What one session did with one skill. Durations are seconds of completed invocations."""

    session_id: str
    skill_name: str
    invocation_count: int
    completed: int
    failed: int
    first_invoked_at: str
    last_invoked_at: str
    total_duration_seconds: float


@dataclass(frozen=True, slots=True)
class Session(Result):
    """One session's numbers over all its skills."""

    session_id: str
    skills: int
    invocation_count: int
    completed: int
    failed: int
    first_invoked_at: str
    last_invoked_at: str
    total_duration_seconds: float


@dataclass(frozen=True, slots=True)
class WorkflowPath(Result):
    """A workflow path of one skill. ``avg_duration_seconds`` is over completed invocations."""

    aliases: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"avg_duration": "avg_duration_seconds"}
    )

    skill_name: str
    workflow_path: str
    invocation_count: int
    completed: int
    failed: int
    avg_duration_seconds: float | None
    last_invoked: str | None


@dataclass(frozen=True, slots=True)
class LoggedInvocation(Result):
    """A row of the log.

    Args:
        outcome: ``completed``, ``failed`` or ``abandoned``.
        duration_seconds: seconds; None if unknown.
        follow_up_actions: in their order.
        attributes: what else is known.
    """

    seq: int
    id: str
    skill_name: str
    invoked_at: str
    ended_at: str | None
    workflow_path: str | None
    session_id: str | None
    project_path: str | None
    outcome: str
    completed: bool
    duration_seconds: float | None
    error_type: str | None
    follow_up_actions: tuple[str, ...]
    origin: str
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InFlight(Result):
    """An invocation that was started and has not ended."""

    id: str
    skill_name: str
    invoked_at: str
    workflow_path: str | None
    session_id: str | None
    project_path: str | None
    origin: str
    attributes: Mapping[str, object]
    heartbeat_at: str | None


@dataclass(frozen=True, slots=True)
class Page(Result):
    """Rows of the log, newest first.

    Args:
        invocations: the rows.
        next: give it as ``after`` for the rows that follow; None at the end.
    """

    invocations: tuple[LoggedInvocation, ...]
    next: str | None

    def __len__(self) -> int:
        return len(self.invocations)
