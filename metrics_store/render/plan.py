"""How the way to the end looks, before it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.gates import Typed
from metrics_store.render.migration import show_way
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command, hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.phases.planning import Leg, Plan

_LABEL = 8


def show_plan(screen: Screen, plan: Plan, typed: Typed) -> None:
    """Write the way from here to the end.

    Args:
        typed: makes commands such as can be typed here.
    """
    screen.line(Cell(f"Leaving {figures.path(plan.json_file)}", "bold"))
    size = f"{figures.size(plan.size)}, {figures.plural(plan.records, 'record')}"
    screen.line(Cell(f"  {size}, times in {plan.zone or 'an unknown zone'}", "dim"))
    screen.line()
    show_way(screen, plan.phase)
    for leg in plan.legs:
        _show_leg(screen, leg, typed)
    _show_space(screen, plan)
    screen.line()
    screen.line(Cell("Times and sizes are estimates from the file's records and bytes.", "dim"))
    if not plan.healthy:
        screen.line()
        screen.line(Cell("The doctor found an error; see it first:", "red"))
        command(screen, typed("metrics-store legacy doctor"))


def _show_leg(screen: Screen, leg: Leg, typed: Typed) -> None:
    took = f"about {figures.duration(leg.seconds)} of work" if leg.seconds >= 0.1 else ""
    screen.heading(leg.phase, took)
    hanging(screen, [Cell("  ")], leg.means)
    _fact(screen, "reads", leg.reads)
    _fact(screen, "writes", leg.writes)
    for i, sentence in enumerate(leg.gate):
        label = "" if i else "gate"
        lead = Cell(f"  {label:<{_LABEL}}{signs(screen).ahead} ", "dim")
        hanging(screen, [lead], sentence)
    _fact(screen, "back", leg.back)
    for i, line in enumerate(leg.commands):
        label = "" if i else "type"
        screen.line(Cell(f"  {label:<{_LABEL}}", "dim"), Cell(typed(line), "cyan"), wrap=False)


def _show_space(screen: Screen, plan: Plan) -> None:
    screen.heading("Disk", f"{figures.size(plan.free)} free at {figures.path(plan.database)}")
    table = Table([Column("", "right"), Column("", elastic=True), Column("", style="dim")], 2)
    for space in plan.space:
        table.add(figures.size(space.bytes), space.what, "" if space.stays else "for a while")
    screen.table(table)


def _fact(screen: Screen, label: str, text: str) -> None:
    hanging(screen, [Cell(f"  {label:<{_LABEL}}", "dim")], text)
