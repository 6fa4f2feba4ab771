"""How the taking in of a legacy file looks: what became of its records, and what needs eyes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.legacy.report import ImportReport

_MOST = 10


def show_import(screen: Screen, report: ImportReport) -> None:
    """Write what one pass over a legacy file came to."""
    _show_head(screen, report)
    _show_equation(screen, report)
    _show_comparison(screen, report)
    _show_verdict(screen, report)
    if report.quarantined:
        _show_quarantine(screen, report)
    if report.flags:
        _show_flags(screen, report)
    _show_baseline(screen, report)
    if report.anomalies:
        screen.heading("The file contradicts itself")
        for sentence in report.anomalies[:_MOST]:
            screen.line("  ", sentence)
        _more(screen, len(report.anomalies))


def _show_head(screen: Screen, report: ImportReport) -> None:
    took = figures.duration(sum(report.seconds.values()))
    verb = "Dry run over" if report.dry_run else "Took in"
    screen.line(Cell(f"{verb} {figures.path(report.source)}", "bold"))
    screen.line(Cell(f"  {figures.size(report.size)}, times in {report.zone}, {took}", "dim"))
    if report.resumed_at:
        screen.line(
            f"  went on at record {figures.number(report.resumed_at)}, where it had stopped"
        )


def _show_equation(screen: Screen, report: ImportReport) -> None:
    n = figures.number
    table = Table([Column("", "right"), Column("", style="bold"), Column("", elastic=True)], 2)
    pending = f", {n(report.pending)} of them never finished" if report.pending else ""
    skills = f"records of {figures.plural(report.skills, 'skill')}{pending}"
    table.add(n(report.read), "read", Cell(skills, "dim"))
    table.add(f"= {n(report.inserted)}", "inserted", Cell("new in the store", "dim"))
    table.add(f"+ {n(report.matched)}", "matched", Cell("were in the store already", "dim"))
    table.add(
        f"+ {n(report.upgraded)}", "upgraded", Cell("were in flight, have ended since", "dim")
    )
    table.add(
        f"+ {n(report.quarantined)}",
        Cell("quarantined", "yellow" if report.quarantined else ""),
        Cell("kept apart, word for word, with the reason", "dim"),
    )
    screen.table(table)
    if not report.conserved:
        kept = report.inserted + report.matched + report.upgraded + report.quarantined
        screen.line(Cell(f"  This does not add up: {n(report.read)} read, {n(kept)} kept.", "red"))


def _show_comparison(screen: Screen, report: ImportReport) -> None:
    comparison = report.comparison
    n = figures.number
    screen.line(
        f"  Compared {figures.plural(comparison.compared, 'record')} with the store, field by "
        f"field: {n(comparison.equal)} equal",
        *(_kinds(comparison.explained, "explained", "")),
        *(_kinds(comparison.unexplained, "unexplained", "red")),
        ".",
    )
    if comparison.unexplained:
        for mismatch in comparison.examples[:_MOST]:
            if not mismatch.explained:
                screen.line(Cell(f"    {mismatch.kind}  {mismatch.skill_name}", "red"))
                screen.line(f"      in the file   {mismatch.in_file or figures.NONE}")
                screen.line(f"      in the store  {mismatch.in_store or figures.NONE}")


def _kinds(counts: Mapping[str, int], word: str, style: str) -> list[Cell]:
    if not counts:
        return []
    kinds = ", ".join(f"{figures.number(n)} {kind}" for kind, n in sorted(counts.items()))
    return [Cell(f"; {word}: {kinds}", style)]


def _show_verdict(screen: Screen, report: ImportReport) -> None:
    if report.torn is not None:
        screen.line(Cell(f"  The file is not whole: {report.torn}", "red"))
    if not report.comparison.clean:
        screen.line(Cell("  Something is unexplained: look before you go on.", "red"))
    if not report.fine:
        return
    if report.inserted == report.upgraded == 0 and report.read:
        known = "Nothing was added: the store had everything in this file already."
        screen.line(Cell(f"  {known}", "green"))
    elif report.dry_run:
        screen.line(Cell("  All accounted for. Nothing was kept: this was a dry run.", "green"))
    else:
        screen.line(Cell("  All accounted for.", "green"))


def _show_quarantine(screen: Screen, report: ImportReport) -> None:
    screen.heading(f"Quarantined: {_reasons(report.quarantine_reasons)}")
    table = Table(
        [
            Column("index", "right"),
            Column("reason", style="yellow"),
            Column("why", elastic=True),
            Column("begins", style="dim", optional=True),
        ],
        indent=2,
    )
    for item in report.quarantine[:_MOST]:
        place = figures.number(item.position) if item.position >= 0 else figures.NONE
        table.add(place, item.reason, item.detail, " ".join(item.excerpt.split())[:60])
    screen.table(table)
    _more(screen, report.quarantined)


def _show_flags(screen: Screen, report: ImportReport) -> None:
    screen.heading(f"Taken in, and noteworthy: {_reasons(report.flags)}")
    alike: dict[tuple[str, str], list[int]] = {}
    for item in report.flagged:
        alike.setdefault((item.flag, item.detail), []).append(item.position)
    table = Table(
        [Column("flag", style="yellow"), Column("why", elastic=True), Column("index")], indent=2
    )
    for (flag, detail), positions in list(alike.items())[:_MOST]:
        shown = ", ".join(figures.number(position) for position in positions[:3] if position >= 0)
        table.add(flag, detail, f"{shown}, …" if len(positions) > 3 else shown)
    screen.table(table)
    _more(screen, len(alike))


def _show_baseline(screen: Screen, report: ImportReport) -> None:
    if not report.baseline:
        return
    screen.heading("Totals that no record explains, kept apart as a baseline")
    table = Table(
        [
            Column("skill", elastic=True),
            Column("runs", "right"),
            Column("completed", "right"),
            Column("duration", "right"),
        ],
        indent=2,
    )
    for line in report.baseline[:_MOST]:
        table.add(
            line.skill_name,
            figures.number(line.total_invocations),
            figures.number(line.completed_invocations),
            figures.duration(line.total_duration_seconds),
        )
    screen.table(table)
    _more(screen, len(report.baseline))


def _reasons(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{figures.number(n)} {reason}" for reason, n in ordered)


def _more(screen: Screen, n: int) -> None:
    if n > _MOST:
        screen.line(Cell(f"  and {figures.number(n - _MOST)} more (see --json)", "dim"))
