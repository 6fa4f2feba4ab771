"""Where a command writes: data to standard output, everything else to standard error.

Whatever is written goes through here, and is made safe here. In a terminal tables fit its width
and have colours; in a pipe nothing is cut, wrapped or coloured.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from metrics_store.render.table import GAP, Cell, Table, plain_lines
from metrics_store.render.text import json_text, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: What stands in for our own signs where the stream's encoding has not got them.
_ASCII = str.maketrans("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉·–…×µ", "_.-:=+*########.-~xu")


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody is looking."""
    try:
        return stream.isatty()
    except ValueError:
        return False


class Screen:
    """A stream to write to.

    Args:
        stream: by default standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.terminal = is_terminal(self.stream)
        self._poor = "utf" not in (self.stream.encoding or "utf-8").lower()

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(
            file=self.stream,
            force_terminal=True,
            # Not no_color alone: that would leave bold and dim.
            color_system=None if os.environ.get("NO_COLOR") else "auto",
            markup=False,
            emoji=False,
            highlight=False,
        )

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None in a pipe, which has no end."""
        return self._console.width if self.terminal else None

    def json(self, value: object) -> None:
        """Write one JSON document."""
        self._write(json_text(value, ascii_only=self._poor) + "\n", ours=False)

    def json_line(self, value: object) -> None:
        """Write a JSON document on a line of its own."""
        self._write(json_text(value, indent=None, ascii_only=self._poor) + "\n", ours=False)

    def heading(self, text: str, note: str = "") -> None:
        """Write an empty line and a heading, with something said beside it."""
        self.line()
        self.line(Cell(text, "bold"), Cell(f"  {note}" if note else "", "dim"))

    def line(self, *pieces: str | Cell, wrap: bool = True) -> None:
        """Write a line.

        Args:
            pieces: joined as they are.
            wrap: False leaves it in one, to be copied.
        """
        cells = [Cell(piece) if isinstance(piece, str) else piece for piece in pieces]
        if not self.terminal:
            self._write("".join(visible(cell.text) for cell in cells) + "\n")
            return
        from rich.text import Text

        text = Text.assemble(*[(self._shown(cell.text), cell.style) for cell in cells])
        self._console.print(text, soft_wrap=not wrap)

    def table(self, table: Table) -> None:
        """Write a table."""
        if not self.terminal:
            for line in plain_lines(table):
                self._write(line + "\n")
            return
        from rich.padding import Padding
        from rich.table import Table as RichTable
        from rich.text import Text

        table = table.fitted(self._console.width)
        drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
        drawn.show_header = table.has_titles
        for column in table.columns:
            drawn.add_column(
                Text(self._shown(column.title), style="dim", no_wrap=True),
                justify=column.align,
                style=column.style,
                # To rich, a column that could be wrapped is one that may be made narrower.
                no_wrap=not column.elastic,
                overflow="ellipsis",
            )
        for row in table.rows:
            drawn.add_row(*[self._text(cell) for cell in row])
        self._console.print(Padding(drawn, (0, 0, 0, table.indent)))

    def _text(self, cell: Cell) -> Text:
        from rich.text import Text

        return Text(self._shown(cell.text), cell.style, no_wrap=True, overflow="ellipsis")

    def _shown(self, text: str) -> str:
        text = visible(text)
        return text.translate(_ASCII) if self._poor else text

    def _write(self, text: str, *, ours: bool = True) -> None:
        self.stream.write(text.translate(_ASCII) if self._poor and ours else text)
