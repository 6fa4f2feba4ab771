"""What the readers of executions give: frozen values; money in them is exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Exact(Result):
    """A result whose money is ``Decimal``, and a number in :meth:`as_dict`.

    The number's digits are the amount's own, up to fifteen of them.
    """

    def as_dict(self) -> dict[str, object]:
        """The fields as plain values that JSON can hold, in their order."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Result):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class LoggedExecution(Exact):
    """A row of the log.

    Args:
        timestamp: UTC text.
        duration_seconds, cpu_time_seconds: seconds.
        quality_score: 0 to 100.
        cost_estimate, actual_cost: dollars.
        has_embedding: whether it bears one.
    """

    task_id: str
    timestamp: str
    task_type: str | None
    task_description: str | None
    repo: str | None
    file_count: int | None
    estimated_tokens: int | None
    model_tier: str | None
    pool_type: str | None
    swarm_topology: str | None
    routing_confidence: float | None
    complexity_score: float | None
    success: bool
    duration_seconds: float | None
    quality_score: float | None
    cost_estimate: Decimal | None
    actual_cost: Decimal | None
    error_type: str | None
    error_message: str | None
    user_accepted: bool | None
    user_rating: int | None
    peak_memory_mb: float | None
    cpu_time_seconds: float | None
    solution_summary: str | None
    has_embedding: bool
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Similar(Exact):
    """An execution whose embedding is near to another vector.

    Args:
        similarity: the cosine of the angle between the two, -1 to 1.
    """

    similarity: float
    execution: LoggedExecution


@dataclass(frozen=True, slots=True)
class Numbers(Exact):
    """The numbers of some executions; None where nothing is known.

    Args:
        success_rate: percent.
        avg_duration_seconds: seconds, over those that say how long they took.
        total_cost: dollars, over those that say what they cost.
        avg_quality_score: 0 to 100, over those that were scored.
    """

    executions: int
    successes: int
    success_rate: float | None
    avg_duration_seconds: float | None
    total_cost: Decimal | None
    avg_quality_score: float | None


@dataclass(frozen=True, slots=True)
class Piece(Numbers):
    """The numbers of a piece of a window; ``timestamp`` is its beginning, UTC."""

    timestamp: str


@dataclass(frozen=True, slots=True)
class TierNumbers(Numbers):
    """The numbers of a tier of models; None for those of which it is not known."""

    model_tier: str | None


@dataclass(frozen=True, slots=True)
class PoolNumbers(Numbers):
    """The numbers of a type of pool."""

    pool_type: str | None


@dataclass(frozen=True, slots=True)
class RepositoryNumbers(Numbers):
    """The numbers of a repository."""

    repo: str | None


@dataclass(frozen=True, slots=True)
class TaskTypeNumbers(Numbers):
    """The numbers of a type of tasks."""

    task_type: str | None


@dataclass(frozen=True, slots=True)
class ExecutionStatistics(Exact):
    """The executions of a window up to now, by what they were."""

    time_range: str
    time_series: tuple[Piece, ...]
    by_model_tier: tuple[TierNumbers, ...]
    by_pool_type: tuple[PoolNumbers, ...]
    top_repositories: tuple[RepositoryNumbers, ...]
    by_task_type: tuple[TaskTypeNumbers, ...]
    performance: Numbers


@dataclass(frozen=True, slots=True)
class Durations(Exact):
    """How long executions took, in seconds; percentiles by nearest rank within 1 %."""

    avg_seconds: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None


@dataclass(frozen=True, slots=True)
class Costs(Exact):
    """What executions cost, in dollars.

    Args:
        avg_savings: the mean of the estimate less the cost, over those that have both.
    """

    total_cost: Decimal | None
    avg_cost: Decimal | None
    avg_savings: Decimal | None


@dataclass(frozen=True, slots=True)
class Resources(Exact):
    """What memory executions took at most, in megabytes."""

    avg_memory_mb: float | None
    p95_memory_mb: float | None


@dataclass(frozen=True, slots=True)
class TierPerformance(Exact):
    """How one tier of models performs."""

    model_tier: str | None
    executions: int
    success_rate: float | None
    avg_duration_seconds: float | None
    p50_duration_seconds: float | None
    p95_duration_seconds: float | None
    total_cost: Decimal | None
    avg_cost: Decimal | None
    avg_savings: Decimal | None


@dataclass(frozen=True, slots=True)
class PerformanceMetrics(Exact):
    """How long the executions of a window up to now took, and what of."""

    time_range: str
    duration: Durations
    cost: Costs
    resources: Resources
    by_model_tier: tuple[TierPerformance, ...]


@dataclass(frozen=True, slots=True)
class DatabaseFile(Exact):
    """The file of the store."""

    path: str
    size_mb: float
    schema_version: int


@dataclass(frozen=True, slots=True)
class ExecutionCounts(Exact):
    """How many executions: ever, in the last hour, the last 24 and the last seven days."""

    total: int
    recent_1h: int
    daily: int
    weekly: int


@dataclass(frozen=True, slots=True)
class DailyPerformance(Exact):
    """How the last 24 hours went; None where nothing is known."""

    daily_success_rate: float | None
    avg_duration_seconds: float | None
    avg_quality_score: float | None


@dataclass(frozen=True, slots=True)
class DatabaseStatus(Exact):
    """How the store and its executions are.

    Args:
        status: ``healthy``, ``warning`` or ``error``, as the worst of what was found.
        timestamp: when it was looked at, UTC text.
    """

    status: str
    timestamp: str
    database: DatabaseFile
    executions: ExecutionCounts
    performance: DailyPerformance
    warnings: tuple[str, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused(Exact):
    """What an import could not take.

    Args:
        place: which row or line.
        reason: why.
    """

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported(Exact):
    """What an import came to: ``read`` is the sum of the four that follow.

    Args:
        known: they were there already, just so.
        retired: retention has deleted them.
        refused: they cannot be taken.
        metadata: further values that were taken over.
        refusals: the first of those that were refused, each with its reason.
    """

    path: str
    read: int
    inserted: int
    known: int
    retired: int
    refused: int
    metadata: int
    refusals: tuple[Refused, ...]
