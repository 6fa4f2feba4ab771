"""The one binding to SQLite, and what its version can be trusted with.

Two copies of the SQLite library on one file in one process drop each other's POSIX locks and lose
acknowledged commits, so everything of ours, sqlite-utils and yoyo too, goes through this module.
"""

from __future__ import annotations

import os
import sqlite3 as _standard
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakSet

from metrics_store.errors import (
    CorruptStore,
    DiskFull,
    DuplicateRecord,
    ForeignDatabase,
    MetricsStoreError,
    OutcomeUnknown,
    ReadError,
    StoreBusy,
    StoreNotWritable,
    WriteError,
)
from metrics_store.sql import query

if TYPE_CHECKING:
    from sqlite3 import Connection as Connection
else:
    Connection = object


#: Up to 3.51.2 a checkpoint racing a commit could reset the WAL under it and lose the commit.
FIXED = (3, 51, 3)


def _pick() -> ModuleType:
    try:
        module = import_module("pysqlite3.dbapi2")
    except ImportError:
        return _standard
    return module if module.sqlite_version_info >= FIXED else _standard


binding = _pick()
version: str = binding.sqlite_version
version_info: tuple[int, int, int] = binding.sqlite_version_info

Error: type[_standard.Error] = binding.Error
DatabaseError: type[_standard.DatabaseError] = binding.DatabaseError
OperationalError: type[_standard.OperationalError] = binding.OperationalError
IntegrityError: type[_standard.IntegrityError] = binding.IntegrityError

has_wal_reset_fix: bool = version_info >= FIXED
#: Whether wal_checkpoint(NOOP) tells how long the log is; older ones fold it for that word.
tells_frames: bool = version_info >= (3, 51, 0)

#: Raised by some versions for two statements at once.
Warning_: type[_standard.Warning] = binding.Warning

Value = None | int | float | str | bytes

#: Held while a connection is made, and while a database's files are read raw.
_connecting = threading.RLock()
#: The connections of this process, by device and inode of their file.
_known: dict[tuple[int, int], WeakSet[Connection]] = {}


def _renew_lock() -> None:
    global _connecting
    _connecting = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child of a moment when another thread held it would wait for ever.
    os.register_at_fork(after_in_child=_renew_lock)


class _Known(binding.Connection):  # type: ignore[name-defined,misc]
    """A connection that can be referred to weakly, and is forgotten when it is closed."""

    def close(self) -> None:
        super().close()
        for connections in list(_known.values()):
            connections.discard(self)


