"""How the health of a system of agents looks, and their retrieval (RAG)."""

from __future__ import annotations

from collections.abc import Sequence

from metrics_store.agents.results import (
    Measured,
    RagDay,
    RagMetrics,
    SystemHealth,
    SystemPeriod,
)
from metrics_store.render import figures
from metrics_store.render.agents import megabytes, optional, percent, spark, status_cell
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table


def milliseconds(value: float | None) -> str:
    """Milliseconds as a duration."""
    return figures.duration(None if value is None else value / 1000)


def show_system(
    screen: Screen, newest: SystemHealth, periods: Sequence[SystemPeriod], unit: str
) -> None:
    """Write the newest record of system health, and its hours or days.

    Args:
        unit: ``hour`` or ``day``.
    """
    screen.line(
        status_cell(newest.overall_status), f"  at {figures.moment(newest.recorded_at)} UTC"
    )
    facts = Table([Column("", style="dim"), Column("", "right"), Column("", style="cyan")], 2)
    for title, now, course in (
        ("cpu", percent(newest.cpu), [_average(p.cpu) for p in periods]),
        ("memory", percent(newest.memory), [_average(p.memory) for p in periods]),
        ("disk", percent(newest.disk), [_average(p.disk) for p in periods]),
        (
            "api latency",
            milliseconds(newest.api_latency),
            [_average(p.api_latency) for p in periods],
        ),
        ("errors", optional(newest.error_count), [_total(p.error_count) for p in periods]),
        (
            "websockets",
            optional(newest.websocket_connections),
            [_average(p.websocket_connections) for p in periods],
        ),
    ):
        if now != figures.NONE or any(value is not None for value in course):
            facts.add(title, now, spark(course, 30))
    screen.table(facts)
    if periods:
        screen.line()
        screen.table(_periods_table(periods, unit))


def _periods_table(periods: Sequence[SystemPeriod], unit: str) -> Table:
    table = Table(
        [
            Column(f"{unit} (UTC)"),
            Column("records", "right"),
            Column("healthy", "right"),
            Column("cpu", "right"),
            Column("memory", "right"),
            Column("disk", "right"),
            Column("latency", "right"),
            Column("errors", "right"),
        ]
    )
    for p in periods:
        healthy = p.statuses.get("healthy", 0)
        errors = _total(p.error_count)
        table.add(
            f"{p.period[:10]} {p.period[11:]}:00" if unit == "hour" else p.period,
            figures.number(p.records),
            Cell(
                figures.percent(100 * healthy / p.records if p.records else None),
                "green" if healthy == p.records else "yellow",
            ),
            percent(_average(p.cpu)),
            percent(_average(p.memory)),
            percent(_average(p.disk)),
            milliseconds(_average(p.api_latency)),
            figures.NONE if errors is None else f"{errors:,.0f}",
        )
    return table


def show_rag(screen: Screen, newest: RagMetrics, days: Sequence[RagDay]) -> None:
    """Write the newest record of retrieval, and its days."""
    screen.line(Cell("Retrieval", "bold"), f"  at {figures.moment(newest.recorded_at)} UTC")
    facts = Table([Column("", style="dim"), Column("", "right")], indent=2)
    facts.add("patterns", optional(newest.total_patterns))
    facts.add("queries", optional(newest.total_queries))
    facts.add("in the last hour", optional(newest.query_volume_last_hour))
    facts.add("hit rate", _rate(newest.hit_rate))
    facts.add("response", milliseconds(newest.average_response_time))
    facts.add("memory", megabytes(newest.memory_usage))
    screen.table(facts)
    if not days:
        return
    screen.line()
    table = Table(
        [
            Column("day (UTC)"),
            Column("records", "right"),
            Column("hit rate", "right"),
            Column("response", "right"),
            Column("queries", "right"),
            Column("patterns", "right"),
            Column("memory", "right"),
        ]
    )
    for day in days:
        queries, patterns = day.total_queries, day.total_patterns
        table.add(
            day.day,
            figures.number(day.records),
            _rate(_average(day.hit_rate)),
            milliseconds(_average(day.average_response_time)),
            figures.NONE if queries is None else f"{queries.maximum:,.0f}",
            figures.NONE if patterns is None else f"{patterns.maximum:,.0f}",
            megabytes(_average(day.memory_usage)),
        )
    screen.table(table)


def _rate(rate: float | None) -> str:
    """As its source writes it."""
    return figures.NONE if rate is None else f"{rate:,.4g}"


def _average(measured: Measured | None) -> float | None:
    return None if measured is None else measured.average


def _total(measured: Measured | None) -> float | None:
    return None if measured is None else measured.total
