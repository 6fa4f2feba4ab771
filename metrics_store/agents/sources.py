"""Records as they stand in users' files: rows of SQLite tables, or lines of JSON."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from metrics_store import sqlite
from metrics_store.agents.forms import FORMS
from metrics_store.errors import SourceError
from metrics_store.sql import query

_SQLITE = b"SQLite format 3\0"
_GZIP = b"\x1f\x8b"
#: Longest line, in bytes.
_LONGEST = 64 << 20


class Raw(NamedTuple):
    """A record, where it stands, and of which table it is if that is known.

    Args:
        said: what it says by its names, or why it is no record.
    """

    place: str
    table: str | None
    said: Mapping[str, object] | str


def records(source: Path) -> Iterator[Raw]:
    """Every record of a file.

    Raises:
        SourceError: it cannot be read.
    """
    if str(source) == "-":
        yield from _lines(sys.stdin.buffer, "-")
        return
    try:
        # To open and close a database that this process has open would drop its locks.
        with sqlite.without_connection(str(source)) as free:
            if not free:
                raise SourceError(f"{source} is the store itself, or open in this process")
            with source.open("rb") as file:
                head = file.read(len(_SQLITE))
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror}") from error
    if head == _SQLITE:
        yield from _rows(source)
        return
    try:
        with source.open("rb") as file:
            text = gzip.GzipFile(fileobj=file) if head.startswith(_GZIP) else file
            yield from _lines(cast("IO[bytes]", text), source.name)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{source}: {error}") from error


def _lines(file: IO[bytes], name: str) -> Iterator[Raw]:
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        if not line.strip():
            continue
        place = f"{name}, line {number:,}"
        try:
            found = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            torn = "" if line.endswith(b"\n") else "it is torn: "
            yield Raw(place, None, f"{torn}{error!s:.120}")
            continue
        if isinstance(found, dict):
            yield Raw(place, None, found)
        else:
            yield Raw(place, None, f"it is {type(found).__name__}, not an object")


def _rows(source: Path) -> Iterator[Raw]:
    with _foreign(source) as connection:
        there = {name for (name,) in connection.execute(query("agents.source_tables"))}
        tables = [name for name in FORMS if name in there]
        if not tables:
            raise SourceError(
                f"{source} has none of these tables", hint=f"It needs {', '.join(FORMS)}: one."
            )
        for table in tables:
            cursor = connection.execute(query("agents.source_rows").format(table=table))
            columns = [column[0] for column in cursor.description]
            for number, row in enumerate(cursor, 1):
                said = dict(zip(columns, row, strict=True))
                yield Raw(f"{table}, row {number:,}", table, said)


@contextmanager
def _foreign(source: Path) -> Iterator[sqlite.Connection]:
    """Somebody else's database, read and left as it is."""
    path = str(source.resolve())
    try:
        connection = sqlite.connect(path, read_only=True)
    except sqlite.Error as error:
        raise SourceError(f"{source}: {error}") from error
    # Where a text is not UTF-8, the rest of it still is.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        connection.execute("BEGIN")
        yield connection
    except sqlite.Error as error:
        raise SourceError(f"{source}: {error}") from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        sqlite.close_untouched(connection, path)
