"""Locks between the processes that write a legacy file, and between them and an operator.

Three files beside the JSON file, never deleted. ``<file>.lock`` is held exclusively while the file
is read, merged and written. ``<file>.phase.lock`` is held together by all runners while they
write, and exclusively by an operator while the phase changes: nobody is then in the midst of a
write. Before it each passes ``<file>.turnstile.lock``. Who needs the file's lock too takes the
phase's first. All take the file with its symlinks resolved: that costs some 30 us, and a runner
does it once. flock is dropped by the kernel when a process dies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from metrics_store import file_locks
from metrics_store.errors import LegacyLocked, LegacyNotWritable

#: Seconds that a runner waits for other runners or an operator before it gives up.
PATIENCE = 10.0


def data_lock(json_file: str | os.PathLike[str]) -> str:
    """The lock of the file's content."""
    return f"{os.fspath(json_file)}.lock"


def phase_lock(json_file: str | os.PathLike[str]) -> str:
    """The lock of the phase."""
    return f"{os.fspath(json_file)}.phase.lock"


@contextmanager
def writing(json_file: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the phase's lock together with all other runners for the length of the block.

    Raises:
        LegacyLocked, LegacyNotWritable: as :func:`held`.
    """
    # Whoever wants to change the phase holds the turnstile: busy runners, of which one always
    # has the lock, must not keep an operator out for ever.
    with held(_turnstile(json_file), shared=True):
        pass
    with held(phase_lock(json_file), shared=True):
        yield


@contextmanager
def changing(json_file: str | os.PathLike[str], *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the phase's lock alone: every runner has ended what it was writing.

    Args:
        patience: seconds to wait at most.

    Raises:
        LegacyLocked, LegacyNotWritable: as :func:`held`.
    """
    with (
        held(_turnstile(json_file), patience=patience),
        held(phase_lock(json_file), patience=patience),
    ):
        yield


def _turnstile(json_file: str | os.PathLike[str]) -> str:
    return f"{os.fspath(json_file)}.turnstile.lock"


@contextmanager
def held(path: str, *, shared: bool = False, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a lock for the length of the block. Not re-entrant, and safe between threads.

    Args:
        path: the lock file; made if it is missing.
        shared: together with other shared holders.
        patience: seconds to wait at most.

    Raises:
        LegacyLocked: it was not had in time.
        LegacyNotWritable: the lock file cannot be made.
    """
    handle = _open(path)
    try:
        _take(handle, path, shared, patience)
        yield
    finally:
        file_locks.unlock(handle)
        os.close(handle)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        with suppress(OSError):
            # Somebody else's lock file: reading is enough for flock.
            return os.open(path, os.O_RDONLY)
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error


def _take(handle: int, path: str, shared: bool, patience: float) -> None:
    try:
        had = file_locks.lock(handle, patience, shared=shared)
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error
    if not had:
        raise LegacyLocked(f"{path}: waited {patience:g} s")
