"""Tables as values, and the plain lines of one for a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from rich.cells import cell_len

from metrics_store.render.text import visible

GAP = 2


class Cell(NamedTuple):
    """A piece of text and how it looks in a terminal.

    Args:
        text: any text; whoever writes it makes it safe.
        style: a rich style such as ``bold red``.
        short: what stands there where the terminal is too narrow.
    """

    text: str
    style: str = ""
    short: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        title: its heading.
        align: numbers to the right, words to the left.
        elastic: it gives way, and is cut with an ellipsis, where the terminal is too narrow.
        style: of its cells.
        short: the heading where the terminal is too narrow.
        optional: it is left out where the terminal is still too narrow.
    """

    title: str
    align: Literal["left", "right"] = "left"
    elastic: bool = False
    style: str = ""
    short: str | None = None
    optional: bool = False


@dataclass(slots=True)
class Table:
    """Rows of cells under columns.

    Args:
        indent: spaces before each line.
    """

    columns: Sequence[Column]
    indent: int = 0
    rows: list[tuple[Cell, ...]] = field(default_factory=list)

    def add(self, *cells: str | Cell) -> None:
        """Add a row, a cell for each column."""
        row = tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells)
        if len(row) != len(self.columns):
            raise ValueError(f"{len(row)} cells for {len(self.columns)} columns")
        self.rows.append(row)

    @property
    def has_titles(self) -> bool:
        """Whether any column has a heading."""
        return any(column.title for column in self.columns)

    def widths(self) -> list[int]:
        """The width of each column if nothing is cut, in terminal cells."""
        return [
            max(
                cell_len(visible(column.title)) if self.has_titles else 0,
                max((cell_len(visible(row[i].text)) for row in self.rows), default=0),
            )
            for i, column in enumerate(self.columns)
        ]

    def natural_width(self) -> int:
        """The width of the whole if nothing is cut."""
        return self.indent + sum(self.widths()) + GAP * (len(self.columns) - 1)

    def fitted(self, width: int) -> Table:
        """The table for a terminal: as it is, or shortened, or with fewer columns.

        What is still too wide after that is cut in its elastic columns.
        """
        if self.natural_width() <= width:
            return self
        short = Table(
            [replace(c, title=c.title if c.short is None else c.short) for c in self.columns],
            self.indent,
            [
                tuple(c if c.short is None else Cell(c.short, c.style) for c in row)
                for row in self.rows
            ],
        )
        if short.natural_width() <= width:
            return short
        kept = [i for i, column in enumerate(self.columns) if not column.optional]
        return Table(
            [short.columns[i] for i in kept],
            self.indent,
            [tuple(row[i] for i in kept) for row in short.rows],
        )


def plain_lines(table: Table) -> Iterator[str]:
    """The lines of a table, everything in full, in columns of spaces."""
    widths = table.widths()
    if table.has_titles:
        yield _line(table, [column.title for column in table.columns], widths)
    for row in table.rows:
        yield _line(table, [cell.text for cell in row], widths)


def _line(table: Table, texts: Sequence[str], widths: Sequence[int]) -> str:
    parts = []
    for column, text, width in zip(table.columns, texts, widths, strict=True):
        shown = visible(text)
        space = " " * (width - cell_len(shown))
        parts.append(space + shown if column.align == "right" else shown + space)
    return (" " * table.indent + (" " * GAP).join(parts)).rstrip(" ")
