"""Copying a database into another with SQLite's online backup, waiting for locks as we wait."""

from __future__ import annotations

import random
from collections.abc import Callable

from metrics_store import sqlite
from metrics_store.clock import Clock
from metrics_store.errors import StoreBusy
from metrics_store.sqlite import Connection

_OK, _DONE = 0, 101


def transfer(
    source: Connection,
    target: Connection,
    *,
    clock: Clock,
    patience: float,
    pages: int = -1,
    where: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Copy every page of a database. Into a live one: after the first step its write lock is held.

    Args:
        pages: of each step; all at once if negative.
        patience: seconds to wait for a lock.
        where: the database that may be locked, for the message.
        progress: gets, after each step, the pages that are left and how many there are. What it
            raises ends the copying, and the target is as it was.

    Raises:
        StoreBusy: a lock was not had in time.
        sqlite.Error: the target is as it was; unless the code is that of an I/O error, after
            which nobody knows.
    """
    status = _OK
    deadline = clock.monotonic_us() + round(patience * 1e6)

    def told(code: int, remaining: int, total: int) -> None:
        nonlocal status
        status = code & 0xFF
        if status in (5, 6):  # SQLITE_BUSY, SQLITE_LOCKED
            if clock.monotonic_us() >= deadline:
                raise StoreBusy(f"{where}: waited {patience:.1f} s")
            clock.sleep(random.uniform(0.0005, 0.002))
        elif status in (_OK, _DONE) and progress is not None:
            progress(remaining, total)

    try:
        source.backup(target, pages=pages, progress=told, sleep=0)
    except sqlite.Error as error:
        if not sqlite.code(error) and status not in (_OK, _DONE):
            # Some bindings keep the code of a failed backup to themselves.
            error.sqlite_errorcode = status
        raise
