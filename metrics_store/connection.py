"""Connections to one database: one writer behind a lock, one reader per thread.

Only the store's public methods open transactions, and all of them through :meth:`Database.write`,
:meth:`Database.write_one` and :meth:`Database.read`.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from metrics_store import forking, location, pragmas, sqlite
from metrics_store.checkpoints import Checkpoints
from metrics_store.clock import Clock
from metrics_store.errors import ForkedInUse, SchemaError, SchemaNewer, StoreBusy, StoreClosed
from metrics_store.readers import Kind, Readers
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection, Value

T = TypeVar("T")


#: Per thread, the longest wait for a lock whatever the settings say.
_limits = threading.local()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Within the block no call of this thread waits longer for a lock than this.

    Args:
        seconds: the limit; a store's own ``busy_timeout`` stands if it is shorter.
    """
    before = getattr(_limits, "seconds", None)
    _limits.seconds = seconds if before is None else min(before, seconds)
    try:
        yield
    finally:
        _limits.seconds = before


#: Seconds that a fork waits for what runs on a database to end.
_FORK_PATIENCE = 5.0


class Database:
    """One database file, opened by this process.

    Args:
        settings: where it lies and how it is kept.
        clock: source of time for waiting.
        create: make the file if there is none.

    Raises:
        OpenError: see :mod:`metrics_store.errors`.
    """

    def __init__(self, settings: Settings, clock: Clock, *, create: bool = True) -> None:
        self.settings = settings
        self.clock = clock
        #: The schema version this process writes; the store sets it once the schema is right.
        self.schema_version = 0
        self._closed = False
        with location.OPENING:
            forking.refuse_inherited(settings.database)
            self.path = location.prepare(
                settings.database, create=create, allow_network=settings.allow_network_filesystem
            )
            self.pid = os.getpid()
            self._lock = threading.Lock()
            self._holder: int | None = None
            self._readers = Readers(self._open_reader)
            limit = round(settings.checkpoint_mb * 1024 * 1024)
            self._checkpoints = Checkpoints(self.path, limit)
            self._writer: Connection | None = self._open_writer(self._deadline())
        forking.register(self)

    # Opening and closing

    def _open_writer(self, deadline: int) -> Connection:
        try:
            connection = sqlite.connect(self.path)
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=True, where=self.path) from error
        try:
            self._patiently(
                lambda: pragmas.for_writing(connection, self.settings, self.path), deadline
            )
        except sqlite.Error as error:
            connection.close()
            raise sqlite.translated(error, writing=True, where=self.path) from error
        except BaseException:
            # A file that is not ours is left as it was: closing would fold its log back.
            sqlite.close_untouched(connection, self.path)
            raise
        return connection

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def close(self) -> None:
        """Close every connection of this process, once what runs on them has ended.

        Closing twice does nothing.
        """
        if self._closed:
            return
        if os.getpid() != self.pid:
            self._closed = True  # what is open is the parent's
            return
        with self._lock:
            self._closed = True
            self._readers.shut()
            try:
                self._close_connections()
            finally:
                self._readers.open()

    def _close_connections(self) -> None:
        self._readers.close()
        self._checkpoints.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def before_fork(self) -> bool:
        """Close everything; False if somebody is inside and does not leave in time."""
        if self._holder == threading.get_ident() or self._readers.in_view():
            return False
        if not self._lock.acquire(timeout=_FORK_PATIENCE):
            return False
        if not self._readers.shut(timeout=_FORK_PATIENCE):
            self._lock.release()
            return False
        self._close_connections()
        return True

    def after_fork(self) -> None:
        """Go on; connections are opened when they are next needed."""
        self.pid = os.getpid()
        self._readers.open()
        self._lock.release()

    def keep_for_ever(self) -> None:
        """In a child that inherited it open: never close what is the parent's."""
        forking.keep_for_ever(
            self._writer, self._checkpoints.connection, *self._readers.connections()
        )

    def _own(self) -> None:
        if self._closed:
            raise StoreClosed(self.path)
        if os.getpid() != self.pid:
            self.keep_for_ever()
            raise ForkedInUse(self.path)

    # Writing

    def write(
        self, work: Callable[[Connection], T], *, check_schema: bool = True, rows: int = 1
    ) -> T:
        """Run work in one transaction that holds the write lock from its start.

        Args:
            work: gets the connection.
            check_schema: refuse if another process has changed the schema.
            rows: how many rows it will add, about: the log is looked after accordingly.

        Raises:
            StoreBusy: the lock was not had within ``busy_timeout``.
            SchemaNewer: another process has applied a newer migration.
            DiskFull, OutcomeUnknown, WriteError: nothing was kept, or (OutcomeUnknown) perhaps.
        """

        def transaction(connection: Connection, deadline: int) -> T:
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"), deadline)
            if check_schema:
                self._check_schema(connection)
            result = work(connection)
            self._require_own_process()
            connection.execute("COMMIT")
            return result

        return self._written(transaction, rows)

    def write_one(self, sql: str, values: Sequence[Value], *, flush: bool = True) -> int:
        """Run one statement as a transaction of its own, and give the number of rows it changed.

        Args:
            sql: one INSERT, UPDATE or DELETE; it checks the schema version by itself.
            values: its parameters.
            flush: False leaves reaching the disk to the next commit.

        Raises:
            As :meth:`write`.
        """

        def statement(connection: Connection, deadline: int) -> int:
            relaxed = not flush and self.settings.durability == "full"
            if relaxed:
                connection.execute("PRAGMA synchronous = NORMAL")
            try:
                return self._patiently(lambda: connection.execute(sql, values), deadline).rowcount
            finally:
                if relaxed:
                    connection.execute("PRAGMA synchronous = FULL")

        return self._written(statement)

    def _written(self, work: Callable[[Connection, int], T], rows: int = 1) -> T:
        self._own()
        deadline = self._deadline()
        self._take_lock(deadline)
        try:
            self._holder = threading.get_ident()
            if self._closed:
                raise StoreClosed(self.path)
            connection = self._writer
            if connection is None:
                connection = self._writer = self._open_writer(deadline)
            try:
                result = self._tried(work, connection, deadline)
            except sqlite.Error as error:
                raise self._translated(error) from error
            self._checkpoints.after_commit(connection, rows)
            return result
        finally:
            self._holder = None
            self._lock.release()

    def _tried(self, work: Callable[[Connection, int], T], connection: Connection, by: int) -> T:
        for again in (True, False):
            try:
                return work(connection, by)
            except BaseException as error:
                self._undo(connection, error)
                # A VACUUM or CREATE INDEX of another process makes SQLite read the schema anew in
                # the midst of preparing a statement, and it then misses a table that is there.
                if not (again and sqlite.code(error) in (1, 17) and self._writer is connection):
                    raise
        raise AssertionError("the second try returns or raises")

    def _take_lock(self, deadline: int) -> None:
        # Waiting for a thread of this process counts as waiting for another process does.
        if self._lock.acquire(blocking=False):
            return
        left = max(0.0, (deadline - self.clock.monotonic_us()) / 1e6)
        if not self._lock.acquire(timeout=left):
            raise StoreBusy(f"{self.path}: waited {self._patience():g} s")

    def _require_own_process(self) -> None:
        if os.getpid() != self.pid:
            raise ForkedInUse(self.path)

    def _undo(self, connection: Connection, error: BaseException) -> None:
        if os.getpid() != self.pid:
            return  # a child forked in the midst of it: the transaction is the parent's
        if connection.in_transaction:
            with suppress(sqlite.Error):
                connection.execute("ROLLBACK")
        if sqlite.code(error) in (10, 11) or connection.in_transaction:
            # After an I/O error the page cache and the log's index cannot be trusted: start anew.
            connection.close()
            self._writer = None

    def _translated(self, error: Exception) -> Exception:
        if sqlite.code(error) in (1, 17) and self.schema_version:  # SQLITE_ERROR, SQLITE_SCHEMA
            # "no such table": perhaps another process changed the schema.
            with suppress(Exception), self.read(check_schema=False) as connection:
                found = connection.execute("PRAGMA user_version").fetchone()[0]
                if found != self.schema_version:
                    return self.refusal(found)
        waited = self._patience()
        return sqlite.translated(error, writing=True, where=self.path, waited=waited)

    def _check_schema(self, connection: Connection) -> None:
        found = self._patiently(
            lambda: connection.execute("PRAGMA user_version").fetchone()[0], self._deadline()
        )
        if found != self.schema_version:
            raise self.refusal(found)

    def refusal(self, found: int) -> SchemaError:
        """The error for a schema version that is not the one this process opened."""
        detail = f"{self.path} has schema {found}, this process knows {self.schema_version}"
        if found > self.schema_version:
            return SchemaNewer(detail)
        return SchemaError(detail, hint="It was rolled back meanwhile: open the store again.")

    def _patience(self) -> float:
        limit = getattr(_limits, "seconds", None)
        longest = self.settings.busy_timeout
        return longest if limit is None else min(longest, limit)

    def _deadline(self) -> int:
        return self.clock.monotonic_us() + round(self._patience() * 1e6)

    def _patiently(self, attempt: Callable[[], T], deadline: int) -> T:
        """Try until a lock is had. Short jittered waits share a contended lock most fairly."""
        while True:
            try:
                return attempt()
            except sqlite.OperationalError as error:
                if not sqlite.is_busy(error) or self.clock.monotonic_us() >= deadline:
                    raise
                self.clock.sleep(random.uniform(0.0005, 0.002))

    # Reading

    @contextmanager
    def read(self, *, check_schema: bool = True, guarded: bool = False) -> Iterator[Connection]:
        """One consistent view of the database for the length of the block.

        Args:
            check_schema: refuse if another process has changed the schema.
            guarded: the statements are somebody else's: only reading is possible.

        Raises:
            ReadError, CorruptStore, StoreBusy: the store cannot be read.
        """
        self._own()
        try:
            with self._readers.view("guarded" if guarded else "reader") as (connection, new):
                if check_schema and new:
                    self._check_schema(connection)
                yield connection
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=False, where=self.path) from error

    def _open_reader(self, kind: Kind) -> Connection:
        if self._closed:
            raise StoreClosed(self.path)
        connection = sqlite.connect(self.path, read_only=kind == "guarded")
        try:
            self._patiently(
                lambda: pragmas.for_reading(connection, self.settings), self._deadline()
            )
        except sqlite.Error:
            connection.close()
            raise
        return connection
