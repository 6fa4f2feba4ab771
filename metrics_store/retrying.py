"""Writing rows that have ids of their own, when the disk does not tell how the first try ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from metrics_store.connection import Database
from metrics_store.errors import (
    DuplicateRecord,
    OpenError,
    OutcomeUnknown,
    ReadError,
    WriteError,
)
from metrics_store.sqlite import Connection

T = TypeVar("T")


def write(database: Database, work: Callable[[Connection], T], rows: int = 1) -> T:
    """Run work in one transaction, and once more if nobody knows how that ended.

    Args:
        work: gets the connection. It passes over what is there already, for after an error of the
            disk what it wrote the first time may be there.
        rows: how many rows it will add, about.

    Raises:
        OutcomeUnknown: the second try failed too, so it is still not known how the first ended.
        Otherwise as :meth:`Database.write`.
    """
    try:
        return database.write(work, rows=rows)
    except OutcomeUnknown as unknown:
        return again(database, work, unknown, rows)


def again(
    database: Database, work: Callable[[Connection], T], unknown: OutcomeUnknown, rows: int = 1
) -> T:
    """Run work, the outcome of whose first try is not known, once more; as :func:`write`.

    Args:
        unknown: the first try's error.
    """
    try:
        return database.write(work, rows=rows)
    except DuplicateRecord:
        raise  # the id is another record's: that much is known
    except (WriteError, ReadError, OpenError) as error:
        raise unknown from error
