"""How a change of phase looks, done or only looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.gates import Typed, show_diagnosis, show_gate
from metrics_store.render.migration import show_next, show_way
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command, hanging, signs
from metrics_store.render.table import Cell

if TYPE_CHECKING:
    from metrics_store.legacy.control import Control, Gates
    from metrics_store.phases.beginning import Changed
    from metrics_store.phases.cutting_over import CutOver
    from metrics_store.phases.doctor import Diagnosis
    from metrics_store.phases.rolling_back import Rehearsed, RolledBack
    from metrics_store.phases.status import Status

_LABEL = 13


@dataclass(frozen=True, slots=True)
class Page:
    """Where a command writes, and how commands are named there."""

    screen: Screen
    typed: Typed

    def title(self, text: str, style: str = "bold") -> None:
        """Write what was done."""
        self.screen.line(Cell(text, style))

    def fact(self, label: str, text: str, style: str = "") -> None:
        """Write a line of what it came to."""
        hanging(self.screen, [Cell(f"  {label:<{_LABEL}}", "dim")], text, style)

    def step(self, text: str) -> None:
        """Write a step that would be taken."""
        hanging(self.screen, [Cell(f"  {signs(self.screen).todo} ", "dim")], text)


def show_dry_end(page: Page, to_execute: str, todo: str | None) -> None:
    """Write that nothing was changed, and how to do it, or what comes first.

    Args:
        todo: what an unmet gate asks for first; None if nothing is in the way.
    """
    page.screen.line()
    if todo is None:
        page.screen.line("Nothing was changed. To do it:")
        command(page.screen, to_execute)
    elif todo.startswith("metrics-store "):
        page.screen.line("Nothing was changed, and the gate is not met. First:")
        command(page.screen, page.typed(todo))
    else:
        page.screen.line("Nothing was changed, and the gate is not met.")


def show_where(page: Page, now: Status) -> None:
    """Write where the migration stands after a command, and what comes next."""
    page.screen.line()
    show_way(page.screen, now.phase)
    show_next(page.screen, now, page.typed)


def show_start(page: Page, found: Diagnosis, wanted: Gates, *, executed: bool) -> None:
    """Write what a migration begins with."""
    from metrics_store.phases.gates import span

    show_diagnosis(page.screen, found, page.typed)
    page.screen.heading("What the gates will ask for" if not executed else "The gates ask for")
    rate = figures.percent(100 * wanted.sample_rate)
    page.fact("shadow", f"{figures.plural(wanted.shadow_reads, 'compared read')} ({rate} of all)")
    age, soak = span(wanted.max_verify_age), span(wanted.soak)
    page.fact("dual_read", f"a full verify, not older than {age}, and a rehearsed way back")
    page.fact("database", f"{soak} of service")
    page.screen.line()
    page.title("The migration has begun." if executed else "The migration would begin.")
    page.fact("store", figures.path(found.database))
    page.fact("times in", found.zone)


_DOES = {
    "dual_write": "Runners write the JSON file and then the store.",
    "shadow": "Reads are answered by the JSON file, and compared with the store.",
    "dual_read": "Reads are answered by the store, and compared with the JSON file.",
    "complete": "The JSON file goes into the archive; it is never deleted.",
    "legacy": "Runners write the JSON file alone, as before.",
}
_BACK = {
    "dual_write": "Reads are answered by the JSON file alone; both sides are written.",
    "shadow": "Reads are answered by the JSON file again, and compared with the store.",
}


def show_changed(page: Page, changed: Changed) -> None:
    """Write a step from one phase to another."""
    verb = "Went" if changed.executed else "Would go"
    back = changed.command == "rollback"
    way = "back to" if back else "on to"
    if changed.command == "resume":
        page.title(f"{'Took' if changed.executed else 'Would take'} the store's word.")
        told = f"the store was told {changed.to_phase}"
        hanging(page.screen, [Cell("  ")], f"The control file said {changed.from_phase}; {told}.")
        return
    page.title(f"{verb} from {changed.from_phase} {way} {changed.to_phase}.")
    text = _BACK.get(changed.to_phase) if back else None
    hanging(page.screen, [Cell("  ")], text or _DOES[changed.to_phase], "dim")
    _forced(page, changed.forced, executed=changed.executed)
    if changed.archived is not None:
        page.fact("archive", figures.path(changed.archived))
    if not changed.executed or changed.forced:
        show_gate(page.screen, changed.to_phase, changed.requirements, page.typed)


_LEFT = "It has passed its commit point; what is left is little."


def show_cut_over(page: Page, done: CutOver, *, committed: bool) -> None:
    """Write what a cutover came to, or would do.

    Args:
        committed: it was cut short after its commit point.
    """
    number = figures.number
    if not done.executed and committed:
        page.title("Would end the cutover.")
        hanging(page.screen, [Cell("  ")], _LEFT)
        page.step("tell the store")
        page.step("look at the JSON file again for whatever landed in between")
        return
    if not done.executed:
        page.title("Would cut over: from then on the store alone is read and written.")
        for step in (
            "take in what the JSON file has, and compare every record, while runners write",
            "back both up, and open the backups to see that they would do",
            "keep writers waiting for a moment: take in what came since, change the phase",
            "look at the JSON file again for whatever landed in between",
        ):
            page.step(step)
        _forced(page, done.forced, executed=False)
        show_gate(page.screen, "database", done.requirements, page.typed)
        return
    page.title("Cut over: the store alone is read and written.", "bold green")
    if done.records:
        page.fact("compared", f"{figures.plural(done.records, 'record')} by the full verify")
        page.fact("last", f"{number(done.changed)} taken in while nobody wrote")
    if done.waited_ms:
        parts = ", ".join(
            f"{name} {figures.duration(ms / 1000)}" for name, ms in (done.waited_for or {}).items()
        )
        page.fact("waited", f"{figures.duration(done.waited_ms / 1000)} for writers ({parts})")
    harvested = f"{number(done.harvested)} that landed in the JSON file meanwhile"
    page.fact("harvested", harvested, "yellow" if done.harvested else "")
    for i, backup in enumerate(done.backups):
        page.fact("" if i else "backups", figures.path(backup))
    _forced(page, done.forced, executed=True)


def show_rolled_back(page: Page, done: RolledBack, *, committed: bool) -> None:
    """Write what a rollback came to, or would do.

    Args:
        committed: it was cut short after its commit point.
    """
    if not done.executed and committed:
        page.title("Would end the rollback.")
        hanging(page.screen, [Cell("  ")], _LEFT)
        page.step("tell the store")
        return
    if not done.executed:
        page.title(f"Would roll back from {done.from_phase} to {done.to_phase}.")
        for step in (
            "take in whatever somebody wrote to the JSON file meanwhile",
            "export the store as a JSON file, with everything recorded since the cutover",
            "load it by the legacy tracker's rules",
            "keep a copy of the JSON file that is there, and put the new one in its place",
        ):
            page.step(step)
        return
    page.title(f"Rolled back from {done.from_phase} to {done.to_phase}.", "bold green")
    if done.records:
        pending = f", {figures.number(done.pending)} never finished" if done.pending else ""
        records = figures.plural(done.records, "record")
        page.fact("JSON has", f"{records} of {figures.plural(done.skills, 'skill')}{pending}")
        page.fact("new in it", f"{figures.plural(done.named, 'record')} that only the store had")
        page.fact("waited", f"{figures.duration(done.waited_ms / 1000)} for writers")
    if done.backup is not None:
        page.fact("backup", figures.path(done.backup))


def show_rehearsed(page: Page, done: Rehearsed) -> None:
    """Write what the rehearsal of a rollback showed."""
    number = figures.number
    page.title("Rehearsed the way back on copies; nothing was changed.", "bold green")
    records = figures.plural(done.records, "record")
    page.fact("JSON", f"{records} of {figures.plural(done.skills, 'skill')}; the legacy rules load")
    page.fact("kept", f"{number(done.kept)} of the present JSON file, every one of which is in it")
    page.fact("read back", f"{number(done.read_back)} records, and nothing new among them")
    page.fact("took", figures.duration(done.seconds))


def show_cancelled(page: Page, there: Control, *, executed: bool) -> None:
    """Write that an unfinished command was given up, or would be."""
    if executed:
        page.title(f"Given up. The phase is {there.phase}, as before.")
        return
    what = there.intent.command if there.intent is not None else "command"
    begun = f", begun {there.intent.begun_at} by {there.intent.by}" if there.intent else ""
    page.title(f"Would give up the {what}.")
    hanging(page.screen, [Cell("  ")], f"The {what}{begun}, has not reached its commit point.")


def _forced(page: Page, reason: str | None, *, executed: bool) -> None:
    if reason is not None:
        page.fact("forced" if executed else "by force", reason, "yellow")
