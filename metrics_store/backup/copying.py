"""Copying a database while others write to it: one view of it, in small steps.

A copy in steps begins anew at each commit of another process and never ends under writers, unless
the source stays in one read transaction from the first step to the last; then it is of one moment,
as a copy in one step is. After each step it is sent to the disk, and the disk then left to others
for a moment. While a gigabyte was copied in one step, one in a hundred of the commits of eight
writers at FULL took 0.7 to 1.1 s and the longest 1.1 to 1.6 s; in such steps 0.3 to 0.4 s and 0.6
to 1.0 s, on a busy machine on which they took 0.2 to 0.3 s and 0.5 to 0.9 s without any copy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from metrics_store import sqlite
from metrics_store.backup.place import failed
from metrics_store.backup.transfer import transfer
from metrics_store.clock import MICROSECONDS, Clock
from metrics_store.errors import BackupError, CorruptStore, MetricsStoreError, NoSpace, StoreBusy
from metrics_store.sqlite import Connection

#: Told the stage, how much of it is done, and how much it is in all.
Progress = Callable[[str, int, int], None]

_STEP = 1 << 20
_LONGEST_PAUSE = 0.05


def size_of(connection: Connection) -> int:
    """Bytes that a copy of a database takes, what is in its write-ahead log included."""
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    return pages * _page_size(connection)


def copy(
    source: Connection,
    target: Path,
    where: str,
    *,
    clock: Clock,
    patience: float,
    progress: Progress | None = None,
) -> None:
    """Copy a database into an empty file, and sync it.

    Args:
        source: a connection for reading, in a transaction.
        target: nobody else knows of it yet.
        where: path of the source, for messages.
        patience: seconds to wait for a lock.

    Raises:
        NoSpace, BackupError: the copy cannot be written.
        CorruptStore, StoreBusy: the source cannot be read.
    """
    if not source.in_transaction:
        raise ValueError("a copy in steps needs a view that lasts")
    try:
        handle = os.open(target, os.O_RDWR)
        try:
            _copy(source, target, handle, where, clock, patience, progress)
            os.fsync(handle)
        finally:
            os.close(handle)
    except sqlite.Error as error:
        raise _translated(error, target, where) from error
    except OSError as error:
        raise failed(error, target) from error


def _copy(
    source: Connection,
    target: Path,
    handle: int,
    where: str,
    clock: Clock,
    patience: float,
    progress: Progress | None,
) -> None:
    total = size_of(source)  # the first read: from here on it is one view
    page_size = _page_size(source)

    def stepped(remaining: int, _: int) -> None:
        began = clock.monotonic_us()
        # By one descriptor to the end: the system tells of a write that failed once only.
        os.fsync(handle)
        took = (clock.monotonic_us() - began) / MICROSECONDS
        if progress is not None:
            progress("copying", total - remaining * page_size, total)
        clock.sleep(min(took / 2, _LONGEST_PAUSE))

    private = sqlite.connect(str(target))
    try:
        # Torn by a crash it is thrown away, so nothing has to reach the disk in any order.
        private.execute("PRAGMA synchronous = OFF")
        private.execute("PRAGMA locking_mode = EXCLUSIVE")
        transfer(
            source,
            private,
            clock=clock,
            patience=patience,
            pages=max(1, _STEP // page_size),
            where=where,
            progress=stepped,
        )
        # One file, that needs no -wal beside it.
        private.execute("PRAGMA journal_mode = DELETE")
    finally:
        private.close()


def _page_size(connection: Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def _translated(error: Exception, target: Path, where: str) -> MetricsStoreError:
    match sqlite.code(error):
        case 13:
            hint = "Free some space, then try again; nothing was left behind."
            return NoSpace(f"{target}: {error}", hint=hint)
        case 11 | 26:
            return CorruptStore(f"{where}: {error}")
        case 5 | 6:
            return StoreBusy(f"{where}: {error}")
        case _:
            return BackupError(f"{target}: {error}", hint="Look at the disk, and at its log.")
