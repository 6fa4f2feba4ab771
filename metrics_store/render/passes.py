"""How backfills, verifies, harvests and reconcilings look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.changes import Page
from metrics_store.render.imports import show_import
from metrics_store.render.table import Cell

if TYPE_CHECKING:
    from metrics_store.legacy.report import ImportReport
    from metrics_store.legacy.verifying import VerifyReport
    from metrics_store.phases.beginning import Backfilled
    from metrics_store.phases.harvesting import Harvest
    from metrics_store.phases.reconciling import Reconciled


def show_backfill(page: Page, done: Backfilled) -> None:
    """Write what a backfill came to."""
    show_import(page.screen, done.first)
    page.screen.line()
    if done.replayed:
        page.fact("spill", f"{figures.plural(done.replayed, 'record')} taken in before")
    n = figures.number(done.second_inserted)
    style = "red" if done.second_inserted else "green"
    page.fact("second pass", f"over the same copy: {n} inserted", style)


def show_verify(page: Page, done: VerifyReport) -> None:
    """Write what a verify came to."""
    took = figures.duration(sum(done.seconds.values()))
    page.title(f"Compared {figures.path(done.source)} with the store")
    size = f"  {figures.size(done.size)}, times in {done.zone}, {took}"
    page.screen.line(Cell(f"{size}, verify {done.verify_id}", "dim"))
    if done.resumed_at:
        page.screen.line(f"  went on at record {figures.number(done.resumed_at)}")
    page.fact("compared", figures.plural(done.compared, "record"))
    page.fact("equal", figures.number(done.equal))
    page.fact("explained", _kinds(done.explained))
    page.fact("unexplained", _kinds(done.unexplained), "red" if done.unexplained else "")
    if done.torn is not None:
        page.fact("not whole", done.torn, "red")
    if done.clean:
        page.screen.line(Cell("  Nothing is unexplained.", "green"))
    else:
        page.screen.line(Cell("  Something is unexplained: look before you go on.", "red"))


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{figures.number(n)} {kind}" for kind, n in sorted(counts.items())) or "none"


def show_harvest(page: Page, done: Harvest) -> None:
    """Write what was found in a JSON file that nobody should write."""
    if done.replayed:
        page.fact("spill", f"{figures.plural(done.replayed, 'record')} taken in")
    if done.report is None:
        page.title("Nobody has written to the JSON file since it was last looked at.", "green")
        return
    page.title("Somebody wrote to the JSON file after the store took over.", "bold red")
    page.screen.line("  Find and stop that process: what it writes is seen by nobody until then.")
    _equation(page, done.report)


def show_reconciled(page: Page, done: Reconciled) -> None:
    """Write what was brought over, or would be."""
    sides = "the store up to the JSON file and the spill"
    if done.to == "json":
        sides = "the JSON file up to the store"
    page.title(f"{'Brought' if done.executed else 'Would bring'} {sides}.")
    waiting = f"{figures.plural(done.waiting, 'record')} waited" if done.waiting else "was empty"
    if done.executed and done.waiting:
        waiting += f", {figures.number(done.replayed)} taken in"
    page.fact("spill", waiting)
    if done.set_aside:
        lines = figures.plural(done.set_aside, "line")
        page.fact("set aside", f"{lines} of the spill that cannot be read", "yellow")
    if done.report is not None:
        _equation(page, done.report)
    if done.records is not None:
        page.fact("JSON has", figures.plural(done.records, "record"))
    if done.backup is not None:
        page.fact("backup", figures.path(done.backup))


def _equation(page: Page, report: ImportReport) -> None:
    number = figures.number
    page.fact(
        "JSON file",
        f"{number(report.read)} read = {number(report.inserted)} inserted + "
        f"{number(report.matched)} matched + {number(report.upgraded)} upgraded + "
        f"{number(report.quarantined)} quarantined",
    )
    if report.comparison.unexplained:
        page.fact("unexplained", _kinds(report.comparison.unexplained), "red")
    if report.torn is not None:
        page.fact("not whole", report.torn, "red")
