"""Opening connections to a store: what is looked at before, and how it is done read-only."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from contextlib import suppress
from functools import partial

from metrics_store import clock, pragmas, sqlite, write_ahead_log
from metrics_store.errors import LogLost, StoreBusy, StoreNotWritable
from metrics_store.replacing import replace_text
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection
from metrics_store.waiting import Patience
from metrics_store.write_ahead_log import Committed, State

#: Who has a store open holds a lock on this byte of its -shm (sqlite.org/walformat.html §2.3).
_ATTACHED = 128
#: Linux tells whether a lock could be had without taking it (struct flock, 64 bits).
_CAN_ASK = sys.platform == "linux" and sys.maxsize > 2**32
#: Since then SQLite tells how many frames it can read without folding them.
_TELLS_FRAMES = sqlite.version_info >= (3, 51, 0)
_CANNOT_OPEN = 14


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
        raise sqlite.translated(error, writing=True, where=path) from error
    try:
        patience.patiently(lambda: pragmas.for_writing(connection, settings, path), deadline)
        _same_log(connection, path, committed)
    except sqlite.Error as error:
        connection.close()
        raise sqlite.translated(error, writing=True, where=path) from error
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
    for immutable in (False, True):
        try:
            connection = sqlite.connect(path, read_only=True, immutable=immutable)
            try:
                patience.patiently(
                    partial(_recognised, connection, settings, path), patience.deadline()
                )
            except BaseException:
                connection.close()
                raise
        except sqlite.Error as error:
            alone = not os.path.exists(f"{path}-wal") or not os.path.getsize(f"{path}-wal")
            if immutable or sqlite.code(error) not in (8, _CANNOT_OPEN) or not alone:
                raise _unreadable(path, error) from error
        else:
            return connection, immutable
    raise AssertionError("the second attempt returns or raises")


def fingerprint(path: str) -> tuple[int, ...]:
    """What changes when somebody writes a store that is read without locks."""
    found = os.stat(path)
    wal = 0
    with suppress(FileNotFoundError):
        wal = os.stat(f"{path}-wal").st_size
    return (found.st_ino, found.st_size, found.st_mtime_ns, wal)


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
        if os.path.exists(marker(path)):
            raise LogLost(f"{path}: {_told(path)}")
        if not alone:
            return None
        committed, state = write_ahead_log.evidence(path)
        if state is None and committed and not _TELLS_FRAMES and not is_attached(path):
            # SQLite is about to recover it, and would not say how much it had to leave.
            found = write_ahead_log.examine(path)
            state = found if found.is_lost and found.certain else None
    if state is not None:
        raise _lost(path, state)
    return committed


def _same_log(connection: Connection, path: str, committed: Committed | None) -> None:
    """Refuse a log of which SQLite could read less than had been committed."""
    if committed is None or committed.frames <= committed.folded or not _TELLS_FRAMES:
        return
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    # -1 while another process is in the midst of a checkpoint.
    found = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1]
    if 0 <= found < committed.frames and write_ahead_log.frames_kept(path, committed):
        detail = f"{committed.frames:,} frames were committed, {found:,} can be read"
        raise _lost(path, State("damaged", committed.frames, found, True, detail))


def _lost(path: str, state: State) -> LogLost:
    with suppress(OSError):  # where nothing can be written the next open sees the same
        replace_text(marker(path), json.dumps({"kind": state.kind, "detail": state.detail}) + "\n")
    return LogLost(f"{path}: {state.detail}")


def _told(path: str) -> str:
    try:
        with open(marker(path), encoding="utf-8", errors="replace") as file:
            return str(json.loads(file.read(10_000))["detail"])
    except (OSError, ValueError, TypeError, KeyError):
        return f"see {marker(path)}"


def _recognised(connection: Connection, settings: Settings, path: str) -> None:
    pragmas.recognise(connection, path)
    pragmas.for_reading(connection, settings)


def _unreadable(path: str, error: Exception) -> Exception:
    if sqlite.code(error) in (8, _CANNOT_OPEN) and os.path.exists(f"{path}-wal"):
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
    except OSError:
        return False
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
