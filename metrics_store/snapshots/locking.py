"""The lock between the processes that write one sink.

A file beside the sink that is never deleted; the kernel drops the lock when a process dies.
"""

from __future__ import annotations

import errno
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from metrics_store.errors import WriteError


@contextmanager
def held(path: str, patience: float) -> Iterator[None]:
    """Hold a lock for the length of the block. Not re-entrant, and safe between threads.

    Args:
        path: the lock file; made if it is missing.
        patience: seconds to wait at most.

    Raises:
        WriteError: it cannot be made, or was not had in time.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise WriteError(
            f"{path}: {error.strerror}", hint="Look at the owner and mode of the directory."
        ) from error
    try:
        deadline = time.monotonic() + patience
        while not _try(handle):
            if time.monotonic() >= deadline:
                raise WriteError(
                    f"{path}: waited {patience:g} s",
                    hint=f"See which process holds it: fuser {path}.",
                )
            # Jittered, so that many waiters do not come back together.
            time.sleep(random.uniform(0.0005, 0.003))
        yield
    finally:
        # Not by closing alone: a child forked meanwhile shares the open file, and the lock with it.
        _let_go(handle)
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _let_go(handle: int) -> None:
        with suppress(OSError):
            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                return False
            raise
        return True

    def _let_go(handle: int) -> None:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
