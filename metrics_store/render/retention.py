"""How it looks what is past its time, and what became of it."""

from __future__ import annotations

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table
from metrics_store.retention.results import Applied, Due, Plan


def show_plan(screen: Screen, plan: Plan) -> None:
    """Write what retention would delete, family by family."""
    table = Table(
        [
            Column("family", style="bold"),
            Column("kept for"),
            Column("rows", align="right"),
            Column("oldest", optional=True),
            Column("past it", align="right"),
            Column("numbers", align="right", optional=True),
            Column("deleted so far", align="right", short="deleted", optional=True),
        ],
        indent=2,
    )
    for due in plan.families:
        table.add(
            due.family,
            _span(due.keep_days),
            figures.number(due.rows),
            figures.day(due.oldest_at),
            _count(due.due, due),
            _count(due.rollups_due, due),
            figures.number(due.deleted) if due.deleted else figures.NONE,
        )
    screen.table(table)
    for due in plan.families:
        if due.held and due.due:
            screen.line(f"  {due.family}: nothing is deleted, for {due.held}.")
    screen.line()
    if not plan.rows and not plan.rollups:
        screen.line("Nothing is past its time.")
        return
    screen.line(
        Cell(f"{figures.plural(plan.rows, 'row')} would go", "bold"),
        "; what they added to the numbers stays.",
    )
    if plan.rollups:
        screen.line(f"{figures.plural(plan.rollups, 'number')} of old days and hours would go too.")
    screen.line("metrics-store retain apply")


def show_applied(screen: Screen, done: Applied) -> None:
    """Write what retention deleted."""
    if not done.families:
        screen.line("Nothing was past its time.")
        return
    rows = sum(deleted.rows for deleted in done.families)
    screen.line(
        Cell(f"Deleted {figures.plural(rows, 'row')}", "bold"),
        f" in {figures.duration(done.seconds)}; what they added to the numbers stays.",
    )
    table = Table([Column("", style="bold"), Column("", align="right"), Column("")], indent=2)
    for deleted in done.families:
        numbers = f"and {figures.plural(deleted.rollups, 'number')} of old days and hours"
        table.add(deleted.family, figures.number(deleted.rows), numbers if deleted.rollups else "")
    screen.table(table)
    freed = done.bytes_before - done.bytes_after
    if freed > 0:
        screen.line(
            f"  gave {figures.size(freed)} back; it has {figures.size(done.bytes_after)} now"
        )
    screen.line(
        f"  {figures.plural(done.batches, 'batch', 'batches')}, the longest of them "
        f"{figures.duration(done.longest)}: so long a writer waited at most"
    )
    if not done.complete:
        screen.line("  its time was over: the rest is for the next time")


def _span(days: float | None) -> str:
    if days is None:
        return "ever"
    return figures.plural(round(days), "day") if days >= 1 else figures.duration(days * 86_400)


def _count(count: int, due: Due) -> Cell:
    if not count:
        return Cell(figures.NONE, "dim")
    return Cell(figures.number(count), "dim" if due.held else "yellow")
