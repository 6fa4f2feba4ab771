"""How a check looks: what was looked at, what was found, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command, hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.integrity.findings import CheckReport, Finding
    from metrics_store.integrity.repairing import RepairReport

#: Findings of one kind that a terminal shows; a pipe gets all.
_MOST = 10
_STYLES = {"error": "red", "warning": "yellow"}
_LEFT_OUT = {
    "quick": "Rollups, search and indexes were not looked at (leave out --quick), nor the rows' "
    "digests (--deep).",
    "standard": "The rows were not held against their digests (--deep).",
    "deep": "",
}


def show_check(screen: Screen, report: CheckReport) -> None:
    """Write what a check came to."""
    known = [f"{report.level} check"]
    if report.schema_version is not None:
        known.append(f"schema {report.schema_version}")
    if report.rows is not None:
        known.append(figures.plural(report.rows, "row"))
    path = figures.path(report.path)
    screen.line(Cell(path, "bold"), Cell(f"  {', '.join(known)}", "dim"))
    screen.line()
    _show_looks(screen, report)
    for kind, found in groupby(report.findings, key=lambda finding: finding.kind):
        _show_kind(screen, kind, tuple(found), report.further.get(kind, 0))
    screen.line()
    _show_verdict(screen, report)
    if left_out := _LEFT_OUT[report.level]:
        screen.line(Cell(left_out, "dim"))


def show_next(screen: Screen, report: CheckReport, repair: str) -> None:
    """Write what to do next, if there is anything.

    Args:
        repair: the command that repairs, as it can be typed here.
    """
    mended = [finding for finding in report.findings if finding.repairable]
    if not mended:
        return
    whole = len(mended) == len(report.findings)
    screen.line()
    say = (
        "All of it follows"
        if whole
        else f"{figures.plural(len(mended), 'finding')} of these follow"
    )
    screen.line(f"{say} from the log and the migrations. Make it anew, after a copy is taken:")
    command(screen, repair)


def show_repaired(screen: Screen, repaired: RepairReport, copy: str) -> None:
    """Write what a repair came to.

    Args:
        copy: where the store as it was lies; empty if nothing was done.
    """
    sign = signs(screen)
    if repaired.done:
        screen.heading("Repaired", f"in one transaction; the store as it was: {figures.path(copy)}")
    else:
        screen.heading("Not repaired", "there is nothing that a repair could make anew")
    for mended in repaired.done:
        count = f": {figures.plural(mended.count, 'row')}" if mended.count else ""
        lead = [Cell(f"  {sign.met} ", "green"), Cell(f"{mended.table}  ")]
        hanging(screen, lead, f"{mended.what}{count}", "dim")
        if mended.was:
            hanging(screen, [Cell("      it was  ", "dim")], " ".join(mended.was.split()), "dim")
    for finding in repaired.left:
        if finding.severity == "error":
            lead = [Cell(f"  {sign.unmet} ", "red"), Cell(f"{_place(finding)}  ")]
            hanging(screen, lead, f"{finding.detail} {finding.action}", "red")


def _show_looks(screen: Screen, report: CheckReport) -> None:
    sign = signs(screen)
    table = Table(
        [
            Column(""),
            Column("", elastic=True),
            Column("", "right"),
            Column(""),
            Column("", "right", style="dim"),
            Column("", optional=True),
        ],
        indent=2,
    )
    for look in report.looked_at:
        count = figures.number(look.count) if look.unit else ""
        found = figures.plural(look.found, "finding") if look.found else ""
        table.add(
            Cell(sign.unmet, "red") if look.found else Cell(sign.met, "green"),
            look.what,
            count,
            Cell(look.unit, "dim"),
            figures.duration(look.seconds),
            Cell(found, "red"),
        )
    screen.table(table)


def _show_kind(screen: Screen, kind: str, found: Sequence[Finding], further: int) -> None:
    severity = found[0].severity
    style = _STYLES[severity]
    sign = signs(screen)
    screen.line()
    screen.line(
        Cell(f"{sign.warning if severity == 'warning' else sign.unmet} {kind}", f"bold {style}"),
        Cell(f"  {figures.plural(len(found) + further, severity)}", "dim"),
    )
    shown = found[:_MOST] if screen.terminal else found
    actions = {finding.action for finding in shown}
    for finding in shown:
        place = _place(finding)
        if place:
            screen.line("  ", Cell(place, style))
        hanging(screen, [Cell("    " if place else "  ")], finding.detail)
        if len(actions) > 1:
            _show_action(screen, finding.action)
    if more := len(found) - len(shown) + further:
        screen.line(Cell(f"  and {figures.number(more)} more", "dim"))
    if len(actions) == 1:
        _show_action(screen, found[0].action)


def _show_action(screen: Screen, action: str) -> None:
    if action:
        hanging(screen, [Cell(f"  {signs(screen).todo} ", "cyan")], action, "cyan")


def _place(finding: Finding) -> str:
    return ", ".join(filter(None, (finding.table, finding.row)))


def _show_verdict(screen: Screen, report: CheckReport) -> None:
    sign = signs(screen)
    took = f"in {figures.duration(report.seconds)}"
    errors = len(report.errors)
    warnings = len(report.warnings)
    further = sum(report.further.values())
    if not report.findings:
        screen.line(Cell(f"{sign.met} Sound: nothing was found {took}.", "bold green"))
        return
    parts = [figures.plural(errors + further, "error")] if errors else []
    if warnings:
        parts.append(figures.plural(warnings, "warning"))
    if errors:
        screen.line(Cell(f"{sign.unmet} {', '.join(parts)} {took}.", "bold red"))
    else:
        screen.line(Cell(f"{sign.warning} Sound, with {parts[0]}, {took}.", "bold yellow"))
