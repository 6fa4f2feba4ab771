"""apsw in the dress of pysqlite3: as much of the DB-API as metrics_store uses.

A process that calls :func:`put_on` before it imports metrics_store runs the product, unchanged, on
the SQLite that apsw brings, and on one whose VFS can be had on every machine: see
:mod:`faulty_vfs`. What apsw does otherwise than pysqlite3 is set right here: it runs several
statements at once, fetches no row ahead, and its errors have other names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes import addressof, c_void_p
from types import ModuleType
from typing import Any

import apsw
from apsw_errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
    translated,
)

__all__ = [
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "apilevel",
    "complete_statement",
    "connect",
    "default_vfs",
    "paramstyle",
    "put_on",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
]

apilevel, paramstyle, threadsafety = "2.0", "qmark", 3
sqlite_version: str = apsw.sqlite_lib_version()
sqlite_version_info: tuple[int, ...] = tuple(int(part) for part in sqlite_version.split("."))

Value = None | int | float | str | bytes
Parameters = Sequence[Value] | Mapping[str, Value]
Row = tuple[Value, ...]
Description = tuple[tuple[str, None, None, None, None, None, None], ...]

_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$)|;)*", re.DOTALL)
_DML = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_VFS_POINTER = 27
_BUSY, _LOCKED, _DONE = 5, 6, 101


def complete_statement(statement: str) -> bool:
    """Whether a text ends with the end of a statement."""
    return bool(apsw.complete(statement))


def put_on() -> ModuleType:
    """Let this process import this module as pysqlite3.

    Raises:
        RuntimeError: the process has taken its binding already.
    """
    if "metrics_store.sqlite" in sys.modules or "pysqlite3" in sys.modules:
        raise RuntimeError("the binding has been taken already")
    module = sys.modules[__name__]
    package = ModuleType("pysqlite3")
    module.__name__ = "pysqlite3.dbapi2"
    package.__dict__.update(vars(module), dbapi2=module, __name__="pysqlite3")
    sys.modules["pysqlite3"], sys.modules["pysqlite3.dbapi2"] = package, module
    return module


def default_vfs() -> int:
    """The address of the table of functions through which this SQLite reaches files."""
    connection, pointer = apsw.Connection(":memory:"), c_void_p()
    connection.file_control("main", _VFS_POINTER, addressof(pointer))
    connection.close()
    return pointer.value or 0


class Cursor:
    """Runs one statement at a time, and has its next row already."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._cursor = connection.own.cursor()
        self._sql = ""
        self._next: Row | None = None
        self._description: Description | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    @property
    def description(self) -> Description | None:
        """The columns of what was run last; None if it had none."""
        return self._description

    def _before(self, cursor: apsw.Cursor, statement: str, _: object) -> bool:
        if _COMMENTS.sub("", self._sql[len(statement) :], count=1):
            raise ProgrammingError("You can only execute one statement at a time.")
        columns = cursor.get_description()
        self._description = tuple((name, *(None,) * 6) for name, _ in columns) or None
        return True

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run a statement up to its first row."""
        self._sql, self._next, self._description, self.rowcount = sql, None, None, -1
        self._cursor.exec_trace = self._before
        try:
            self._cursor.execute(sql, parameters or None)
            self._next = self._cursor.fetchone()
        except apsw.Error as error:
            raise translated(error) from error
        except TypeError as error:  # of a parameter
            raise ProgrammingError(str(error)) from error
        finally:
            # Else it would refer to itself, and its statement would outlive it.
            self._cursor.exec_trace = None
        self._count(sql, self.connection.own.changes())
        return self

    def executemany(self, sql: str, several: Iterable[Parameters]) -> Cursor:
        """Run a statement once for each of several sets of parameters."""
        changed = 0
        for parameters in several:
            self.execute(sql, parameters)
            changed += max(self.rowcount, 0)
        self._count(sql, changed)
        return self

    def _count(self, sql: str, changed: int) -> None:
        bare = _COMMENTS.sub("", sql, count=1)[:7].upper()
        if bare.startswith(_DML):
            self.rowcount = changed
            self.lastrowid = self.connection.own.last_insert_rowid()

    def fetchone(self) -> Row | None:
        """The next row; None after the last."""
        row, factory = self._next, self.connection.text_factory
        if row is not None and factory is not str:
            row = tuple(factory(v.encode()) if isinstance(v, str) else v for v in row)
        if row is not None:
            try:
                self._next = self._cursor.fetchone()
            except apsw.Error as error:
                raise translated(error) from error
        return row

    def fetchmany(self, size: int = 1) -> list[Row]:
        """So many of the next rows."""
        return [row for _, row in zip(range(size), self, strict=False)]

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        return list(self)

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def close(self) -> None:
        """Drop the statement."""
        self._next = None
        self._cursor.close(True)


class Connection:
    """A connection in autocommit mode."""

    def __init__(
        self,
        database: str,
        timeout: float = 5.0,
        *,
        isolation_level: str | None = None,
        check_same_thread: bool = True,
        cached_statements: int = 128,
        uri: bool = False,
    ) -> None:
        #: What makes text of UTF-8; apsw itself has no say in it, and reads only what is UTF-8.
        self.text_factory: Callable[[bytes], Value] | type[str] = str
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        try:
            self.own = apsw.Connection(
                database, flags | (apsw.SQLITE_OPEN_URI if uri else 0), None, cached_statements
            )
            self.own.set_busy_timeout(round(timeout * 1000))
        except apsw.Error as error:
            raise translated(error) from error

    def cursor(self, factory: Callable[[Connection], Cursor] = Cursor) -> Cursor:
        """A new cursor."""
        try:
            return factory(self)
        except apsw.Error as error:
            raise translated(error) from error

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run a statement on a cursor of its own."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, several: Iterable[Parameters]) -> Cursor:
        """Run a statement several times on a cursor of its own."""
        return self.cursor().executemany(sql, several)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.own.in_transaction)

    @property
    def total_changes(self) -> int:
        """Rows changed since it was opened."""
        return int(self.own.total_changes())

    def set_authorizer(self, decide: Callable[..., int] | None) -> None:
        """Ask before a statement is compiled."""
        self.own.authorizer = decide

    def interrupt(self) -> None:
        """Stop what runs."""
        self.own.interrupt()

    def backup(
        self,
        target: Connection,
        *,
        pages: int = -1,
        progress: Callable[[int, int, int], object] | None = None,
        name: str = "main",
        sleep: float = 0.25,
    ) -> None:
        """Copy the database page by page into another one."""
        try:
            with target.own.backup("main", self.own, name) as backup:
                status = 0
                while status != _DONE:
                    status = self._step(backup, pages or -1)
                    if progress is not None:
                        progress(status, backup.remaining, backup.page_count)
                    if status in (_BUSY, _LOCKED):
                        apsw.sleep(round(sleep * 1000))
        except apsw.Error as error:
            raise translated(error) from error

    @staticmethod
    def _step(backup: apsw.Backup, pages: int) -> int:
        try:
            backup.step(pages)
        except apsw.BusyError:
            return _BUSY
        except apsw.LockedError:
            return _LOCKED
        return _DONE if backup.done else 0

    def commit(self) -> None:
        """Commit, if a transaction is open."""
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back, if a transaction is open."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Close it; closing twice does nothing."""
        self.own.close(True)


def connect(database: str, *, factory: type[Connection] = Connection, **how: Any) -> Connection:
    """Open a connection; apsw's may always be used by any thread, one at a time."""
    return factory(database, **how)
