"""The one writing connection of a process to a store, behind a lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from metrics_store import opening, sqlite
from metrics_store.checkpoints import Checkpoints
from metrics_store.clock import Clock
from metrics_store.errors import ForkedInUse, StoreBusy, StoreClosed, WriteError
from metrics_store.settings import Settings
from metrics_store.slow_calls import Note, SlowCalls
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.waiting import Patience
from metrics_store.wakeups import Wakeups

T = TypeVar("T")


class Writer:
    """Runs one write after the other, looks after the log, and starts anew after an I/O error.

    Args:
        path: the database.
        settings: how it is kept.
        clock: source of time.
        patience: how long to wait for locks.
    """

    def __init__(self, path: str, settings: Settings, clock: Clock, patience: Patience) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._patience = patience
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._connection: Connection | None = None
        self._wakeups = Wakeups(path, clock)
        self._checkpoints = Checkpoints(path, round(settings.checkpoint_mb * 1024 * 1024))
        self._closed = False
        # After an I/O error: what was written but not synced may never reach the disk.
        self._suspect = False

    def open(self) -> int:
        """Open the connection, rather than at the first write, and give the schema's version.

        Raises:
            OpenError: it cannot be opened.
        """
        deadline = self._patience.deadline()
        connection = self._open(deadline)
        try:
            (version,) = self._patience.patiently(
                lambda: connection.execute("PRAGMA user_version").fetchone(), deadline
            )
        except sqlite.Error as error:
            raise opening.failed(self._path, error) from error
        return int(version)

    def _open(self, deadline: int) -> Connection:
        self._connection = opening.writer(self._path, self._settings, self._patience, deadline)
        return self._connection

    def run(self, work: Callable[[Connection, int], T], rows: int) -> T:
        """Run work alone; it opens and ends its transaction.

        Args:
            work: gets the connection, and the deadline for what it waits for.
            rows: how many rows it will add, about.

        Raises:
            StoreBusy: the lock was not had in time.
            StoreClosed: it was closed meanwhile.
            sqlite.Error: what SQLite said; nothing is left open.
        """
        deadline = self._patience.deadline()
        self._take_lock(deadline)
        try:
            self._holder = threading.get_ident()
            if self._closed:
                raise StoreClosed(self._path)
            connection = self._connection or self._open(deadline)
            if self._suspect:
                self._begin_log_anew(deadline)
            result = self._tried(work, connection, deadline)
            self._suspect = not self._checkpoints.after_commit(connection, rows)
            return result
        finally:
            try:
                self._wakeups.done()
            finally:
                self._holder = None
                self._lock.release()

    def patiently(self, attempt: Callable[[], T], deadline: int) -> T:
        """Within :meth:`run`, try until the write lock is had; who lets it go wakes us."""
        return self._patience.patiently(attempt, deadline, self._wakeups.wait)

    def _begin_log_anew(self, deadline: int) -> None:
        """Bring what the log has to the store's own file, so that the next commit needs none of it.

        Linux drops the pages of a sync that failed: they still read well, and no later sync writes
        them. A commit after them would be acknowledged, and lost in a power cut with all before it.
        """
        try:
            done = self._checkpoints.restart(self._left_ms(deadline), truncate=True)
        except sqlite.Error as error:
            raise WriteError(
                f"{self._path}: the disk failed before, and does so still: {error}",
                hint="Look at the disk (dmesg); what was acknowledged before can be read.",
            ) from error
        if not done:
            raise StoreBusy(
                f"{self._path}: a reader or writer was in the way",
                hint="After an error of the disk the log has to begin anew; try again.",
            )
        self._suspect = False

    def checkpoint(self, *, truncate: bool = False) -> tuple[int, int, bool]:
        """Fold the log back into the store.

        Args:
            truncate: and make its file empty, for which readers of it are waited for.

        Returns:
            The frames of the log, those folded back, and whether its file was made empty.

        Raises:
            As :meth:`run`.
        """

        def work(connection: Connection, deadline: int) -> tuple[int, int, bool]:
            frames, folded = self.patiently(lambda: self._checkpoints.fold(connection), deadline)
            left = self._left_ms(deadline)
            return frames, folded, truncate and self._checkpoints.restart(left, truncate=True)

        return self.run(work, 0)

    def _left_ms(self, deadline: int) -> int:
        return max(0, deadline - self._clock.monotonic_us()) // 1000

    def _tried(self, work: Callable[[Connection, int], T], connection: Connection, by: int) -> T:
        for again in (True, False):
            try:
                return work(connection, by)
            except BaseException as error:
                self._undo(connection, error)
                # A VACUUM or CREATE INDEX of another process makes SQLite read the schema anew in
                # the midst of preparing a statement, and it then misses a table that is there.
                if not (again and sqlite.code(error) in (1, 17) and self._connection is connection):
                    raise
        raise AssertionError("the second try returns or raises")

    def _take_lock(self, deadline: int) -> None:
        # Waiting for a thread of this process counts as waiting for another process does.
        if self._lock.acquire(blocking=False):
            return
        now = self._clock.monotonic_us()
        acquired = self._lock.acquire(timeout=max(0.0, (deadline - now) / 1e6))
        self._patience.waited(now)
        if not acquired:
            raise StoreBusy(f"{self._path}: waited {self._patience.seconds:g} s")

    def require_own_process(self) -> None:
        """Refuse to go on in a child that was forked in the midst of a transaction."""
        if os.getpid() != self._pid:
            raise ForkedInUse(self._path)

    def _undo(self, connection: Connection, error: BaseException) -> None:
        if os.getpid() != self._pid:
            return  # a child forked in the midst of it: the transaction is the parent's
        if connection.in_transaction:
            with suppress(sqlite.Error):
                connection.execute("ROLLBACK")
        self._suspect = self._suspect or sqlite.is_io_error(error)
        if sqlite.code(error) in (10, 11) or connection.in_transaction:
            # After an I/O error the page cache and the log's index cannot be trusted: start anew.
            connection.close()
            self._connection = None

    def note(self, slow: SlowCalls, version: int, *, now: bool = False) -> None:
        """Note slow calls in the store, if that can be done at once; else the next one does it.

        Args:
            slow: where they wait.
            version: the schema version of this process.
            now: however short ago some were noted.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            connection = self._connection
            if connection is not None and (notes := slow.due(now=now)):
                self._write_down(connection, notes, slow, version)
                self._wakeups.done()
        finally:
            self._lock.release()

    def _write_down(
        self, connection: Connection, notes: list[Note], slow: SlowCalls, version: int
    ) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] == version:
                connection.executemany(query("slow_calls.note"), notes)
                connection.execute(query("slow_calls.forget"))
            connection.execute("COMMIT")
        except sqlite.Error as error:
            self._undo(connection, error)
            slow.keep(notes, error)

    # Closing, and forking

    def shut(self, timeout: float = -1) -> bool:
        """Let nobody write until :meth:`release`; False if somebody does and does not end in time.

        Args:
            timeout: seconds; by default as long as it takes.
        """
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        """Let everybody write again."""
        self._pid = os.getpid()
        self._lock.release()

    def is_mine(self) -> bool:
        """Whether this thread is in the midst of a write."""
        return self._holder == threading.get_ident()

    def close(self, *, for_ever: bool = False) -> None:
        """Close what is open. The caller has shut it.

        Args:
            for_ever: and do not open it again.
        """
        self._closed = self._closed or for_ever
        self._checkpoints.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if for_ever:
            self._wakeups.close()

    def renew(self) -> None:
        """Open the connection anew at the next write.

        pysqlite3 keeps 256 prepared statements, and once it has had so many, as migrations have,
        each new one takes the place of the newest: a write then prepared its own anew every time,
        1 ms instead of 0.2.
        """
        with self._lock:
            self.close()

    def connections(self) -> list[Connection]:
        """What is open."""
        both = (self._connection, self._checkpoints.connection)
        return [connection for connection in both if connection is not None]
