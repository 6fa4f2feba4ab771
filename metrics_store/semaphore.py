"""A semaphore that the processes of one machine share, named for a database file.

It is ``/dev/shm/sem.metrics_store-DEVICE-INODE``, 32 bytes. Who closes it removes it, as does the
end of a process that did not; others that have it open go on with it until they look again. A
process that is killed, or ends by ``os._exit`` as forked workers do, leaves it there, until the
next one that opens it closes it.

Everybody may make files in ``/dev/shm``, and a mapped file that is cut off ends the process
(SIGBUS). So none is opened that somebody could write to who could not do the same to the ``-shm``
beside the database. Processes of several users may therefore be left without one.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
import weakref
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_SECOND = 1_000_000_000
_FOLDER = "/dev/shm"


class Semaphore:
    """The semaphore of a database file, open; for one thread at a time.

    Args:
        database: the file.

    Raises:
        OSError: there is none on this system, it cannot be opened, or it is not to be trusted.
    """

    def __init__(self, database: str) -> None:
        libc = _libc()
        if libc is None:
            raise OSError(errno.ENOSYS, "no semaphore that is waited for by the monotonic clock")
        import ctypes

        self._libc = libc
        self._errno = ctypes.get_errno
        self._timespec = ctypes.c_long * 2
        self._value = ctypes.c_int()
        self._value_at = ctypes.byref(self._value)
        found = os.stat(database)
        self._name = _name(found)
        self._handle, self._file = self._open(found)
        # At the end of the process, too. Not sem_close: a thread may wait on it to the very end.
        self._remove = weakref.finalize(self, _remove, self._name, self._file, os.getpid())

    def _open(self, database: os.stat_result) -> tuple[int, tuple[int, int]]:
        name = b"/" + self._name.encode()
        mode = database.st_mode & 0o666
        if database.st_gid != os.getegid():
            mode &= ~0o060  # the file gets the group of the process
        made = self._libc.sem_open(name, os.O_CREAT | os.O_EXCL, mode, 0)
        opened = None
        try:
            # Between two looks that see one sound file, what is opened is that file.
            before = _trusted(self._name, database)
            opened = self._libc.sem_open(name, 0, 0, 0)
            if opened is None:
                raise OSError(self._errno(), "sem_open", self._name)
            if _trusted(self._name, database) != before:
                raise OSError(errno.ESTALE, "replaced meanwhile", self._name)
        except OSError:
            if opened is not None:
                self._libc.sem_close(opened)
            if made is not None:
                self._libc.sem_unlink(name)
            raise
        finally:
            if made is not None:
                self._libc.sem_close(made)
        return opened, before

    def is_of(self, database: str) -> bool:
        """Whether who opens the semaphore of a database now gets this one."""
        try:
            found = os.stat(database)
            return self._name == _name(found) and self._file == _trusted(self._name, found)
        except OSError:
            return False

    def is_empty(self) -> bool:
        """Whether there is no token."""
        self._libc.sem_getvalue(self._handle, self._value_at)
        return self._value.value == 0

    def post(self) -> None:
        """Add a token: one who waits goes on, or the next one does not wait."""
        self._libc.sem_post(self._handle)

    def wait(self, until: int) -> int:
        """Take a token, if there is one in time; other threads run meanwhile.

        Args:
            until: nanoseconds of the monotonic clock.

        Returns:
            0 with a token, else why not: ETIMEDOUT, EINTR, or an error.
        """
        moment = self._timespec(*divmod(until, _SECOND))
        if self._libc.sem_clockwait(self._handle, time.CLOCK_MONOTONIC, moment) == 0:
            return 0
        return self._errno()

    def close(self) -> None:
        """Close it, and remove it if this process opened it, rather than one it was forked from."""
        self._libc.sem_close(self._handle)
        self._remove()


def _name(database: os.stat_result) -> str:
    return f"metrics_store-{database.st_dev}-{database.st_ino}"


def _file(name: str) -> str:
    return f"{_FOLDER}/sem.{name}"


def _trusted(name: str, database: os.stat_result) -> tuple[int, int]:
    """The device and inode of a semaphore's file.

    Raises:
        OSError: there is none; or it is something else, or somebody could cut it off who could not
            do so to the index of the database's log.
    """
    file = os.lstat(_file(name))
    size = 32 if sys.maxsize > 2**32 else 16
    writers = file.st_mode & 0o022
    if (
        not stat.S_ISREG(file.st_mode)
        or file.st_size != size
        or file.st_uid not in (os.geteuid(), database.st_uid, 0)
        or writers & ~database.st_mode
        or (writers & 0o020 and file.st_gid != database.st_gid)
    ):
        raise OSError(errno.EPERM, "not to be trusted", name)
    return file.st_dev, file.st_ino


def _remove(name: str, file: tuple[int, int], opener: int) -> None:
    # A forked child has inherited what its parent still uses.
    if os.getpid() == opener:
        with suppress(OSError):
            found = os.lstat(_file(name))
            if file == (found.st_dev, found.st_ino):
                os.unlink(_file(name))


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library, or None if it lacks what is needed."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        libc.sem_clockwait.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        libc.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
        libc.sem_open.restype = ctypes.c_void_p
        libc.sem_unlink.argtypes = [ctypes.c_char_p]
        libc.sem_getvalue.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        libc.sem_post.argtypes = libc.sem_close.argtypes = [ctypes.c_void_p]
    except (ImportError, OSError, AttributeError):
        return None
    return libc


def is_possible() -> bool:
    """Whether this system has what is needed."""
    return _libc() is not None and os.path.isdir(_FOLDER)
