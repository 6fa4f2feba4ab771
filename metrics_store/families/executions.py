"""Executions: one row per task that a model ran to its end."""

from __future__ import annotations

from metrics_store.families.declaration import Dimension, Family, Histogram, Keep
from metrics_store.families.execution_tables import DERIVED

_DAY = "substr(row.timestamp, 1, 10)"
_HOUR = "substr(row.timestamp, 1, 13)"
_TIER = "ifnull(row.model_tier, '')"
_POOL = "ifnull(row.pool_type, '')"
_REPO = "ifnull(row.repo, '')"
_TASK = "ifnull(row.task_type, '')"
_COST = "row.actual_cost_nano"
_QUALITY = "row.quality_milli"

#: The scopes of the rollups by hour or by day, each a stretch of the table of its own.
POOLS, TIERS = "execution_pool", "execution_tier"
REPOSITORIES, TASKS = "execution_repo", "execution_task"


def _measures(scope: str, period: str, subject: str) -> tuple[Dimension, ...]:
    """Durations with the outcomes, and what it cost, of one grouping."""
    return (
        Dimension("duration", subject, period=period, scope=scope, span=False),
        _measured("cost", _COST, scope, period, subject),
    )


def _measured(
    kind: str, measure: str, scope: str, period: str, subject: str, label: str = "''"
) -> Dimension:
    return Dimension(
        kind,
        subject,
        label,
        period,
        scope,
        when=f"{measure} IS NOT NULL",
        span=False,
        measure=measure,
    )


def _counted(kind: str, subject: str, column: str) -> Dimension:
    return Dimension(
        kind,
        subject,
        label=f"row.{column}",
        period=_DAY,
        when=f"row.{column} IS NOT NULL",
        counts_only=True,
    )


EXECUTIONS = Family(
    name="execution",
    table="executions",
    moment="row.timestamp",
    completed="row.success",
    failed="(1 - row.success)",
    measure="row.duration_us",
    dimensions=(
        Dimension("total", "''"),
        *_measures(POOLS, _HOUR, _POOL),
        _measured("quality", _QUALITY, POOLS, _HOUR, _POOL),
        *_measures(TIERS, _DAY, _TIER),
        _measured("estimate", "row.cost_estimate_nano", TIERS, _DAY, _TIER),
        _measured("savings", "row.savings_nano", TIERS, _DAY, _TIER),
        _measured("quality", _QUALITY, TIERS, _DAY, _TIER, label="row.quality_milli / 10000"),
        *_measures(REPOSITORIES, _DAY, _REPO),
        _measured("quality", _QUALITY, REPOSITORIES, _DAY, _REPO),
        _measured("complexity", "row.complexity_milli", REPOSITORIES, _DAY, _REPO),
        *_measures(TASKS, _DAY, _TASK),
        _measured("quality", _QUALITY, TASKS, _DAY, _TASK),
        _measured("memory", "row.peak_memory_kb", "", _DAY, "''"),
        _counted("error", _TIER, "error_type"),
        _counted("accepted", "''", "user_accepted"),
        _counted("rating", "''", "user_rating"),
    ),
    histograms=(
        Histogram(_TIER, _DAY, kind="tier_", lifetime=False),
        Histogram(_POOL, _DAY, kind="pool_", lifetime=False),
        Histogram("''", _DAY, kind="memory_", measure="row.peak_memory_kb", lifetime=False),
    ),
    columns=(
        "id",
        "timestamp",
        "task_type",
        "task_description",
        "repo",
        "file_count",
        "estimated_tokens",
        "model_tier",
        "pool_type",
        "swarm_topology",
        "routing_confidence",
        "complexity_milli",
        "success",
        "duration_us",
        "quality_milli",
        "cost_estimate_nano",
        "actual_cost_nano",
        "error_type",
        "error_message",
        "user_accepted",
        "user_rating",
        "peak_memory_kb",
        "cpu_time_us",
        "solution_summary",
        "embedding",
        "metadata",
    ),
    derived=DERIVED,
    keep=Keep(days=365, remember=True),
)
