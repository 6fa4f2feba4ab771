"""How executions look: lists, one in full, statistics, performance, what an import came to."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from metrics_store.executions.results import (
    DatabaseStatus,
    ExecutionStatistics,
    Imported,
    LoggedExecution,
    Numbers,
    PerformanceMetrics,
    Similar,
)
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.skills import rate_cell
from metrics_store.render.table import Cell, Column, Table

_STATUS = {"healthy": "bold green", "warning": "bold yellow", "error": "bold red"}
_MOST = 10


def money(amount: Decimal | None) -> str:
    """Dollars: cents from a dollar on, three digits below."""
    if amount is None:
        return figures.NONE
    if not amount:
        return "$0"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size >= 1:
        return f"{sign}${size:,.2f}"
    return f"{sign}${format(size.quantize(Decimal(1).scaleb(size.adjusted() - 2)), 'f')}"


def score(value: float | None) -> str:
    """A quality score, 0 to 100."""
    return figures.NONE if value is None else f"{value:.1f}"


def _moment(utc: str) -> Cell:
    return Cell(f"{utc[:10]} {utc[11:19]}", short=f"{utc[5:10]} {utc[11:16]}")


def _outcome(execution: LoggedExecution) -> Cell:
    return Cell("done", "green") if execution.success else Cell("failed", "red")


def executions_table(executions: Sequence[LoggedExecution]) -> Table:
    """A row for each execution."""
    table = Table(
        [
            Column("when (UTC)", short="when"),
            Column("task", elastic=True, style="bold"),
            Column("kind", elastic=True, optional=True),
            Column("repository", elastic=True, short="repo"),
            Column("tier", elastic=True),
            Column("outcome"),
            Column("took", "right"),
            Column("cost", "right"),
            Column("quality", "right", optional=True),
            Column("error", elastic=True, style="red"),
        ]
    )
    for one in executions:
        table.add(
            _moment(one.timestamp),
            one.task_id,
            one.task_type or figures.NONE,
            one.repo or figures.NONE,
            one.model_tier or figures.NONE,
            _outcome(one),
            figures.duration(one.duration_seconds),
            money(one.actual_cost),
            score(one.quality_score),
            one.error_type or "",
        )
    return table


def similar_table(found: Sequence[Similar]) -> Table:
    """A row for each execution that is near."""
    table = Table(
        [
            Column("nearness", "right"),
            Column("task", elastic=True, style="bold"),
            Column("repository", elastic=True, short="repo"),
            Column("outcome"),
            Column("quality", "right"),
            Column("what solved it", elastic=True),
        ]
    )
    for other in found:
        one = other.execution
        table.add(
            f"{other.similarity:.3f}",
            one.task_id,
            one.repo or figures.NONE,
            _outcome(one),
            score(one.quality_score),
            one.solution_summary or figures.NONE,
        )
    return table


def show_execution(screen: Screen, one: LoggedExecution) -> None:
    """Write everything of one execution."""
    screen.line(Cell(one.task_id, "bold"))
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add("when", f"{one.timestamp[:10]} {one.timestamp[11:19]} UTC")
    table.add("outcome", _outcome(one))
    table.add("took", figures.duration(one.duration_seconds))
    costs = f"{money(one.actual_cost)}   estimate {money(one.cost_estimate)}"
    table.add("cost", costs)
    facts: dict[str, object] = {
        "quality": None if one.quality_score is None else score(one.quality_score),
        "kind": one.task_type,
        "description": one.task_description,
        "repository": one.repo,
        "files": one.file_count,
        "tokens": one.estimated_tokens,
        "tier": one.model_tier,
        "pool": one.pool_type,
        "topology": one.swarm_topology,
        "confidence": one.routing_confidence,
        "complexity": one.complexity_score,
        "error": one.error_type,
        "message": one.error_message,
        "accepted": None if one.user_accepted is None else "yes" if one.user_accepted else "no",
        "rating": None if one.user_rating is None else f"{one.user_rating} of 5",
        "memory": None if one.peak_memory_mb is None else f"{one.peak_memory_mb:,.1f} MB at most",
        "CPU": None if one.cpu_time_seconds is None else figures.duration(one.cpu_time_seconds),
        "solution": one.solution_summary,
        "embedding": "384 numbers" if one.has_embedding else None,
        **{str(key): value for key, value in one.metadata.items()},
    }
    for name, value in facts.items():
        if value is not None:
            shown = f"{value:,}" if type(value) is int else str(value)
            table.add(name, Cell(shown, "red" if name in ("error", "message") else ""))
    screen.table(table)


def show_statistics(screen: Screen, found: ExecutionStatistics) -> None:
    """Write the executions of a window."""
    whole = found.performance
    screen.line(
        Cell(figures.plural(whole.executions, "execution"), "bold"),
        f" within {found.time_range}   ",
        Cell(figures.sparkline([piece.executions for piece in found.time_series]), "cyan"),
    )
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add("succeeded", rate_cell(whole.successes, whole.executions))
    table.add("took", f"{figures.duration(whole.avg_duration_seconds)} on average")
    table.add("cost", f"{money(whole.total_cost)} in all")
    table.add("quality", f"{score(whole.avg_quality_score)} on average")
    screen.table(table)
    groups: tuple[tuple[str, Sequence[tuple[str | None, Numbers]]], ...] = (
        ("Tiers", [(one.model_tier, one) for one in found.by_model_tier]),
        ("Pools", [(one.pool_type, one) for one in found.by_pool_type]),
        ("Repositories", [(one.repo, one) for one in found.top_repositories]),
        ("Kinds of tasks", [(one.task_type, one) for one in found.by_task_type]),
    )
    for title, rows in groups:
        if rows:
            screen.heading(title)
            screen.table(_numbers_table(rows[:_MOST]))
            if len(rows) > _MOST:
                screen.line(Cell(f"  and {figures.number(len(rows) - _MOST)} more", "dim"))


def _numbers_table(rows: Sequence[tuple[str | None, Numbers]]) -> Table:
    table = Table(
        [
            Column("", elastic=True),
            Column("runs", "right"),
            Column("succeeded", "right", short="ok"),
            Column("average", "right", short="avg"),
            Column("cost", "right"),
            Column("quality", "right"),
            Column("", style="cyan", optional=True),
        ],
        indent=2,
    )
    most = max(one.executions for _, one in rows)
    for name, one in rows:
        table.add(
            name or "(none)",
            figures.number(one.executions),
            rate_cell(one.successes, one.executions),
            figures.duration(one.avg_duration_seconds),
            money(one.total_cost),
            score(one.avg_quality_score),
            figures.bar(one.executions, most, 16),
        )
    return table


def show_performance(screen: Screen, found: PerformanceMetrics) -> None:
    """Write durations, costs and memory."""
    d, took, cost, memory = figures.duration, found.duration, found.cost, found.resources
    screen.line(Cell("Performance", "bold"), f" within {found.time_range}")
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add(
        "duration",
        f"p50 {d(took.p50_seconds)}   p95 {d(took.p95_seconds)}   p99 {d(took.p99_seconds)}   "
        f"average {d(took.avg_seconds)}",
    )
    table.add("cost", f"{money(cost.total_cost)} in all, {money(cost.avg_cost)} on average")
    table.add("savings", _saved(cost.avg_savings))
    table.add("memory", f"{_mb(memory.avg_memory_mb)} on average, p95 {_mb(memory.p95_memory_mb)}")
    screen.table(table)
    if not found.by_model_tier:
        return
    screen.heading("Tiers")
    tiers = Table(
        [
            Column("", elastic=True),
            Column("runs", "right"),
            Column("succeeded", "right", short="ok"),
            Column("p50", "right"),
            Column("p95", "right"),
            Column("cost", "right"),
            Column("each", "right"),
            Column("saved each", "right", short="saved"),
        ],
        indent=2,
    )
    for one in found.by_model_tier:
        successes = round((one.success_rate or 0) * one.executions / 100)
        tiers.add(
            one.model_tier or "(none)",
            figures.number(one.executions),
            rate_cell(successes, one.executions),
            d(one.p50_duration_seconds),
            d(one.p95_duration_seconds),
            money(one.total_cost),
            money(one.avg_cost),
            money(one.avg_savings),
        )
    screen.table(tiers)


def _saved(saved: Decimal | None) -> str:
    if saved is None:
        return figures.NONE
    where = "above" if saved < 0 else "below"
    return f"{money(abs(saved))} {where} the estimate on average"


def _mb(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:,.1f} MB"


def show_status(screen: Screen, found: DatabaseStatus) -> None:
    """Write how the store and its executions are."""
    screen.line(Cell(f" {found.status.upper()} ", _STATUS[found.status]), f" {found.database.path}")
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    n, day = found.executions, found.performance
    table.add("file", f"{found.database.size_mb:,.1f} MB, schema {found.database.schema_version}")
    table.add(
        "executions",
        f"{n.total:,} in all, {n.weekly:,} in 7 days, {n.daily:,} in 24 hours, "
        f"{n.recent_1h:,} in the last hour",
    )
    rate = day.daily_success_rate
    table.add("succeeded", f"{figures.percent(rate)} of the last 24 hours'")
    table.add("took", f"{figures.duration(day.avg_duration_seconds)} on average")
    table.add("quality", f"{score(day.avg_quality_score)} on average")
    screen.table(table)
    for style, found_of_it in (("red", found.errors), ("yellow", found.warnings)):
        for text in found_of_it:
            screen.line(Cell(f"  {text}", style))


def show_imported(screen: Screen, done: Imported) -> None:
    """Write what an import came to."""
    screen.line(Cell(f"{figures.plural(done.read, 'row')} read", "bold"), f" of {done.path}")
    table = Table([Column("", "right"), Column("", elastic=True)], indent=2)
    table.add(Cell(figures.number(done.inserted), "green"), "new")
    table.add(figures.number(done.known), "there already")
    if done.retired:
        table.add(figures.number(done.retired), "deleted by retention, and not brought back")
    table.add(Cell(figures.number(done.refused), "red" if done.refused else ""), "refused")
    if done.metadata:
        table.add(figures.number(done.metadata), "values of metadata taken over")
    screen.table(table)


def refusals_table(done: Imported) -> Table:
    """A row for each of the first rows that were refused."""
    table = Table([Column("refused"), Column("why", elastic=True, style="red")], indent=2)
    for refused in done.refusals:
        table.add(refused.place, refused.reason)
    if done.refused > len(done.refusals):
        table.add(f"and {done.refused - len(done.refusals):,} more", "")
    return table
