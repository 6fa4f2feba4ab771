"""How the import of JSON lines looks, and the quarantine."""

from __future__ import annotations

import os
from collections.abc import Sequence

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table
from metrics_store.snapshots.results import Imported, Quarantined

#: Bad lines that are named on the screen.
_NAMED = 10


def show_import(screen: Screen, found: Imported) -> None:
    """Write what became of each file, and the lines that are bad."""
    columns = ("lines", "inserted", "already_there", "retired", "bad", "torn")
    shown = [name for name in columns if name in columns[:3] or found.total(name)]
    table = Table(
        [
            Column("file", elastic=True, style="bold"),
            *(Column(name.replace("_", " "), "right") for name in shown),
        ]
    )
    for file in found.files:
        counts = {name: int(getattr(file, name)) for name in shown}
        cells = (Cell(figures.number(n), _style(name, n)) for name, n in counts.items())
        table.add(figures.path(file.file), *cells)
    screen.table(table)
    if found.zone is not None:
        screen.line(Cell(f"Moments without an offset were read in {found.zone}.", "dim"))
    if found.total("torn"):
        screen.line("A last line is not whole yet: it is left for the next time.")
    new = [line for line in found.bad_lines if line.new]
    for line in new[:_NAMED]:
        screen.line(Cell(f"{os.path.basename(line.file)}:{line.line}: ", "red"), line.reason)
    if (more := found.total("new_bad") - min(len(new), _NAMED)) > 0:
        screen.line(Cell(f"and {figures.number(more)} more", "dim"))
    if found.total("new_bad"):
        screen.line("They are in quarantine: metrics-store snapshots quarantine")


def _style(name: str, n: int) -> str:
    if not n:
        return "dim"
    return {"inserted": "green", "bad": "red", "torn": "yellow"}.get(name, "")


def quarantine_table(lines: Sequence[Quarantined]) -> Table:
    """A row for each line in quarantine."""
    table = Table(
        [
            Column("since (UTC)", optional=True),
            Column("file", elastic=True),
            Column("line", "right"),
            Column("reason", elastic=True, style="red"),
            Column("what it is", elastic=True),
        ]
    )
    for line in lines:
        table.add(
            figures.moment(line.quarantined_at),
            figures.path(line.file),
            figures.number(line.line),
            line.reason,
            line.text[:200],
        )
    return table
