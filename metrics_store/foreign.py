"""Somebody else's SQLite file: read as one view, and left as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics_store import sqlite
from metrics_store.errors import SourceError
from metrics_store.sqlite import Connection, Value

#: With what an SQLite file begins.
MAGIC = b"SQLite format 3\0"


def head_of(source: Path) -> bytes:
    """The first bytes of a file, as many as :data:`MAGIC` has.

    Raises:
        SourceError: it cannot be read, or is a database that this process has open.
    """
    try:
        # To open and close a database that this process has open would drop its locks.
        with sqlite.without_connection(str(source)) as free:
            if not free:
                raise SourceError(f"{source} is the store itself, or open in this process")
            with source.open("rb") as file:
                return file.read(len(MAGIC))
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror}") from error


@contextmanager
def opened(source: Path, *, errors: str, hint: str = "") -> Iterator[Connection]:
    """A connection that reads one view of a database, for the length of the block.

    Args:
        errors: what becomes of a text that is not UTF-8; as for ``bytes.decode``.
        hint: what the database needs, for whoever is told that it cannot be read.

    Raises:
        SourceError: it cannot be opened, or the block cannot read it.
    """
    path = os.path.realpath(source)
    try:
        connection = sqlite.connect(path, read_only=True)
    except sqlite.Error as error:
        raise SourceError(f"{source}: {error}") from error
    connection.text_factory = lambda text: text.decode("utf-8", errors)
    try:
        connection.execute("BEGIN")
        yield connection
    except (sqlite.Error, UnicodeDecodeError) as error:  # names in it need not be UTF-8
        raise SourceError(f"{source}: {error}", hint=hint) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        sqlite.close_untouched(connection, path)


def numbered(connection: Connection, sql: str) -> Iterator[tuple[int, dict[str, Value]]]:
    """The rows of a query, counted from 1, each by the names of its columns."""
    cursor = connection.execute(sql)
    columns = [column[0] for column in cursor.description]
    for number, row in enumerate(cursor, 1):
        yield number, dict(zip(columns, row, strict=True))
