"""Many rows in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from metrics_store.rows import Row
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Rows of one INSERT statement; with 16 columns it stays well below SQLite's 32,766 parameters.
_ROWS_PER_STATEMENT = 100


def insert(connection: Connection, batch: Sequence[Row]) -> int:
    """Insert rows into the log in the transaction that is open; gives how many were new.

    executemany() lets go of the interpreter's lock at each row: beside a busy thread a row then
    cost 5.9 ms instead of 85 us.
    """
    inserted = 0
    for start in range(0, len(batch), _ROWS_PER_STATEMENT):
        part = batch[start : start + _ROWS_PER_STATEMENT]
        values = [value for row in part for value in row]
        inserted += connection.execute(_statement(len(part)), values).rowcount
    return inserted


@cache
def _statement(rows: int) -> str:
    head, _, values = query("skills.record_batch").partition("VALUES ")
    row, _, tail = values.rpartition("ON CONFLICT")
    return f"{head}VALUES {', '.join([row.strip()] * rows)} ON CONFLICT{tail}"