class _NeverClosed(_Known):
    """A connection that takes no locks, and so believes to be the last one when it is closed.

    It would then delete a ``-wal`` that somebody who came meanwhile is writing to.
    """

    def close(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")


def connect(
    path: str, *, read_only: bool = False, immutable: bool = False, alone: bool = False
) -> Connection:
    """Open a connection in autocommit mode, usable from any thread, with no waiting of its own.

    Args:
        path: the file; made if it is not there, unless it is to be read only.
        read_only: nothing is written to it.
        immutable: nobody else writes to it either: no lock is taken, no ``-shm`` is made.
        alone: as immutable, but what its ``-wal`` has is read too; that has a commit. Its files
            stay open until the process ends.
    """
    mode = "ro" if read_only else "rwc"
    if immutable:
        mode = "ro&immutable=1"
    elif alone:
        mode = f"ro&vfs={'win32' if os.name == 'nt' else 'unix'}-none"
    with _connecting:
        connection: Connection = binding.connect(
            f"file:{_quoted(path)}?mode={mode}",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_NeverClosed if alone else _Known,
        )
        if not (immutable or alone):  # those take no locks
            _remember(path, connection)
    if alone:
        keep_for_ever(connection)
        # The index of the log is then kept in memory.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def keep_for_ever(*connections: Connection) -> None:
    """Keep connections from ever being closed, also where nobody refers to them any more."""
    import ctypes

    for connection in connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _remember(path: str, connection: Connection) -> None:
    if len(_known) > 100:
        for file in [file for file, connections in _known.items() if not connections]:
            del _known[file]
    with suppress(OSError):  # it is gone already
        _known.setdefault(_file_of(path), WeakSet()).add(connection)


@contextmanager
def without_connection(path: str) -> Iterator[bool]:
    """For the block no connection to a database is made; it gets whether none holds locks yet.

    Then alone may the database's files be opened and closed: that drops every lock that this
    process has on them.

    Args:
        path: the database.
    """
    with _connecting:
        try:
            file = _file_of(path)
        except OSError:
            yield True
            return
        if not _known.get(file):
            _known.pop(file, None)
        yield file not in _known


def _file_of(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


@cache
def json_works_untrusted() -> bool:
    """Whether JSON functions may stand in a schema that is not trusted.

    SQLite 3.38 to 3.40 takes its own for unsafe: "unsafe use of json_valid()".
    """
    connection: Connection = binding.connect(":memory:")
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(query("probes.json_check"))
        connection.execute(query("probes.use_json_check"))
    except OperationalError:
        return False
    finally:
        connection.close()
    return True


def close_untouched(connection: Connection, path: str) -> None:
    """Close a connection to somebody else's database without folding its write-ahead log back.

    The last connection to close does that; a read-only one that closes after it cannot.
    """
    last = None
    try:
        last = connect(path, read_only=True)
        last.execute("BEGIN")
        last.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (Error, UnicodeDecodeError):
        pass  # not a database at all: nothing there to fold
    finally:
        connection.close()
        if last is not None:
            last.close()


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def code(error: BaseException) -> int:
    """The primary result code of an SQLite error, 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_io_error(error: BaseException) -> bool:
    """Whether the disk failed."""
    return code(error) == 10  # SQLITE_IOERR


def is_busy(error: BaseException) -> bool:
    """Whether another connection held a lock that this statement needed."""
    return code(error) in (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED


#: SQLITE_IOERR_SHMSIZE: the index of the log could not be made.
_NO_ROOM_FOR_SHM = 4874


#: What comes of reading a damaged store: a moment that is none, a number past every bucket.
NONSENSE = (LookupError, ValueError, TypeError, OverflowError, AttributeError)


def translated(
    error: Exception, *, writing: bool, where: str, waited: float = 0.0
) -> MetricsStoreError:
    """The error of ours that says what an error of SQLite means, or one of :data:`NONSENSE`.

    Args:
        error: what was raised.
        writing: whether a record was being written.
        where: the database's path, for the message.
        waited: seconds that were spent waiting for a lock.
    """
    detail = f"{where}: {error}"
    if isinstance(error, NONSENSE):
        return CorruptStore(
            f"{where}: what is stored makes no sense: {error!r:.200}",
            hint="See metrics-store check --deep; if it finds nothing, please report this.",
        )
    if getattr(error, "sqlite_errorcode", 0) == _NO_ROOM_FOR_SHM:
        return DiskFull(where)
    match code(error):  # the numbers are at sqlite.org/rescode.html
        case 5 | 6:
            return StoreBusy(f"{where}: waited {waited:.1f} s")
        case 13:
            return DiskFull(where)
        case 10:
            return OutcomeUnknown(detail) if writing else ReadError(detail)
        case 11:
            return CorruptStore(detail)
        case 26:
            return ForeignDatabase(where)
        case 8 | 14 | 3:
            return StoreNotWritable(detail) if writing else ReadError(detail)
        case 19 if "skill_invocation.id" in str(error):
            return DuplicateRecord(detail)
        case _:
            return WriteError(detail) if writing else ReadError(detail)


#: Authorizer action codes that reading needs: SELECT, READ, FUNCTION, RECURSIVE, PRAGMA.
_SELECT, _READ, _FUNCTION, _RECURSIVE, _PRAGMA = 21, 20, 31, 33, 19
_CREATE_TABLE, _INSERT, _UPDATE = 2, 18, 23
#: Pragmas that do something without an argument.
_WORKING_PRAGMAS = ("optimize", "incremental_vacuum", "wal_checkpoint", "shrink_memory")


def allow_reading_only(connection: Connection) -> None:
    """Let a connection compile nothing but statements that read this database.

    ATTACH, transaction control and pragmas that set something are refused.
    """

    allowed = {_SELECT, _READ, _FUNCTION, _RECURSIVE}
    if version_info < (3, 41, 0):
        # There a table-valued function such as json_each() is made by a CREATE TABLE of its own.
        # That nothing is written does not hang on this: the connection is read-only.
        allowed |= {_CREATE_TABLE, _INSERT, _UPDATE}

    def decide(action: int, name: str | None, argument: str | None, *_: str | None) -> int:
        if action == _PRAGMA:
            return 0 if argument is None and name not in _WORKING_PRAGMAS else 1
        return 0 if action in allowed else 1

    connection.set_authorizer(decide)
