"""How agents, tasks and commits look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metrics_store import clock
from metrics_store.agents.results import (
    AgentDay,
    AgentHour,
    AgentSample,
    Measured,
)
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table

_STYLES = {
    "active": "green", "idle": "cyan", "blocked": "yellow", "error": "bold red", "offline": "dim",
    "healthy": "green", "degraded": "yellow", "unhealthy": "bold red",
    "created": "cyan", "updated": "", "completed": "green", "assigned": "magenta",
    "done": "green", "removed": "dim",
}  # fmt: skip


def status_cell(status: str | None) -> Cell:
    """A status in its colour."""
    return Cell(status or figures.NONE, _STYLES.get((status or "").casefold(), ""))


def percent(value: float | None) -> str:
    """Percent to a tenth: ``12.5 %``, of a process also above a hundred."""
    return figures.NONE if value is None else f"{value:,.1f} %"


def megabytes(value: float | None) -> str:
    """MB to three digits: ``512 MB``."""
    if value is None:
        return figures.NONE
    return f"{value:,.1f} MB" if value < 100 else f"{value:,.0f} MB"


def optional(value: int | None) -> str:
    """A count, or that there is none."""
    return figures.NONE if value is None else figures.number(value)


def ago(utc: str, now_us: int) -> str:
    """How long ago a moment was: ``12 s ago``, ``3m 12s ago``."""
    seconds = round((now_us - clock.parse(utc)) / clock.MICROSECONDS)
    if seconds < 1:
        return "just now" if seconds == 0 else "ahead"
    return f"{seconds} s ago" if seconds < 60 else f"{figures.duration(seconds)} ago"


def status_table(samples: Iterable[AgentSample], now_us: int) -> Table:
    """A row for each agent.

    Args:
        now_us: microseconds since 1970.
    """
    table = Table(
        [
            Column("agent", elastic=True, style="bold"),
            Column("status"),
            Column("task", elastic=True),
            Column("cpu", "right"),
            Column("memory", "right"),
            Column("changes", "right", short="chg"),
            Column("branch", elastic=True, optional=True),
            Column("up", "right", optional=True),
            Column("sampled", "right"),
        ]
    )
    for sample in samples:
        table.add(
            sample.agent_id,
            status_cell(sample.status),
            sample.current_task or figures.NONE,
            percent(sample.cpu_usage),
            megabytes(sample.memory_usage),
            optional(sample.uncommitted_changes),
            sample.branch or figures.NONE,
            figures.duration(sample.uptime_seconds),
            ago(sample.recorded_at, now_us),
        )
    return table


def spark(values: Sequence[float | None], width: int = 60) -> str:
    """The course of a number, thinned to a width by its largest; ``·`` is none or nothing."""
    most = max(1, -(-len(values) // width))
    parts = [values[start : start + most] for start in range(0, len(values), most)]
    return figures.sparkline(
        [max((round((v or 0) * 1000) for v in part), default=0) for part in parts]
    )


def show_history(screen: Screen, samples: Sequence[AgentSample], last: int) -> None:
    """Write the course of an agent's samples, and the last of them."""
    first, newest = samples[0], samples[-1]
    screen.line(Cell(newest.agent_id, "bold"), "  ", status_cell(newest.status))
    facts = Table([Column("", style="dim"), Column("", style="cyan"), Column("")], indent=2)
    times = f"{figures.moment(first.recorded_at)} to {figures.moment(newest.recorded_at)} UTC"
    facts.add("samples", figures.number(len(samples)), times)
    for title, values, written in (
        ("cpu", [s.cpu_usage for s in samples], percent),
        ("memory", [s.memory_usage for s in samples], megabytes),
    ):
        known = [value for value in values if value is not None]
        if known:
            facts.add(
                title, spark(values, 30),
                f"average {written(sum(known) / len(known))}, most {written(max(known))}",
            )  # fmt: skip
    screen.table(facts)
    screen.line()
    screen.table(_samples_table(samples[-last:]))
    if len(samples) > last:
        screen.line(Cell(f"the last {last} of {figures.number(len(samples))}", "dim"))


def _samples_table(samples: Iterable[AgentSample]) -> Table:
    table = Table(
        [
            Column("sampled (UTC)"),
            Column("status"),
            Column("task", elastic=True),
            Column("cpu", "right"),
            Column("memory", "right"),
            Column("changes", "right", short="chg"),
            Column("branch", elastic=True, optional=True),
        ]
    )
    for sample in samples:
        table.add(
            f"{sample.recorded_at[:10]} {sample.recorded_at[11:19]}",
            status_cell(sample.status),
            sample.current_task or figures.NONE,
            percent(sample.cpu_usage),
            megabytes(sample.memory_usage),
            optional(sample.uncommitted_changes),
            sample.branch or figures.NONE,
        )
    return table


def days_table(days: Iterable[AgentDay | AgentHour]) -> Table:
    """A row for each agent and day, or hour."""
    rows = list(days)
    hours = any(isinstance(day, AgentHour) for day in rows)
    table = Table(
        [
            Column("hour (UTC)" if hours else "day"),
            Column("agent", elastic=True, style="bold"),
            Column("samples", "right"),
            Column("active", "right"),
            Column("errors", "right"),
            Column("cpu avg", "right"),
            Column("most", "right"),
            Column("memory avg", "right", short="memory"),
            Column("most", "right", optional=True),
        ]
    )
    for day in rows:
        active, errors = day.statuses.get("active", 0), day.statuses.get("error", 0)
        table.add(
            day.day if isinstance(day, AgentDay) else f"{day.hour.replace('T', ' ')}:00",
            day.agent_id,
            figures.number(day.samples),
            figures.percent(100 * active / day.samples if day.samples else None),
            Cell(figures.number(errors), "red" if errors else "dim"),
            percent(_average(day.cpu_usage)),
            percent(_most(day.cpu_usage)),
            megabytes(_average(day.memory_usage)),
            megabytes(_most(day.memory_usage)),
        )
    return table


def _average(measured: Measured | None) -> float | None:
    return None if measured is None else measured.average


def _most(measured: Measured | None) -> float | None:
    return None if measured is None else measured.maximum
