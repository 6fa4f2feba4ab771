"""How differences look: the list of them, and one with its two sides beside each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.gates import Typed
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command, hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.legacy.differences import Difference, DifferingMember, KindCount

_LABEL = 10
_MOST = 60


def show_counts(screen: Screen, counts: Sequence[KindCount]) -> None:
    """Write how many differences there are, by kind."""
    if not counts:
        screen.line("No difference was found.")
        return
    table = Table(
        [Column("kind", style="bold"), Column("open", "right"), Column("explained", "right")]
    )
    for count in counts:
        style = "red" if count.open else "dim"
        table.add(count.kind, Cell(f"{count.open:,}", style), figures.number(count.explained))
    screen.table(table)


def differences_table(found: Iterable[Difference]) -> Table:
    """A row for each difference."""
    table = Table(
        [
            Column("id", "right"),
            Column("kind", style="bold"),
            Column("subject", elastic=True),
            Column("found (UTC)", short="found"),
            Column("explanation", elastic=True),
        ]
    )
    for difference in found:
        found_at = difference.found_at
        said = Cell("open", "red")
        if difference.explanation is not None:
            said = Cell(difference.explanation, "dim")
        table.add(
            str(difference.id),
            difference.kind,
            difference.subject,
            Cell(figures.moment(found_at), short=figures.day(found_at)),
            said,
        )
    return table


def show_difference(screen: Screen, found: Difference, typed: Typed) -> None:
    """Write both sides of a difference."""
    screen.line(Cell(f"Difference {found.id}: {found.kind}", "bold"))
    _fact(screen, "of", found.subject)
    by = f"verify {found.verify_id}" if found.verify_id is not None else "a compared read"
    _fact(screen, "found", f"by {by}, {figures.moment(found.found_at)} UTC, epoch {found.epoch}")
    if found.json_us is not None and found.store_us is not None:
        json, store = found.json_us / 1e6, found.store_us / 1e6
        answered = f"JSON in {figures.duration(json)}, the store in {figures.duration(store)}"
        _fact(screen, "answered", answered)
    if found.explanation is not None:
        _fact(screen, "explained", found.explanation, "green")
        at = figures.moment(found.explained_at)
        _fact(screen, "", f"by {found.explained_by}, {at} UTC", "dim")
    screen.line()
    screen.table(_sides(screen, found))
    screen.line(Cell("  What is equal on both sides is left out.", "dim"))
    if found.is_open:
        screen.line()
        screen.line("Nobody has explained it. If it is no fault, say why:")
        explain = typed("metrics-store legacy diff explain")
        command(screen, f'{explain} {found.id} --reason "..."')


def _sides(screen: Screen, found: Difference) -> Table:
    table = Table(
        [
            Column("", style="red"),
            Column("member"),
            Column("in the JSON file", elastic=True),
            Column("in the store", elastic=True),
        ],
        indent=2,
    )
    members = sorted(found.members, key=_is_alike)[:_MOST]
    for member in members:
        _, in_json, in_store = member
        alike = _is_alike(member)
        style = "dim" if alike else ""
        table.add(
            "" if alike else signs(screen).unmet,
            Cell(member.name, style or "bold"),
            Cell(figures.NONE if in_json is None else in_json, style),
            Cell(figures.NONE if in_store is None else in_store, style),
        )
    return table


def _is_alike(member: DifferingMember) -> bool:
    """Whether two numbers differ by rounding alone, as comparing reads allows."""
    try:
        sides = float(member.in_json or ""), float(member.in_store or "")
    except ValueError:
        return False
    return math.isclose(*sides, rel_tol=1e-9, abs_tol=1e-6)


def _fact(screen: Screen, label: str, text: str, style: str = "") -> None:
    hanging(screen, [Cell(f"  {label:<{_LABEL}}", "dim")], text, style)
