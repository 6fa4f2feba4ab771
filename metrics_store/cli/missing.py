"""What commands say of a name that the store has never heard of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

import typer

from metrics_store.cli.options import FOUND_A_PROBLEM, say


def not_found(message: str, hint: str) -> NoReturn:
    """Say what is not there, and end with exit code 1."""
    say(f"error: {message}", f"hint: {hint}")
    raise typer.Exit(FOUND_A_PROBLEM)


def meant(name: str, known: Iterable[str], otherwise: str) -> str:
    """A hint: which of the known names is nearly this one; if none is, another hint."""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(folded[one] for one in close)}?" if close else otherwise
