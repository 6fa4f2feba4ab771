"""Records as they stand in users' files: rows of SQLite tables, or lines of JSON."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple, cast

from metrics_store import foreign
from metrics_store.agents.forms import FORMS
from metrics_store.errors import SourceError
from metrics_store.sql import query

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
    head = foreign.head_of(source)
    if head == foreign.MAGIC:
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
    # Where a text is not UTF-8, the rest of it still is.
    with foreign.opened(source, errors="replace") as connection:
        there = {name for (name,) in connection.execute(query("agents.source_tables"))}
        tables = [name for name in FORMS if name in there]
        if not tables:
            raise SourceError(
                f"{source} has none of these tables", hint=f"It needs {', '.join(FORMS)}: one."
            )
        for table in tables:
            sql = query("agents.source_rows").format(table=table)
            for number, said in foreign.numbered(connection, sql):
                yield Raw(f"{table}, row {number:,}", table, said)
