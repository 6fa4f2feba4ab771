"""Connections to one database: one writer behind a lock, one reader per thread.

Only the store's public methods open transactions, and all of them through :meth:`Database.write`,
:meth:`Database.write_one` and :meth:`Database.read`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from metrics_store import forking, location, opening, sqlite
from metrics_store.clock import Clock
from metrics_store.errors import (
    ForkedInUse,
    MetricsStoreError,
    ReadError,
    SchemaError,
    SchemaNewer,
    StoreClosed,
    StoreNotWritable,
    WriteError,
)
from metrics_store.readers import Kind, Readers
from metrics_store.settings import Settings
from metrics_store.slow_calls import SINCE, SlowCalls
from metrics_store.sqlite import Connection, Value
from metrics_store.waiting import Patience
from metrics_store.writer import Writer

T = TypeVar("T")


#: Seconds that a fork waits for what runs on a database to end.
_FORK_PATIENCE = 5.0


class Database:
    """One database file, opened by this process.

    Args:
        settings: where it lies and how it is kept.
        clock: source of time for waiting.
        create: make the file if there is none.
        read_only: open it for reading alone, also where this user may not write.

    Raises:
        OpenError: see :mod:`metrics_store.errors`.
    """

    def __init__(
        self, settings: Settings, clock: Clock, *, create: bool = True, read_only: bool = False
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.read_only = read_only
        self.waiting = Patience(settings.busy_timeout, clock)
        self._slow = SlowCalls(settings.slow_ms, clock)
        #: The schema version this process writes; the store sets it once the schema is right.
        self.schema_version = 0
        self._closed = False
        with location.OPENING:
            forking.refuse_inherited(settings.database)
            self.path = location.prepare(
                settings.database,
                create=create and not read_only,
                allow_network=settings.allow_network_filesystem,
            )
            self.pid = os.getpid()
            self._readers = Readers(self._open_reader)
            self._writer = Writer(self.path, settings, clock, self.waiting)
            #: What a file that is read without locks looked like when it was opened.
            self._unchanged: tuple[tuple[int, ...], ...] | None = None
            #: The schema's version when it was opened; None if it was for reading only.
            self.found_version: int | None = None
            if read_only:
                self._open_reader("reader").close()
            else:
                self.found_version = self._writer.open()
        forking.register(self)

    # Closing, and forking

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
        self._note_slow_calls(now=True)
        self._writer.shut()
        try:
            self._closed = True
            self._readers.shut()
            try:
                self._readers.close()
                self._writer.close(for_ever=True)
            finally:
                self._readers.open()
        finally:
            self._writer.release()

    def before_fork(self) -> bool:
        """Close everything; False if somebody is inside and does not leave in time."""
        if self._writer.is_mine() or self._readers.in_view():
            return False
        if not self._writer.shut(timeout=_FORK_PATIENCE):
            return False
        if not self._readers.shut(timeout=_FORK_PATIENCE):
            self._writer.release()
            return False
        self._readers.close()
        self._writer.close()
        return True

    def after_fork(self) -> None:
        """Go on; connections are opened when they are next needed."""
        self.pid = os.getpid()
        self._readers.open()
        self._writer.release()

    def keep_for_ever(self) -> None:
        """In a child that inherited it open: to close what is the parent's would drop its locks."""
        sqlite.keep_for_ever(*self._writer.connections(), *self._readers.connections())

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
            self._writer.patiently(lambda: connection.execute("BEGIN IMMEDIATE"), deadline)
            if check_schema:
                self._check_schema(connection)
            result = work(connection)
            self._writer.require_own_process()
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
                return self._writer.patiently(
                    lambda: connection.execute(sql, values), deadline
                ).rowcount
            finally:
                if relaxed:
                    connection.execute("PRAGMA synchronous = FULL")

        return self._written(statement)

    def require_writable(self) -> None:
        """Refuse a store that was opened for reading only.

        Raises:
            StoreNotWritable: it was.
        """
        self._own()
        if self.read_only:
            raise StoreNotWritable(f"{self.path} was opened for reading only")

    def renew_writer(self) -> None:
        """Let the next write open its connection anew; see :meth:`Writer.renew`."""
        self._writer.renew()

    def run_alone(self, sql: str) -> None:
        """Run a statement to its end that makes a transaction of its own, such as VACUUM.

        Raises:
            As :meth:`write`.
        """

        def statement(connection: Connection, deadline: int) -> None:
            # Not execute(): up to Python 3.11 that stops after the first page of a vacuum.
            self.waiting.patiently(lambda: connection.executescript(sql), deadline)

        self._written(statement)

    def checkpoint(self, *, truncate: bool = False) -> tuple[int, int, bool]:
        """Fold the write-ahead log back into the store; see :meth:`Writer.checkpoint`.

        Raises:
            StoreBusy: another process wrote all the time.
        """
        self.require_writable()
        try:
            return self._writer.checkpoint(truncate=truncate)
        except sqlite.Error as error:
            raise self._translated(error) from error

    def _written(self, work: Callable[[Connection, int], T], rows: int = 1) -> T:
        self.require_writable()
        started, waited = self.clock.monotonic_us(), self.waiting.waited_us()
        try:
            return self._writer.run(work, rows)
        except MetricsStoreError:
            raise
        except (sqlite.Error, *sqlite.NONSENSE) as error:
            raise self._translated(error) from error
        finally:
            self._time(started, self.waiting.waited_us() - waited)

    def _translated(self, error: Exception) -> Exception:
        if sqlite.code(error) in (1, 17) and self.schema_version:  # SQLITE_ERROR, SQLITE_SCHEMA
            # "no such table": perhaps another process changed the schema.
            with suppress(Exception), self.read(check_schema=False) as connection:
                found = connection.execute("PRAGMA user_version").fetchone()[0]
                if found != self.schema_version:
                    return self.refusal(found)
        waited = self.waiting.seconds
        return sqlite.translated(error, writing=True, where=self.path, waited=waited)

    def _check_schema(self, connection: Connection) -> None:
        found = self.waiting.patiently(
            lambda: connection.execute("PRAGMA user_version").fetchone()[0], self.waiting.deadline()
        )
        if found != self.schema_version:
            raise self.refusal(found)

    def refusal(self, found: int) -> SchemaError:
        """The error for a schema version that is not the one this process opened."""
        detail = f"{self.path} has schema {found}, this process knows {self.schema_version}"
        if found > self.schema_version:
            return SchemaNewer(detail)
        return SchemaError(detail, hint="It was rolled back meanwhile: open the store again.")

    def refused(self) -> MetricsStoreError:
        """The error for a statement that changed nothing, for the schema is another one."""
        try:
            with self.read(check_schema=False) as connection:
                return self.refusal(connection.execute("PRAGMA user_version").fetchone()[0])
        except MetricsStoreError as error:
            return WriteError(f"{self.path}: its schema was changed: {error}")

    def _time(self, started_us: int, waited_us: int = 0) -> None:
        took = self.clock.monotonic_us() - started_us
        if took >= self._slow.limit_us and self.schema_version:  # not while the tables are made
            self._slow.note(took, waited_us)
            if not self._readers.in_view():
                self._note_slow_calls()

    def _note_slow_calls(self, *, now: bool = False) -> None:
        if not self.read_only and self.schema_version >= SINCE:
            self._writer.note(self._slow, self.schema_version, now=now)

    # Reading

    def oldest_view_age(self) -> float | None:
        """Seconds since the oldest reading view of this process began; None if none is open."""
        return self._readers.oldest_age()

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
        started = self.clock.monotonic_us()
        if self._is_changed() and not self._readers.in_view():
            self._readers.shut()
            self._readers.close()
            self._readers.open()
        try:
            with self._readers.view("guarded" if guarded else "reader") as (connection, new):
                if check_schema and new:
                    self._check_schema(connection)
                yield connection
        except MetricsStoreError:
            raise
        except (sqlite.Error, *sqlite.NONSENSE) as error:
            raise sqlite.translated(error, writing=False, where=self.path) from error
        if self._is_changed():
            raise ReadError(f"{self.path} was written meanwhile", hint="Read it again.")
        if new:
            self._time(started, 0)

    def _open_reader(self, kind: Kind) -> Connection:
        if self._closed:
            raise StoreClosed(self.path)
        if not self.read_only:
            return opening.reader(
                self.path, self.settings, self.waiting, read_only=kind == "guarded"
            )
        before = opening.fingerprint(self.path)
        connection, alone = opening.only_reader(self.path, self.settings, self.waiting)
        self._unchanged = before if alone else None
        return connection

    def _is_changed(self) -> bool:
        """Whether somebody wrote a file that is read without locks."""
        return self._unchanged is not None and self._unchanged != opening.fingerprint(self.path)
