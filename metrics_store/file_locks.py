"""Locks on open files, shared or not; the kernel drops them when a process dies."""

from __future__ import annotations

import errno
import os
import random
import sys
import time
from contextlib import suppress


def lock(handle: int, patience: float, *, shared: bool = False) -> bool:
    """Take a lock on an open file, and say whether it was had in time.

    Args:
        patience: seconds to wait at most.
        shared: together with other shared holders; on Windows there are no such locks.

    Raises:
        OSError: this file cannot be locked.
    """
    deadline = time.monotonic() + patience
    while not try_lock(handle, shared=shared):
        if time.monotonic() >= deadline:
            return False
        # Jittered, so that many waiters do not come back together.
        time.sleep(random.uniform(0.0005, 0.003))
    return True


if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int, *, shared: bool = False) -> bool:
        """Take a lock on an open file; False if somebody else has it."""
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(handle: int) -> None:
        """Let a lock go, if it is held."""
        with suppress(OSError):
            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def try_lock(handle: int, *, shared: bool = False) -> bool:
        """Take a lock on an open file; False if somebody else has it.

        Raises:
            OSError: this file cannot be locked.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                return False
            raise
        return True

    def unlock(handle: int) -> None:
        """Let a lock go, if it is held.

        To close the file is not enough: a child forked meanwhile shares it, and the lock with it.
        """
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
