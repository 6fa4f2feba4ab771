"""How it looks what became of every value between two snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.snapshots import distance, moment, value
from metrics_store.render.table import Cell, Column, Table
from metrics_store.snapshots.results import Change, SnapshotDiff


def show_diff(screen: Screen, found: SnapshotDiff) -> None:
    """Write what became of every number, drops in red, and the words that are others."""
    for title, one in (("from", found.before), ("to", found.after)):
        said = f"#{one.snapshot.seq}  {moment(one.snapshot.recorded_at)}"
        away = distance(one)
        screen.line(Cell(f"{title:<6}", "dim"), said, Cell(f"  {away}" if away else "", "yellow"))
    screen.line(Cell("after ", "dim"), figures.duration(found.seconds))
    numbers = [c for c in found.changes if not _is_words(c)]
    screen.line()
    screen.table(_numbers(numbers))
    if words := [c for c in found.changes if _is_words(c) and c.is_change]:
        screen.heading("Workers")
        screen.table(_words(words))
    for project in found.projects:
        screen.heading(project.name, "" if project.kind == "both" else project.kind)
        screen.table(_numbers(project.changes))
    screen.line()
    if found.drops:
        screen.line(Cell(f"{figures.plural(found.drops, 'number')} dropped.", "red"))
    else:
        screen.line(Cell("No number dropped.", "green"))


def _is_words(change: Change) -> bool:
    """A process id is a name, not a number."""
    return change.field.endswith(("_pid", "_operation", "_file"))


def _numbers(changes: Iterable[Change]) -> Table:
    table = Table(
        [
            Column("", elastic=True),
            Column("before", "right"),
            Column("after", "right"),
            Column("change", "right"),
            Column(""),
        ],
        indent=2,
    )
    for c in changes:
        if c.before is None and c.after is None:
            continue
        style = "red" if c.dropped else "" if c.is_change else "dim"
        table.add(
            Cell(c.field, style),
            *(Cell(value(c.field, _number(said)), style) for said in (c.before, c.after)),
            Cell(_difference(c), "green" if c.change and not c.dropped else style),
            Cell("dropped" if c.dropped else "", "bold red"),
        )
    return table


def _number(said: int | float | str | None) -> int | float | None:
    return None if isinstance(said, str) else said


def _difference(change: Change) -> str:
    difference = change.change
    if difference is None:
        return "now known" if change.before is None else "not known"
    if not difference:
        return "same"
    if isinstance(difference, int):
        return f"{difference:+,}"
    digits = 1 if abs(difference) >= 0.05 else 3
    unit = " MB" if change.field == "db_size_mb" else ""
    return f"{difference:+,.{digits}f}{unit}"


def _words(changes: Sequence[Change]) -> Table:
    table = Table(
        [
            Column("", style="dim"),
            Column("before", elastic=True),
            Column("after", elastic=True, style="bold"),
        ],
        indent=2,
    )
    for c in changes:
        table.add(c.field, *(figures.NONE if s is None else str(s) for s in (c.before, c.after)))
    return table
