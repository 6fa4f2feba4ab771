"""How sessions look."""

from __future__ import annotations

from collections.abc import Iterable

from metrics_store.render import figures
from metrics_store.render.skills import moment_cell, rate_cell
from metrics_store.render.table import Column, Table
from metrics_store.results import Session, SessionSkill


def sessions_table(sessions: Iterable[Session]) -> Table:
    """A row for each session."""
    table = Table([Column("session", elastic=True, style="bold"), *_columns(("skills",))])
    for s in sessions:
        table.add(
            s.session_id,
            figures.number(s.skills),
            figures.number(s.invocation_count),
            rate_cell(s.completed, s.invocation_count),
            figures.number(s.failed),
            figures.duration(s.total_duration_seconds),
            moment_cell(s.first_invoked_at),
            moment_cell(s.last_invoked_at),
        )
    return table


def session_table(skills: Iterable[SessionSkill]) -> Table:
    """A row for each skill of one session."""
    table = Table([Column("skill", elastic=True, style="bold"), *_columns()])
    for s in skills:
        table.add(
            s.skill_name,
            figures.number(s.invocation_count),
            rate_cell(s.completed, s.invocation_count),
            figures.number(s.failed),
            figures.duration(s.total_duration_seconds),
            moment_cell(s.first_invoked_at),
            moment_cell(s.last_invoked_at),
        )
    return table


def _columns(before: tuple[str, ...] = ()) -> list[Column]:
    return [
        *(Column(title, "right") for title in before),
        Column("runs", "right"),
        Column("completed", "right", short="done"),
        Column("failed", "right"),
        Column("duration", "right"),
        Column("first (UTC)", short="first"),
        Column("last (UTC)", short="last"),
    ]
