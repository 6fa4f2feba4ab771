"""Writing to the log of any family, within the transaction that is open."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import TypeVar

from metrics_store import rows
from metrics_store.errors import DuplicateRecord, InvalidValue
from metrics_store.families import Family
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

#: From so many rows on they are counted together: half of a single row's time is its trigger.
_TOGETHER = 8
#: Parameters of one statement, at most; SQLite allows 32,766.
_PARAMETERS = 16_000

Content = Sequence[Value]
T = TypeVar("T")


def append(connection: Connection, family: Family, contents: Sequence[Content]) -> int:
    """Write rows to a family's log, each with its digest; those that are there are passed over.

    Args:
        connection: in a write transaction.
        family: whose log it is.
        contents: of each row the values of ``family.columns``, as SQLite will store them: a float
            for a REAL column, NULL as None.

    Returns:
        How many rows were new.
    """
    together = len(contents) >= _TOGETHER
    if together:
        after = connection.execute(query("logs.last").format(table=family.table)).fetchone()[0]
        connection.execute(query("logs.defer"), (family.name, after))
    inserted = start = 0
    for size in _sizes(len(family.columns) + 1):
        while len(contents) - start >= size:
            values: list[Value] = []
            for content in contents[start : start + size]:
                values += content
                values.append(rows.digest(content))
            inserted += connection.execute(
                _statement(family.table, family.columns, size), values
            ).rowcount
            start += size
    if together:
        if not family.fold_trigger:
            connection.execute(family.folded(after))
        connection.execute(query("logs.fold"), (family.name,))
    return inserted


def several(name: str, given: object) -> Iterable[Mapping[str, object]]:
    """Records that are given together.

    Args:
        name: what errors call them.

    Raises:
        InvalidValue: it is nothing that has records one after the other.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidValue(f"{name} is {type(given).__name__}, not a list of records")
    return given


def batches(contents: Iterable[T], size: int | None) -> Iterator[list[T]]:
    """Rows by so many; None makes all of them one batch.

    Raises:
        InvalidValue: the size is no whole number from 1 on.
    """
    if size is not None and (type(size) is not int or size < 1):
        raise InvalidValue(f"batch_size is {size!r:.60}", hint="It is a whole number, 1 or more.")
    remaining = iter(contents)
    most = None if size is None else min(size, sys.maxsize)
    while batch := list(islice(remaining, most)):
        yield batch


def append_one(connection: Connection, family: Family, content: Content) -> None:
    """Write one row to a family's log; the very same under its id again changes nothing.

    Raises:
        DuplicateRecord: the id, which is the first of its columns, belongs to another record.
    """
    if append(connection, family, (content,)):
        return
    sql = query("logs.digest_of").format(table=family.table, key=family.columns[0])
    found = connection.execute(sql, (content[0],)).fetchone()
    if found is None or found[0] != rows.digest(content):
        raise DuplicateRecord(str(content[0]))


def retired(connection: Connection, family: Family, ids: Sequence[str]) -> frozenset[str]:
    """Which of some ids retention has deleted from a family's log: an import passes them over."""
    if not connection.execute(query("logs.has_retired"), (family.name,)).fetchone():
        return frozenset()
    found = connection.execute(query("logs.retired"), (family.name, json.dumps(ids)))
    return frozenset(name for (name,) in found)


def horizon(connection: Connection, family: Family) -> str:
    """The moment (UTC text) before which retention has deleted a family's rows; ``""`` if none.

    An import of rows without ids of their own passes over those of before it: they may have been
    counted.
    """
    row = connection.execute(query("logs.horizon"), (family.name,)).fetchone()
    return "" if row is None else str(row[0])


@cache
def _sizes(columns: int) -> tuple[int, ...]:
    """Rows of one statement: few sizes, so that few statements are kept prepared."""
    most = min(500, _PARAMETERS // columns)
    return tuple(size for size in (most, 50, 10, 1) if size <= most)


@cache
def _statement(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * (len(columns) + 1))})"
    return query("logs.append").format(
        table=table, columns=", ".join(columns), rows=", ".join([row] * count)
    )
