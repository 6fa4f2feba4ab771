"""How gates look, and what the doctor found: a line for each thing, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import hanging, signs
from metrics_store.render.table import Cell

if TYPE_CHECKING:
    from metrics_store.phases.doctor import Diagnosis
    from metrics_store.phases.gates import Requirement

Typed = Callable[[str], str]


def show_gate(screen: Screen, to: str, requirements: Sequence[Requirement], typed: Typed) -> None:
    """Write what the gate to a phase asks for.

    Args:
        to: the phase; without one there is nothing to write.
        typed: makes commands such as can be typed here.
    """
    if not to or not requirements:
        return
    met = sum(requirement.met for requirement in requirements)
    screen.heading(f"The gate to {to}", f"{met} of {len(requirements)} met")
    width = max(len(requirement.name) for requirement in requirements)
    for requirement in requirements:
        mark, style = (
            (signs(screen).met, "green")
            if requirement.met
            else (
                signs(screen).unmet,
                "red",
            )
        )
        _line(screen, mark, style, requirement.name, width, requirement.detail)
        if not requirement.met and requirement.todo:
            _todo(screen, width, requirement.todo, typed)


def show_diagnosis(screen: Screen, diagnosis: Diagnosis, typed: Typed) -> None:
    """Write what the doctor found.

    Args:
        typed: makes commands such as can be typed here.
    """
    records = figures.plural(diagnosis.records, "record")
    screen.line(Cell(figures.path(diagnosis.json_file), "bold"))
    screen.line(Cell(f"  {figures.size(diagnosis.size)}, {records}", "dim"))
    screen.line()
    marks = {
        "ok": (signs(screen).met, "green"),
        "warning": (signs(screen).warning, "yellow"),
        "error": (signs(screen).unmet, "red"),
    }
    width = max(len(finding.name) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        _line(screen, *marks[finding.verdict], finding.name, width, finding.detail)
        if finding.hint and finding.verdict != "ok":
            _todo(screen, width, finding.hint, typed)
    screen.line()
    if diagnosis.healthy:
        screen.line(Cell("Nothing keeps the migration from beginning.", "green"))
    else:
        screen.line(Cell("The migration cannot begin like this.", "red"))


def _line(screen: Screen, mark: str, style: str, name: str, width: int, detail: str) -> None:
    hanging(screen, [Cell(f"  {mark} ", style), Cell(f"{name:<{width}}  ")], detail)


def _todo(screen: Screen, width: int, text: str, typed: Typed) -> None:
    lead = Cell(f"    {'':{width}}  {signs(screen).todo} ", "dim")
    if text.startswith("metrics-store "):
        screen.line(lead, Cell(typed(text), "cyan"), wrap=False)
    else:
        hanging(screen, [lead], typed(text), "yellow")
