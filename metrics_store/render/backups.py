"""How backups look: one that was made, those that are there, which stay, and one verified."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from metrics_store import clock
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.backup.catalogue import Shelf
    from metrics_store.backup.creating import Backup
    from metrics_store.backup.keeping import Pruned
    from metrics_store.backup.verifying import Verified
    from metrics_store.integrity.findings import CheckReport
    from metrics_store.manifest import Entry, Manifest

_LABEL = 10
_MOST = 10
#: A copy of a store in which something was in flight says nothing of whether that still is.
_USUAL = "in_flight_without_process"


def age(made_at: str, now_us: int) -> str:
    """How long ago a moment was: ``2h 05m``."""
    seconds = (now_us - clock.parse(made_at)) / clock.MICROSECONDS
    if seconds < 0:
        return "in the future"
    return "just now" if seconds < 10 else figures.duration(round(seconds))


def _ago(made_at: str, now_us: int) -> str:
    when = age(made_at, now_us)
    return when if when in ("just now", "in the future") else f"{when} ago"


def show_created(screen: Screen, made: Backup) -> None:
    """Write what became of making a backup."""
    known = made.manifest
    screen.line(Cell(f"Backed up {figures.path(known.source)}", "bold"))
    _fact(screen, "to", figures.path(str(made.path)), wrap=False)
    _fact(screen, "size", f"{figures.size(known.size)}, schema {known.schema_version}")
    _fact(screen, "holds", _content(known))
    if known.findings:
        _fact(screen, "checked", figures.plural(known.findings, "error"), "red")
    else:
        _fact(screen, "verified", _looked_at(made.report), "green")
    took = figures.duration(made.seconds)
    _fact(screen, "took", f"{took}; the store was read for {figures.duration(made.copied_in)}")
    if made.left_overs:
        left = figures.plural(len(made.left_overs), "file")
        _fact(screen, "removed", f"{left} that a killed run had left")
    if made.pruned is not None:
        _show_deleted(screen, made.pruned)


def show_shelves(
    screen: Screen, shelves: Sequence[Shelf], newest: Entry | None, now_us: int
) -> None:
    """Write the backups that are there.

    Args:
        newest: the one that counts as the newest of the store.
        now_us: microseconds since 1970.
    """
    first, sign = True, signs(screen)
    for shelf in shelves:
        if not shelf.entries and not shelf.problem:
            continue
        if not first:
            screen.line()
        first = False
        screen.line(
            Cell(figures.path(str(shelf.directory)), "bold"),
            Cell(f"  {figures.plural(len(shelf.entries), 'backup')}, {_sum(shelf.entries)}", "dim"),
        )
        if shelf.problem:
            screen.line(Cell(f"  It cannot be read: {shelf.problem}", "red"))
        if shelf.entries:
            screen.table(_table(screen, shelf.entries, now_us))
        for entry in shelf.entries:
            if entry.problem:
                lead = [Cell(f"  {sign.unmet} {entry.path.name}: ", "red")]
                hanging(screen, lead, f"{entry.problem}", "red")
    if newest is not None:
        ago = Cell(_ago(newest.made_at, now_us), "bold")
        screen.line()
        screen.line("The newest was made ", ago, f": {newest.path.name}")


def show_pruned(screen: Screen, all_pruned: Sequence[Pruned], now_us: int) -> None:
    """Write which backups stay and which go, or went."""
    sign = signs(screen)
    for i, pruned in enumerate(all_pruned):
        if i:
            screen.line()
        screen.line(Cell(figures.path(str(pruned.directory)), "bold"))
        table = Table(
            [
                Column(""),
                Column("made (UTC)"),
                Column("age", "right", optional=True),
                Column("size", "right"),
                Column("why"),
                Column("file", elastic=True),
            ],
            indent=2,
        )
        goes = "deleted" if pruned.executed else "delete"
        for item in pruned.judged:
            style = "dim" if item.kept else "yellow"
            table.add(
                Cell(f"{sign.met} keep" if item.kept else f"{sign.unmet} {goes}", style),
                figures.moment(item.entry.made_at),
                age(item.entry.made_at, now_us),
                figures.size(item.entry.size),
                Cell(item.why, style),
                item.entry.path.name,
            )
        screen.table(table)
        for path, why in pruned.failed:
            screen.line(Cell(f"  {path.name} could not be deleted: {why}", "red"))


def show_verified(screen: Screen, found: Verified, now_us: int) -> None:
    """Write what became of verifying a backup."""
    sign = signs(screen)
    style = "bold green" if found.ok else "bold red"
    verdict = "can be relied on" if found.ok else "is damaged"
    mark = sign.met if found.ok else sign.unmet
    screen.line(Cell(f"{mark} {figures.path(str(found.path))} {verdict}", style))
    known = found.manifest
    if known is not None:
        when = f"{figures.moment(known.made_at)} UTC, {_ago(known.made_at, now_us)}"
        _fact(screen, "made", f"{when}, {known.reason}")
        _fact(screen, "of", figures.path(known.source), wrap=False)
    _fact(screen, "size", figures.size(found.size))
    if known is not None and not found.problems:
        _fact(screen, "holds", _content(known))
    _fact(screen, "sha256", found.sha256, wrap=False)
    _fact(screen, "checked", _looked_at(found.report))
    for problem in found.problems:
        _fact(screen, "problem", problem, "red")
    findings = [one for one in found.report.findings if one.kind != _USUAL]
    for finding in findings[:_MOST]:
        where = " ".join(filter(None, (finding.table, finding.row)))
        text = f"{finding.kind}{f' ({where})' if where else ''}: {finding.detail}"
        _fact(screen, finding.severity, text, "red" if finding.severity == "error" else "yellow")
    if len(findings) > _MOST:
        more = figures.number(len(findings) - _MOST)
        _fact(screen, "", f"and {more} more (see --json)", "dim")
    for note in found.notes:
        _fact(screen, "note", note, "yellow")


def _table(screen: Screen, entries: Sequence[Entry], now_us: int) -> Table:
    table = Table(
        [
            Column("made (UTC)"),
            Column("age", "right"),
            Column("size", "right"),
            Column("schema", "right", optional=True),
            Column("records", "right", optional=True),
            Column("reason", optional=True),
            Column("verified"),
            Column("file" if screen.terminal else "path", elastic=True),
        ],
        indent=2,
    )
    for entry in entries:
        known = entry.manifest
        moment = figures.moment(entry.made_at)
        table.add(
            Cell(moment, short=moment[5:]),
            age(entry.made_at, now_us),
            figures.size(entry.size),
            figures.NONE if known is None else str(known.schema_version),
            figures.NONE if known is None else figures.number(known.rows),
            figures.NONE if known is None else known.reason,
            _state(screen, entry),
            entry.path.name if screen.terminal else str(entry.path),
        )
    return table


def _state(screen: Screen, entry: Entry) -> Cell:
    sign = signs(screen)
    if entry.problem:
        return Cell(f"{sign.unmet} no", "red")
    if entry.manifest is not None and entry.manifest.findings:
        errors = figures.plural(entry.manifest.findings, "error")
        return Cell(f"{sign.warning} {errors}", "yellow")
    return Cell(f"{sign.met} yes", "green")


def _content(known: Manifest) -> str:
    return f"{figures.plural(known.rows, 'record')}, {figures.number(known.in_flight)} in flight"


def _looked_at(report: CheckReport) -> str:
    """What a check looked at, in words: ``pages, schema, digests``."""
    looks = [look.what for look in report.looked_at if look.count or not look.unit]
    return ", ".join(dict.fromkeys(re.split("[,:]", what)[0] for what in looks))


def _show_deleted(screen: Screen, pruned: Pruned) -> None:
    if pruned.deleted:
        count = figures.plural(len(pruned.deleted), "older backup")
        _fact(screen, "deleted", f"{count}, {figures.size(pruned.freed)}")
        for entry in pruned.deleted[:_MOST]:
            _fact(screen, "", f"{figures.moment(entry.made_at)} UTC  {entry.path.name}", "dim")
        if len(pruned.deleted) > _MOST:
            _fact(screen, "", f"and {len(pruned.deleted) - _MOST} more", "dim")
    kept = len(pruned.judged) - len(pruned.deleted)
    _fact(screen, "kept", figures.plural(kept, "backup"))


def _sum(entries: Sequence[Entry]) -> str:
    return figures.size(sum(entry.size for entry in entries))


def _fact(screen: Screen, label: str, text: str, style: str = "", *, wrap: bool = True) -> None:
    lead = Cell(f"  {label:<{_LABEL}}", "dim")
    if wrap:
        hanging(screen, [lead], text, style)
    else:
        screen.line(lead, Cell(text, style), wrap=False)
