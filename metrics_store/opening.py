"""Opening connections to a store: what is looked at before, and how it is done read-only."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TypedDict

from metrics_store import clock, pragmas, sqlite, write_ahead_log
from metrics_store.errors import (
    CorruptStore,
    DiskFailed,
    DiskFull,
    LogLost,
    OutcomeUnknown,
    StoreBusy,
    StoreNotWritable,
)
from metrics_store.replacing import replace_text
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection
from metrics_store.waiting import Patience
from metrics_store.write_ahead_log import Committed, State

#: Who has a store open holds a lock on this byte of its -shm (sqlite.org/walformat.html §2.3).
_ATTACHED = 128
_INDEX_BYTES = 64 * 1024
#: Linux tells whether a lock could be had without taking it (struct flock, 64 bits).
_CAN_ASK = sys.platform == "linux" and sys.maxsize > 2**32
#: SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN: no index of the log can be made here.
_NO_INDEX = (8, 10, 14)


class Way(TypedDict, total=False):
    """How to connect."""

    read_only: bool
    immutable: bool
    alone: bool


def writer(path: str, settings: Settings, patience: Patience, deadline: int) -> Connection:
    """A connection for writing.

    Raises:
        LogLost: commits are missing.
        OpenError: it is not a metrics store, or cannot be opened.
    """
    committed = _whole_log(path)
    try:
        connection = sqlite.connect(path)
    except sqlite.Error as error:
        raise failed(path, error) from error
    try:
        patience.patiently(lambda: pragmas.for_writing(connection, settings, path), deadline)
        _same_log(connection, path, committed)
    except (sqlite.Error, UnicodeDecodeError) as error:
        connection.close()
        raise failed(path, error) from error
    except BaseException:
        # A file that is not ours is left as it was: closing would fold its log back.
        sqlite.close_untouched(connection, path)
        raise
    return connection


def reader(path: str, settings: Settings, patience: Patience, *, read_only: bool) -> Connection:
    """A connection for reading.

    Args:
        read_only: it could not write even if it were told to.
    """
    connection = sqlite.connect(path, read_only=read_only)
    try:
        patience.patiently(lambda: pragmas.for_reading(connection, settings), patience.deadline())
    except sqlite.Error:
        connection.close()
        raise
    return connection


def only_reader(path: str, settings: Settings, patience: Patience) -> tuple[Connection, bool]:
    """A connection to a store that this process may not write, and whether it takes no locks.

    Where no ``-shm`` is there and none can be made, SQLite cannot read beside a writer; then the
    file is read as one that nobody changes, and :func:`fingerprint` tells whether that was so.

    Raises:
        LogLost, StoreNotWritable, OpenError: it cannot be read.
    """
    _whole_log(path)
    refused: Exception | None = None
    for way in _ways(path):
        connection = None
        try:
            connection = sqlite.connect(path, **way)
            patience.patiently(
                partial(_recognised, connection, settings, path), patience.deadline()
            )
        except BaseException as error:
            if connection is not None:
                connection.close()
            if not isinstance(error, sqlite.Error):
                raise
            if sqlite.code(error) not in _NO_INDEX:
                raise _unreadable(path, error) from error
            refused = refused or error
        else:
            return connection, way != _WITH_LOCKS
    raise _unreadable(path, refused) from refused


_WITH_LOCKS: Way = {"read_only": True}


def _ways(path: str) -> Iterator[Way]:
    """The ways to read a store that is not to be written, the best first."""
    # Who may not write the store should not be the one to make its -shm, which its owner could
    # then not write.
    if os.path.exists(f"{path}-shm") or os.access(path, os.W_OK):
        yield _WITH_LOCKS
    with sqlite.without_connection(path) as alone:
        # A lock on the -shm shows who has it open; without a -shm nobody has.
        if not alone or is_attached(path):
            return
        try:
            committed = write_ahead_log.examine(path).found
        except OSError:
            return  # there is a log that this user may not read
    yield {"alone": True} if committed else {"immutable": True}


def fingerprint(path: str) -> tuple[tuple[int, ...], ...]:
    """What changes when somebody writes a database: of its file, and of its log."""
    return tuple(_traits(name) for name in (path, f"{path}-wal"))


def _traits(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    # Not the ctime: as root SQLite gives a log that it opens to the owner of the database.
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def log_state(path: str) -> State:
    """What became of the store's write-ahead log, read whole (25 ms a MiB)."""
    with sqlite.without_connection(path) as alone:
        return write_ahead_log.examine(path) if alone else State("unknown")


