"""How the store and its executions are, at a glance."""

from __future__ import annotations

from metrics_store import clock
from metrics_store.connection import Database
from metrics_store.executions.results import (
    DailyPerformance,
    DatabaseFile,
    DatabaseStatus,
    ExecutionCounts,
)
from metrics_store.executions.sums import Sums, all_of, tiers
from metrics_store.executions.windows import window
from metrics_store.sql import query

#: Percent of the last 24 hours' executions; below it something is said.
_LOW, _VERY_LOW = 85.0, 70.0
#: Megabytes of the file; above it something is said.
_LARGE, _VERY_LARGE = 500.0, 1000.0


def status(database: Database) -> DatabaseStatus:
    """How the store and its executions are."""
    now_us = database.clock.now_us()
    hour, day, week = (window(name, now_us) for name in ("1h", "24h", "7d"))
    with database.read() as connection:
        daily, weekly = all_of(tiers(connection, day)), all_of(tiers(connection, week))
        total = connection.execute(query("executions.total")).fetchone()[0]
        recent = connection.execute(
            query("executions.count_between"), (hour.since, hour.until)
        ).fetchone()[0]
        pages, size = connection.execute(query("executions.size")).fetchone()
    file = DatabaseFile(database.path, round(pages * size / 1e6, 3), database.schema_version)
    warnings, errors = _judged(file, recent, daily)
    return DatabaseStatus(
        status="error" if errors else "warning" if warnings else "healthy",
        timestamp=clock.text(now_us),
        database=file,
        executions=ExecutionCounts(total, recent, daily.n, weekly.n),
        performance=DailyPerformance(
            daily.rate, daily.duration.mean(1_000_000), daily.quality.mean(1000)
        ),
        warnings=tuple(warnings),
        errors=tuple(errors),
    )


def _judged(file: DatabaseFile, recent: int, daily: Sums) -> tuple[list[str], list[str]]:
    warnings, errors = list[str](), list[str]()
    rate, size = daily.rate, file.size_mb
    if rate is not None and rate < _LOW:
        (errors if rate < _VERY_LOW else warnings).append(
            f"{rate:.1f} % of the last 24 hours' executions succeeded"
        )
    if size > _LARGE:
        (errors if size > _VERY_LARGE else warnings).append(f"the database has {size:,.0f} MB")
    if daily.n and not recent:
        warnings.append("no execution within the last hour, though there were some before")
    return warnings, errors
