"""The lock between the processes that write one sink.

A file beside the sink that is never deleted; the kernel drops the lock when a process dies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from metrics_store import file_locks
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
        try:
            had = file_locks.lock(handle, patience)
        except OSError as error:
            raise WriteError(
                f"{path}: {error.strerror}", hint="Put the sink on a local disk."
            ) from error
        if not had:
            raise WriteError(
                f"{path}: waited {patience:g} s",
                hint=f"See which process holds it: fuser {path}.",
            )
        yield
    finally:
        file_locks.unlock(handle)
        os.close(handle)
