"""What commands share: the options --db and --json, and opening the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from metrics_store import clock
from metrics_store.errors import InvalidQuery, InvalidValue, UsageError
from metrics_store.render.text import visible
from metrics_store.store import MetricsStore

PROGRAM = "metrics-store"
FOUND_A_PROBLEM = 1
_KEY = "metrics_store.database"


class NothingDone(UsageError):
    """Nothing was done."""


def _nearest(context: typer.Context, value: Path | None) -> Path | None:
    # Each level of the command may bear --db; the one furthest in wins.
    if value is not None:
        context.meta[_KEY] = value
    nearest: Path | None = context.meta.get(_KEY)
    return nearest


Database = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="FILE",
        callback=_nearest,
        help="The store; may stand anywhere on the command line.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def open_store(database: Path | None, *, create: bool = False) -> MetricsStore:
    """The store that the command line names, or the configured one.

    Raises:
        OpenError, SchemaError: as :class:`MetricsStore`.
    """
    return MetricsStore(database, create=create)


def say(*lines: str) -> None:
    """Tell the person something that is not data."""
    for line in lines:
        sys.stderr.write(visible(line) + "\n")


def moment(name: str, text: str | None, now_us: int, *, end: bool = False) -> str | None:
    """The moment that an option means.

    Args:
        name: the option.
        text: ISO 8601, without an offset meant as UTC; or a span before now, such as ``2 days``.
        now_us: microseconds since 1970.
        end: a day without a time means its end.

    Raises:
        InvalidValue: it is neither.
    """
    from metrics_store import windows

    if text is None:
        return None
    try:
        return clock.text(max(clock.MIN_US, now_us - round(windows.seconds(text) * 1e6)))
    except InvalidQuery:
        pass
    written = text.strip()
    if len(written) == 10:
        written += "T23:59:59.999999" if end else "T00:00:00"
    for candidate in (written, f"{written}+00:00"):
        try:
            us = clock.parse(candidate)
        except (ValueError, OverflowError):
            continue
        if clock.MIN_US <= us <= clock.MAX_US:
            return clock.text(us)
    raise InvalidValue(
        f"{name} {text!r}", hint="Such as 2026-01-31, 2026-01-31T12:00+01:00, or '2 days'."
    )
