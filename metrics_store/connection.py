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
from weakref import WeakSet

from metrics_store import location, pragmas, sqlite
from metrics_store.clock import Clock
from metrics_store.errors import SchemaError, SchemaNewer, StoreClosed
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection, Value

T = TypeVar("T")

#: Commits between two looks at the WAL's size; a look is one stat().
_LOOK_EVERY = 16


class _Reader:
    """A thread's reading connection; it goes away with its thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.depth = 0

    def close(self) -> None:
        self.connection.close()


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
            self.path = location.prepare(
                settings.database, create=create, allow_network=settings.allow_network_filesystem
            )
            self._start()
            self._writer: Connection | None = self._open_writer()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._readers: WeakSet[_Reader] = WeakSet()
        self._writer = None
        self._checkpointer: Connection | None = None
        self._commits = 0
        self._wal_after_checkpoint = 0

    # Opening and closing

    def _open_writer(self) -> Connection:
        connection = sqlite.connect(self.path)
        try:
            self._patiently(lambda: pragmas.for_writing(connection, self.settings, self.path))
        except sqlite.Error as error:
            connection.close()
            raise sqlite.translated(error, writing=False, where=self.path) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _own(self) -> None:
        if self._closed:
            raise StoreClosed(self.path)
        if os.getpid() != self._pid:
            # A forked child that used or closed the parent's connection would commit its open
            # transaction or drop its locks: the child keeps it for ever and opens its own.
            _never_close(self._writer, self._checkpointer, *(r.connection for r in self._readers))
            self._start()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def close(self) -> None:
        """Close every connection of this process. Closing twice does nothing."""
        if self._closed:
            return
        self._own()
        with self._lock:
            self._closed = True
            for reader in list(self._readers):
                reader.close()
            for connection in (self._checkpointer, self._writer):
                if connection is not None:
                    connection.close()
            self._writer = self._checkpointer = None

    # Writing

    def write(self, work: Callable[[Connection], T], *, check_schema: bool = True) -> T:
        """Run work in one transaction that holds the write lock from its start.

        Args:
            work: gets the connection; it may be called again if the lock could not be had.
            check_schema: refuse if another process has changed the schema.

        Raises:
            StoreBusy: the lock was not had within ``busy_timeout``.
            SchemaNewer: another process has applied a newer migration.
            DiskFull, OutcomeUnknown, WriteError: nothing was kept, or (OutcomeUnknown) perhaps.
        """

        def transaction(connection: Connection) -> T:
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            if check_schema:
                self._check_schema(connection)
            result = work(connection)
            connection.execute("COMMIT")
            return result

        return self._written(transaction)

    def write_one(self, sql: str, values: Sequence[Value], *, flush: bool = True) -> int:
        """Run one statement as a transaction of its own, and give the number of rows it changed.

        Args:
            sql: one INSERT, UPDATE or DELETE; it checks the schema version by itself.
            values: its parameters.
            flush: False leaves reaching the disk to the next commit.

        Raises:
            As :meth:`write`.
        """

        def statement(connection: Connection) -> int:
            relaxed = not flush and self.settings.durability == "full"
            if relaxed:
                connection.execute("PRAGMA synchronous = NORMAL")
            try:
                return self._patiently(lambda: connection.execute(sql, values)).rowcount
            finally:
                if relaxed:
                    connection.execute("PRAGMA synchronous = FULL")

        return self._written(statement)

    def _written(self, work: Callable[[Connection], T]) -> T:
        self._own()
        started = self.clock.monotonic_us()
        with self._lock:
            if self._closed:
                raise StoreClosed(self.path)
            connection = self._writer
            if connection is None:
                connection = self._writer = self._open_writer()
            try:
                result = work(connection)
            except BaseException as error:
                self._undo(connection, error)
                if isinstance(error, sqlite.Error):
                    waited = (self.clock.monotonic_us() - started) / 1e6
                    raise sqlite.translated(
                        error, writing=True, where=self.path, waited=waited
                    ) from error
                raise
            self._after_commit()
            return result

    def _undo(self, connection: Connection, error: BaseException) -> None:
        if connection.in_transaction:
            with suppress(sqlite.Error):
                connection.execute("ROLLBACK")
        if sqlite.code(error) in (10, 11) or connection.in_transaction:
            # After an I/O error the page cache and the WAL index cannot be trusted: start anew.
            connection.close()
            self._writer = None

    def _check_schema(self, connection: Connection) -> None:
        found = self._patiently(lambda: connection.execute("PRAGMA user_version").fetchone()[0])
        if found != self.schema_version:
            raise self.refusal(found)

    def refusal(self, found: int) -> SchemaError:
        """The error for a schema version that is not the one this process opened."""
        detail = f"{self.path} has schema {found}, this process knows {self.schema_version}"
        if found > self.schema_version:
            return SchemaNewer(detail)
        return SchemaError(detail, hint="It was rolled back meanwhile: open the store again.")

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Try until a lock is had. Short jittered waits share a contended lock most fairly."""
        deadline = 0
        while True:
            try:
                return attempt()
            except sqlite.OperationalError as error:
                if not sqlite.is_busy(error):
                    raise
                now = self.clock.monotonic_us()
                deadline = deadline or now + round(self.settings.busy_timeout * 1e6)
                if now >= deadline:
                    raise
                self.clock.sleep(random.uniform(0.0005, 0.002))

    # Checkpoints

    def _after_commit(self) -> None:
        self._commits += 1
        if self._commits % _LOOK_EVERY:
            return
        limit = round(self.settings.checkpoint_mb * 1024 * 1024)
        # A reader may keep the WAL from being folded back whole: then wait for as much again.
        if self._wal_size() >= self._wal_after_checkpoint + limit:
            self._checkpoint()

    def _wal_size(self) -> int:
        try:
            return os.stat(self.path + "-wal").st_size
        except OSError:
            return 0

    def _checkpoint(self) -> None:
        """Fold the WAL back while holding the write lock, so that no commit can reset it."""
        writer = self._writer
        if writer is None:
            return
        if self._checkpointer is None:
            self._checkpointer = sqlite.connect(self.path)
            pragmas.for_checkpoints(self._checkpointer)
        try:
            writer.execute("BEGIN IMMEDIATE")
        except sqlite.OperationalError:
            return  # another process is writing: it looks at the size too
        try:
            _, in_wal, folded = self._checkpointer.execute(
                "PRAGMA wal_checkpoint(PASSIVE)"
            ).fetchone()
            self._wal_after_checkpoint = 0 if in_wal == folded else self._wal_size()
        except sqlite.Error:
            # The records are safe in the WAL; a lasting fault shows at the next write.
            self._wal_after_checkpoint = self._wal_size()
        finally:
            writer.execute("ROLLBACK")

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
        reader = self._reader("guarded" if guarded else "reader")
        connection = reader.connection
        try:
            if reader.depth == 0:
                connection.execute("BEGIN")
            reader.depth += 1
            try:
                if check_schema and reader.depth == 1:
                    self._check_schema(connection)
                yield connection
            finally:
                reader.depth -= 1
                if reader.depth == 0 and connection.in_transaction:
                    connection.execute("COMMIT")
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=False, where=self.path) from error

    def _reader(self, kind: str) -> _Reader:
        reader: _Reader | None = getattr(self._local, kind, None)
        if reader is None:
            connection = sqlite.connect(self.path, read_only=kind == "guarded")
            try:
                self._patiently(lambda: pragmas.for_reading(connection, self.settings))
            except sqlite.Error as error:
                connection.close()
                raise sqlite.translated(error, writing=False, where=self.path) from error
            reader = _Reader(connection)
            setattr(self._local, kind, reader)
            self._readers.add(reader)
        if kind == "guarded":
            # None while BEGIN and COMMIT are ours; set around the other one's statements.
            reader.connection.set_authorizer(None)
        return reader


def _never_close(*connections: Connection | None) -> None:
    import ctypes

    for connection in connections:
        if connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
