"""A file's bytes, and whether it can have changed since they were read."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from metrics_store.clock import Clock
from metrics_store.errors import LegacyNotOverwritten

# The coarsest file time in use (FAT). A write within one grain of another leaves no trace in mtime.
_MTIME_GRAIN_NS = 2_000_000_000
# A pipe put in the file's place must not hang us. (Windows has no such flag.)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# What file times are compared with is the machine's time, whatever clock a tracker was given.
_wall = Clock()


class State(NamedTuple):
    """What a file was when it was looked at."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @property
    def is_settled(self) -> bool:
        """Whether any write from now on gives it another state."""
        return self.mtime_ns < _wall.now_us() * 1000 - _MTIME_GRAIN_NS


class Read(NamedTuple):
    """What reading a file gave.

    Args:
        state: what it was; None if it is missing.
        data: its bytes; None if it is missing.
        settled: whether ``state`` alone tells from now on that it still has these bytes.
        whole: whether nobody changed it while it was read.
    """

    state: State | None
    data: bytes | None
    settled: bool
    whole: bool


MISSING = Read(None, None, settled=False, whole=True)


def look(path: str) -> State | None:
    """What a file is now; None if it is missing.

    Raises:
        LegacyNotOverwritten: it cannot be looked at.
    """
    try:
        return _state(os.stat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def read(path: str) -> Read:
    """Read a file as it is now.

    Raises:
        LegacyNotOverwritten: it cannot be read.
    """
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        with open(handle, "rb") as file:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise LegacyNotOverwritten(f"{path} is not a regular file")
            state = _state(before)
            settled = state.is_settled  # before the reading: a write during it may leave no trace
            data = file.read()
            return Read(state, data, settled, state == _state(os.fstat(handle)))
    except OSError as error:
        raise _unreadable(path, error) from error


def _state(status: os.stat_result) -> State:
    return State(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _unreadable(path: str, error: OSError) -> LegacyNotOverwritten:
    return LegacyNotOverwritten(
        f"{path}: {error.strerror}", hint="Look at the owner and mode of the file."
    )
