"""What commands share: the options --db and --json, and opening the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from metrics_store import clock
from metrics_store.clock import Clock
from metrics_store.connection import Database as Connections
from metrics_store.errors import (
    DiskFailed,
    DiskFull,
    InvalidQuery,
    InvalidValue,
    StoreNotFound,
    StoreNotWritable,
    UsageError,
)
from metrics_store.render.text import visible
from metrics_store.settings import Settings
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
        readable=False,  # whether it can be read, the store says better
        callback=_nearest,
        help="The store; may stand anywhere on the command line.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def open_store(
    database: Path | None, *, create: bool = False, writing: bool = False
) -> MetricsStore:
    """The store that the command line names, or the configured one.

    Args:
        create: make it if there is none.
        writing: it is to be written; else, where it cannot be, it is opened for reading alone.

    Raises:
        OpenError, SchemaError: as :class:`MetricsStore`.
    """
    settings = Settings.load(database)
    try:
        with _backups_named(settings):
            return MetricsStore(settings=settings, create=create)
    except (StoreNotWritable, DiskFull, DiskFailed) as error:
        if create or writing:
            raise
        store = MetricsStore(settings=settings, read_only=True)
        say(f"{store.path} cannot be written: it is read as it is. ({error})")
        return store


@contextmanager
def open_database(database: Path | None, *, or_read_only: bool = False) -> Iterator[Connections]:
    """The connections to the store, whatever its schema: nothing that is pending is applied.

    Args:
        database: the store that the command line names.
        or_read_only: where it cannot be written, open it for reading alone.

    Raises:
        OpenError: as :class:`metrics_store.connection.Database`.
    """
    settings = Settings.load(database)
    try:
        with _backups_named(settings):
            opened = Connections(settings, Clock(), create=False)
    except (StoreNotWritable, DiskFull, DiskFailed):
        if not or_read_only:
            raise
        opened = Connections(settings, Clock(), create=False, read_only=True)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _backups_named(settings: Settings) -> Iterator[None]:
    """Where the store is gone but backups of it are there, say so rather than make a new one."""
    lost = False
    with suppress(OSError):
        lost = not os.path.exists(settings.database) and any(settings.backups.glob("*.db.json"))
    try:
        yield
    except StoreNotFound as error:
        if lost:
            error.hint = "There are backups of it: metrics-store backup list, then restore FILE."
        raise
    else:
        if lost:
            say(
                "A new store was made, though there are backups of one that was here:",
                "metrics-store backup list, then restore FILE.",
            )


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
