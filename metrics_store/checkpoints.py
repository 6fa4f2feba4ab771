"""Folding the write-ahead log back into the database.

Ours on every version of SQLite: a checkpoint runs while this process holds the write lock, so that
no commit can reset the log under it (the "WAL-reset bug" of SQLite up to 3.51.2).
"""

from __future__ import annotations

from metrics_store import pragmas, sqlite
from metrics_store.sqlite import Connection

#: Commits between two looks at the log; a look costs 5 to 8 us.
_LOOK_EVERY = 16
#: A log this many times its due size is made to begin anew, for which readers of it are waited for,
#: this long, while nobody writes.
_TOO_LONG, _READERS_MS = 8, 50


class Checkpoints:
    """Decides when a checkpoint is due, and runs it.

    The log's file does not shrink when the log begins anew (writing over it needs no new blocks,
    which makes a commit cheaper), so its size says nothing; SQLite is asked. An SQLite that cannot
    tell is made to fold after as many looks as the log needed last time.

    Args:
        path: the database.
        limit_bytes: size of the log at which it is folded back.
    """

    def __init__(self, path: str, limit_bytes: int) -> None:
        self._path = path
        self._limit = limit_bytes // 4096
        self._connection: Connection | None = None
        self._commits = 0
        self._looks = 0
        self._looks_needed = 1
        # Frames that a reader kept from being folded: only growth beyond them counts.
        self._kept_back = 0

    @property
    def connection(self) -> Connection | None:
        """The connection it has open."""
        return self._connection

    def after_commit(self, writer: Connection, rows: int = 1) -> bool:
        """Run a checkpoint if one is due. The caller holds this process's write lock.

        A checkpoint that fails loses nothing: the records are in the log.

        Args:
            rows: how many rows the commit added, about.

        Returns:
            False if the disk failed in it.
        """
        self._commits += 1 if rows < 100 else _LOOK_EVERY
        if self._commits < _LOOK_EVERY:
            return True
        self._commits = 0
        try:
            if self._is_due(writer):
                self._run(writer)
        except sqlite.Error as error:
            return not sqlite.is_io_error(error)
        return True

    def _is_due(self, writer: Connection) -> bool:
        if sqlite.tells_frames:
            _, frames, folded = writer.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
            if folded == 0 and frames < self._kept_back:
                self._kept_back = 0  # the log has begun anew
            return bool(frames - max(folded, self._kept_back) >= self._limit)
        self._looks += 1
        return self._looks >= self._looks_needed

    def _run(self, writer: Connection) -> None:
        frames, folded = self.fold(writer)
        if frames >= self._limit * _TOO_LONG and folded == frames:
            # One reader after the other, each within the log, would keep it growing for ever.
            self.restart(_READERS_MS)
        self._kept_back = 0 if folded >= frames else frames
        # Without a look: frames per look so far tell how many looks make a full log.
        self._looks_needed = max(1, self._limit * max(self._looks, 1) // max(frames, 1))
        self._looks = 0

    def fold(self, writer: Connection) -> tuple[int, int]:
        """Fold back what no reader still needs; gives the frames of the log, and those folded.

        Raises:
            sqlite.Error: busy means that another process writes; it looks after the log too.
        """
        writer.execute("BEGIN IMMEDIATE")
        try:
            _, frames, folded = self._own().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            writer.execute("ROLLBACK")
        return frames, folded

    def restart(self, patience_ms: int, *, truncate: bool = False) -> bool:
        """Make the next commit begin the log anew; False if a reader or writer was in the way.

        SQLite takes the write lock for it by itself.

        Args:
            patience_ms: how long to wait for writers, and for readers of the log.
            truncate: and make its file empty at once.
        """
        connection = self._own()
        connection.execute(f"PRAGMA busy_timeout = {patience_ms:d}")
        try:
            kind = "TRUNCATE" if truncate else "RESTART"
            busy, _, _ = connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
        finally:
            connection.execute("PRAGMA busy_timeout = 0")
        return not busy

    def _own(self) -> Connection:
        if self._connection is None:
            connection = sqlite.connect(self._path)
            try:
                pragmas.for_checkpoints(connection)
            except sqlite.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Close its connection; the next checkpoint opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
