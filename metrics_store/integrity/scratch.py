"""A database of our own in a temporary folder: what is compared need not fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metrics_store import sqlite
from metrics_store.integrity.expected import Expected
from metrics_store.sqlite import Connection

#: What of it is kept in memory.
CACHE_KIB = 16_384


@contextmanager
def scratch(due: Expected, *tables: str) -> Iterator[Connection]:
    """A database that has some of the schema's tables, empty, and goes with the block.

    Args:
        due: has the tables' SQL.
        tables: their names.

    Raises:
        Error: of SQLite: there is no room in the temporary folder, say.
    """
    # A folder and not a temporary database: some builds of SQLite keep those in memory.
    with tempfile.TemporaryDirectory(prefix="metrics-store-check-") as folder:
        connection = sqlite.connect(str(Path(folder) / "scratch.db"))
        try:
            # It is worth nothing after a crash.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA cache_size = {-CACHE_KIB:d}")
            connection.execute("BEGIN")
            for table in tables:
                connection.execute(due.objects["table", table].sql)
            yield connection
        finally:
            with suppress(sqlite.Error):
                connection.close()
