"""Many rows in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from metrics_store import logs
from metrics_store.families.skills import SKILLS
from metrics_store.rows import Row
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Rows of one INSERT statement; with 16 columns 1,000 stay below SQLite's 32,766 parameters. A few
#: fixed sizes, so that few statements are kept prepared.
_SIZES = (1000, 100, 10, 1)


def insert(connection: Connection, batch: Sequence[Row]) -> int:
    """Insert rows into the log in the transaction that is open; gives how many were new.

    Rows that retention has deleted are not: they were counted.

    Every call into SQLite lets go of the interpreter's lock, and beside a busy thread gets it back
    5 ms later: executemany() does so at each row.
    """
    if gone := logs.retired(connection, SKILLS, [row.id for row in batch]):
        batch = [row for row in batch if row.id not in gone]
    inserted = start = 0
    for size in _SIZES:
        while len(batch) - start >= size:
            values = [value for row in batch[start : start + size] for value in row]
            inserted += connection.execute(_statement(size), values).rowcount
            start += size
    return inserted


@cache
def _statement(rows: int) -> str:
    head, _, values = query("skills.record_batch").partition("VALUES ")
    row, _, tail = values.rpartition("ON CONFLICT")
    return f"{head}VALUES {', '.join([row.strip()] * rows)} ON CONFLICT{tail}"
