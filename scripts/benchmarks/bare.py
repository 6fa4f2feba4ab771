"""The bare side: the same statement into the same log table with its indexes, without triggers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from metrics_store import MetricsStore, pragmas, schema, sqlite
from metrics_store.rows import Row
from metrics_store.settings import Durability, Settings
from metrics_store.sql import query


class BareLog:
    """A database with the store's schema but no trigger, on one connection with its pragmas."""

    def __init__(self, path: Path, durability: Durability) -> None:
        settings = Settings(database=path, durability=durability)
        self._wal = path.with_name(f"{path.name}-wal")
        self._fold_at = settings.checkpoint_mb * 1024 * 1024
        with MetricsStore(settings=settings) as store:
            self._version = schema.version(store.database)
        self._connection = sqlite.connect(str(path))
        pragmas.for_writing(self._connection, settings, str(path))
        triggers = self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        for (name,) in triggers:
            self._connection.execute(f'DROP TRIGGER "{name}"')
        self._one = query("skills.record_one")
        self._batch = query("skills.record_batch")

    def commit_each(self, rows: Iterable[Sequence[object]]) -> None:
        """Write each row in a transaction of its own; the rows are as :meth:`bound` gives them."""
        execute, statement = self._connection.execute, self._one
        for row in rows:
            execute(statement, row)

    def commit_all(self, rows: Sequence[Row]) -> None:
        """Write all rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._batch, rows)
        self._connection.execute("COMMIT")

    def bound(self, rows: Iterable[Row]) -> list[tuple[object, ...]]:
        """Rows as the statement for one row binds them."""
        return [(*row, self._version) for row in rows]

    def fold(self) -> None:
        """Fold the write-ahead log back at the size the store does; in no measurement.

        RESTART keeps the file, as the store's checkpoints do: writing over a file's blocks is
        cheaper than having new ones allocated.
        """
        if self._wal.stat().st_size >= self._fold_at:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