def accept_loss(path: str, now_us: int) -> tuple[str, ...]:
    """Let a store whose log is lost be opened again, with what is left.

    What is left of the log is kept beside it under another name. Nobody may have the store open.

    Args:
        path: the database, symlinks resolved.
        now_us: microseconds since 1970.

    Returns:
        What was done, in words.

    Raises:
        StoreBusy: a process has the store open.
    """
    with sqlite.without_connection(path) as alone:
        if not alone or is_attached(path):
            raise StoreBusy(
                f"{path} is open in a process", hint=f"End what has it open: fuser {path}"
            )
        state = write_ahead_log.examine(path)
        done = []
        known = os.path.exists(marker(path))  # then SQLite has made a new -shm since
        if os.path.exists(f"{path}-wal") and (known or state.is_lost):
            kept = f"{path}-wal.damaged-{clock.stamp(now_us)}"
            if state.kind == "other":
                os.replace(f"{path}-wal", kept)
            else:
                shutil.copyfile(f"{path}-wal", kept)
            done.append(f"kept the log as {kept}")
        for name in (f"{path}-shm", marker(path)):
            with suppress(FileNotFoundError):
                os.unlink(name)
                done.append(f"removed {name}")
    return tuple(done)


def marker(path: str) -> str:
    """The file that says that a store's log was lost; SQLite's own traces go at the next open."""
    return f"{path}.log-lost"


def _whole_log(path: str) -> Committed | None:
    with sqlite.without_connection(path) as alone:
        if os.path.exists(marker(path)) and not (alone and _is_back(path)):
            raise LogLost(f"{path}: {_noted(path)[0]}")
        if not alone:
            return None
        committed, state = write_ahead_log.evidence(path)
        waiting = state is None and committed is not None and not committed.is_folded
        if waiting and not sqlite.tells_frames and not is_attached(path):
            # SQLite is about to recover it, and would not say how much it had to leave.
            found = write_ahead_log.examine(path)
            state = found if found.is_lost and found.certain else None
    if state is not None:
        raise _lost(path, state)
    return committed


def _same_log(connection: Connection, path: str, committed: Committed | None) -> None:
    """Refuse a log of which SQLite could read less than had been committed."""
    if committed is None or committed.is_folded or not sqlite.tells_frames:
        return
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    # -1 while another process is in the midst of a checkpoint.
    found = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1]
    if 0 <= found < committed.frames and write_ahead_log.frames_kept(path, committed):
        detail = f"{committed.frames:,} frames were committed, {found:,} can be read"
        raise _lost(path, State("damaged", committed.frames, found, True, detail))


def _lost(path: str, state: State) -> LogLost:
    with suppress(OSError):  # where nothing can be written the next open sees the same
        note = {"kind": state.kind, "detail": state.detail, "expected": state.expected}
        replace_text(marker(path), json.dumps(note) + "\n")
    return LogLost(f"{path}: {state.detail}")


def _noted(path: str) -> tuple[str, int]:
    """What was noted when the log was found lost: the words, and the frames it should have."""
    try:
        with open(marker(path), encoding="utf-8", errors="replace") as file:
            note = json.loads(file.read(10_000))
        return str(note["detail"]), int(note["expected"])
    except (OSError, ValueError, TypeError, KeyError):
        return f"see {marker(path)}", sys.maxsize


def _is_back(path: str) -> bool:
    """Whether somebody has put the log back; then the note goes."""
    state = write_ahead_log.examine(path)
    if state.kind != "whole" or (state.expected or 0) < _noted(path)[1]:
        return False
    os.unlink(marker(path))
    return True


def failed(path: str, error: Exception) -> Exception:
    """The error of ours for one that opening a store ended with."""
    if isinstance(error, UnicodeDecodeError):
        return CorruptStore(f"{path}: its schema is no text")
    told = sqlite.translated(error, writing=True, where=path)
    if not isinstance(told, OutcomeUnknown):
        return told
    # The index of the log could not be made; prepared statements do not say why.
    with suppress(OSError):
        if shutil.disk_usage(os.path.dirname(path)).free < _INDEX_BYTES:
            return DiskFull(path)
    return DiskFailed(f"{path}: {error}")


def _recognised(connection: Connection, settings: Settings, path: str) -> None:
    pragmas.recognise(connection, path)
    pragmas.for_reading(connection, settings)


def _unreadable(path: str, error: Exception | None) -> Exception:
    if error is None:
        raise AssertionError("every way that failed has an error")
    if not os.access(path, os.R_OK):
        return StoreNotWritable(f"{path}: this user may not read it")
    if sqlite.code(error) in (8, 14) and os.path.exists(f"{path}-wal"):
        return StoreNotWritable(
            f"{path}: it has a write-ahead log, and this user may not use its -shm",
            hint="Read it as its owner, or ask for write permission in its directory.",
        )
    return sqlite.translated(error, writing=False, where=path)


def is_attached(path: str) -> bool:
    """Whether another process has the store open; the caller has no connection to it."""
    if sys.platform == "win32":
        return False  # there an open file cannot be removed
    import fcntl

    try:
        handle = os.open(f"{path}-shm", os.O_RDONLY if _CAN_ASK else os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it cannot be told
    try:
        if _CAN_ASK:
            asked = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, _ATTACHED, 1, 0)
            answer = fcntl.fcntl(handle, fcntl.F_GETLK, asked)
            return bool(struct.unpack("hhqqi0q", answer)[0] != fcntl.F_UNLCK)
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _ATTACHED)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
