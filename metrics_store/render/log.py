"""How rows of the log look, and what is in flight."""

from __future__ import annotations

from collections.abc import Iterable

from metrics_store.render import figures
from metrics_store.render.table import Cell, Column, Table
from metrics_store.results import InFlight, LoggedInvocation

_STYLES = {"completed": "green", "failed": "red", "abandoned": "yellow"}


def _second(utc: str) -> Cell:
    return Cell(f"{utc[:10]} {utc[11:19]}", short=f"{utc[5:10]} {utc[11:16]}")


def log_table(rows: Iterable[LoggedInvocation]) -> Table:
    """A row for each ended invocation."""
    rows = list(rows)
    with_sessions = any(row.session_id for row in rows)
    table = Table(
        [
            Column("started (UTC)", short="started"),
            Column("skill", elastic=True, style="bold"),
            Column("outcome"),
            Column("duration", "right"),
            Column("workflow path", elastic=True),
            Column("error", elastic=True, style="red"),
            *([Column("session", elastic=True, style="dim")] if with_sessions else []),
            Column("id", style="dim", optional=True),
        ]
    )
    for row in rows:
        table.add(
            _second(row.invoked_at),
            row.skill_name,
            Cell(row.outcome, _STYLES.get(row.outcome, "")),
            figures.duration(row.duration_seconds),
            row.workflow_path or figures.NONE,
            row.error_type or "",
            *([row.session_id or ""] if with_sessions else []),
            row.id,
        )
    return table


def in_flight_table(rows: Iterable[InFlight]) -> Table:
    """A row for each invocation that has not ended."""
    table = Table(
        [
            Column("started (UTC)", short="started"),
            Column("skill", elastic=True, style="bold"),
            Column("workflow path", elastic=True),
            Column("last sign of life (UTC)", short="heartbeat"),
            Column("origin"),
            Column("id", elastic=True, style="dim"),
        ]
    )
    for row in rows:
        table.add(
            _second(row.invoked_at),
            row.skill_name,
            row.workflow_path or figures.NONE,
            Cell(figures.NONE) if row.heartbeat_at is None else _second(row.heartbeat_at),
            row.origin,
            row.id,
        )
    return table
