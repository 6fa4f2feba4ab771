"""Folding the write-ahead log back into the database.

Ours on every version of SQLite: a checkpoint runs while this process holds the write lock, so that
no commit can reset the log under it (the "WAL-reset bug" of SQLite up to 3.51.2).
"""

from __future__ import annotations

from contextlib import suppress

from metrics_store import pragmas, sqlite
from metrics_store.sqlite import Connection

#: Frames per changed row until the first checkpoint has told: more than a single record needs.
_FIRST_GUESS = 1.0


class Checkpoints:
    """Decides when a checkpoint is due, and runs it.

    The log's file does not shrink when the log begins anew (writing over it needs no new blocks,
    which makes a commit cheaper), so its size says nothing. How far it has grown is reckoned from
    the rows this process changed, at the rate the last checkpoint found; other processes' commits
    are in that rate too.

    Args:
        path: the database.
        limit_bytes: size of the log at which it is folded back.
    """

    def __init__(self, path: str, limit_bytes: int) -> None:
        self._path = path
        self._limit = limit_bytes // 4096
        self._connection: Connection | None = None
        self._rate = _FIRST_GUESS
        self._changes_then = 0
        self._left_over = 0

    @property
    def connection(self) -> Connection | None:
        """The connection it has open."""
        return self._connection

    def after_commit(self, writer: Connection) -> None:
        """Run a checkpoint if one is due. The caller holds this process's write lock.

        A checkpoint that fails loses nothing: the records are in the log, and a lasting fault
        shows at the next commit.
        """
        changes = writer.total_changes - self._changes_then
        if changes < 0:  # the writer was opened anew
            self._changes_then, changes = 0, writer.total_changes
        if changes * self._rate < self._limit:
            return
        with suppress(sqlite.Error):
            self._run(writer, changes)

    def _run(self, writer: Connection, changes: int) -> None:
        if self._connection is None:
            connection = sqlite.connect(self._path)
            try:
                pragmas.for_checkpoints(connection)
            except sqlite.Error:
                connection.close()
                raise
            self._connection = connection
        self._changes_then = writer.total_changes
        # Busy means that another process writes: it looks after the log too.
        writer.execute("BEGIN IMMEDIATE")
        try:
            _, frames, folded = self._connection.execute(
                "PRAGMA wal_checkpoint(PASSIVE)"
            ).fetchone()
        finally:
            writer.execute("ROLLBACK")
        # A reader may keep the log from being folded whole; then only its growth counts.
        grown = frames - self._left_over if frames > self._left_over else frames
        self._rate = max(grown, 1) / max(changes, 1)
        self._left_over = 0 if folded >= frames else frames

    def close(self) -> None:
        """Close its connection; the next checkpoint opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
