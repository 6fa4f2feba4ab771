"""The signs of a migration's pages, and sentences that stay in their column."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell
from metrics_store.render.text import visible

_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True, slots=True)
class Signs:
    """Signs that a stream can show."""

    met: str
    unmet: str
    warning: str
    passed: str
    here: str
    ahead: str
    trodden: str
    way: str
    todo: str


_ALL = Signs("✓", "✗", "!", "●", "◉", "○", "━", "─", "→")
_ASCII = Signs("+", "x", "!", "*", "@", "o", "=", "-", "->")


def signs(screen: Screen) -> Signs:
    """The signs for a stream: letters alone where its encoding has no others."""
    utf = "utf" in (screen.stream.encoding or "utf-8").lower()
    return _ALL if utf else _ASCII


def hanging(screen: Screen, lead: Sequence[Cell], text: str, style: str = "") -> None:
    """Write a text whose further lines begin below its first word.

    Args:
        lead: what stands before it.
        style: of the text.
    """
    column = sum(cell_len(visible(cell.text)) for cell in lead)
    shown = _MOMENT.sub(lambda match: f"{figures.moment(match[0])} UTC", visible(text))
    lines = [shown]
    if screen.width is not None and screen.width > column + 20:
        lines = textwrap.wrap(
            shown, screen.width - column, break_long_words=False, break_on_hyphens=False
        ) or [""]
    screen.line(*lead, Cell(lines[0], style))
    for line in lines[1:]:
        screen.line(" " * column, Cell(line, style))


def command(screen: Screen, text: str, indent: int = 2) -> None:
    """Write a command to type, in one line."""
    screen.line(Cell(f"{' ' * indent}{text}", "cyan"), wrap=False)
