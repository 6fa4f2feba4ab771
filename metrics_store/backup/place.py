"""The directory that backups lie in: names in it, its lock, room, and what killed runs left.

A backup is written as ``.NAME.tmp`` and gets its name once it is whole. Whoever writes one holds
the lock of ``.backups.lock`` together with others; who has it alone knows that every temporary file
is what a killed run left. The kernel drops the lock with its process.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metrics_store import clock, manifest
from metrics_store.errors import BackupError, NoSpace
from metrics_store.replacing import sync_directory

#: Beside the copy itself: a manifest, and what SQLite or a directory needs meanwhile.
_SPARE = 1 << 20
#: Bytes of a store's name that go into the names of its backups; a name has 255 of them.
_LONGEST_STEM = 160
_SIDES = ("", "-journal", "-wal", "-shm")
_TEMPORARY = re.compile(r"\.(?P<name>.+-\d{8}T\d{12}(?:-\d+)?\.db)\.tmp", re.DOTALL)
_TORN_MANIFEST = re.compile(
    r"(?P<name>.+-\d{8}T\d{12}(?:-\d+)?\.db)\.json\.\d+\.[0-9a-f]{8}\.tmp", re.DOTALL
)
_LOCK = ".backups.lock"
#: Left to its maker if no lock can tell whether that still runs.
_ABANDONED_AFTER_US = 24 * 3600 * clock.MICROSECONDS
#: Seconds to wait while somebody tidies up.
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """A directory of backups that this process may put some into.

    Args:
        directory: absolute, without symlinks.
        left_overs: what killed runs had left there, and was removed.
        stuck: what they left and this user may not remove.
    """

    directory: Path
    left_overs: tuple[Path, ...] = ()
    stuck: tuple[Path, ...] = ()

    def reserve(self, database: str, us: int) -> Path:
        """Make an empty temporary file for a backup, 0600, and give the name it may get.

        Args:
            database: the store.
            us: the moment of the backup, microseconds since 1970.

        Raises:
            BackupError: it cannot be made.
        """
        wanted = f"{stem(database)}-{clock.stamp(us)}"
        n = 1
        while True:
            path = self.directory / (f"{wanted}.db" if n == 1 else f"{wanted}-{n}.db")
            n += 1
            temporary = temporary_of(path)
            try:
                os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            except FileExistsError:
                continue
            except OSError as error:
                raise failed(error, temporary) from error
            # In this order: whoever else took the name had the temporary file before.
            if os.path.lexists(path) or os.path.lexists(manifest.path_of(path)):
                temporary.unlink()
                continue
            return path

    def require(self, size: int) -> None:
        """Refuse to begin what has no room.

        Raises:
            NoSpace: there are not so many bytes free.
        """
        free = shutil.disk_usage(self.directory).free
        if free < size + _SPARE:
            raise NoSpace(
                f"{self.directory} has {free:,} bytes free, the copy takes {size:,}",
                hint="Free some space, name another directory, or delete old backups with "
                "`metrics-store backup prune --execute`.",
            )

    def publish(self, path: Path) -> None:
        """Give a temporary file, which was synced, its name for good.

        Raises:
            OSError: it cannot be.
        """
        os.rename(temporary_of(path), path)
        sync_directory(self.directory)

    def discard(self, path: Path) -> None:
        """Remove a temporary file and all that belongs to it."""
        _remove(path)

    def delete(self, path: Path) -> None:
        """Delete a backup and its manifest; killed midway, the next run ends it.

        Raises:
            OSError: it cannot be.
        """
        try:
            os.rename(path, temporary_of(path))
        except FileNotFoundError:
            return  # somebody else was faster
        _remove(path)
        sync_directory(self.directory)


@contextmanager
def opened(directory: Path, us: int, *, make: bool = True) -> Iterator[Place]:
    """A directory for backups, made (0700) if it is not there; what killed runs left is removed.

    Args:
        directory: symlinks in it are resolved once.
        us: the present, microseconds since 1970.
        make: False if there is nothing to do in a directory that is not there.

    Raises:
        BackupError: it is not a directory, or cannot be made or written.
    """
    real = Path(os.path.realpath(directory))
    try:
        if make:
            os.makedirs(real, mode=0o700, exist_ok=True)
        if not stat.S_ISDIR(os.stat(real).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(real))
        handle = _opened_lock(real)
    except OSError as error:
        raise failed(error, real) from error
    try:
        left_overs, stuck = _swept(real, us, alone=_lock(handle, shared=False))
        _wait_for_lock(handle, real)
        yield Place(real, left_overs, stuck)
    finally:
        # Not by closing alone: a child forked meanwhile shares the open file, and the lock with it.
        _let_go(handle)
        os.close(handle)


def temporary_of(path: Path) -> Path:
    """What a backup is called until it is whole."""
    return path.with_name(f".{path.name}.tmp")


def stem(database: str) -> str:
    """What the names of a store's backups begin with."""
    plain = Path(database).stem.lstrip(".") or "store"
    raw = os.fsencode(plain)
    # A character that is cut through would be no text any more.
    return plain if len(raw) <= _LONGEST_STEM else raw[:_LONGEST_STEM].decode(errors="ignore")


def failed(error: OSError, where: Path) -> BackupError | NoSpace:
    """The error of ours that says why a file could not be written."""
    detail = f"{where}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoSpace(detail, hint="Free some space, then try again; nothing was left behind.")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return BackupError(detail, hint="Name a directory, or a place where one can be made.")
    return BackupError(detail, hint="Look at the owner and mode of the directory, and at the disk.")


def _opened_lock(directory: Path) -> int:
    path = directory / _LOCK
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    except PermissionError:
        if not path.exists():
            raise
        # Somebody else's: reading is enough for a lock.
        return os.open(path, os.O_RDONLY | flags)


def _swept(directory: Path, us: int, *, alone: bool) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Remove what killed runs left; alone, that is every temporary file, else every old one."""
    left: list[Path] = []
    stuck: list[Path] = []
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise failed(error, directory) from error
    for name in names:
        match = _TEMPORARY.fullmatch(name) or _TORN_MANIFEST.fullmatch(name)
        path = directory / name
        if match is None or not (alone or _is_old(path, us)):
            continue
        try:
            if name.startswith("."):
                _remove(directory / match["name"])
            else:
                path.unlink(missing_ok=True)
        except OSError:
            stuck.append(path)
        else:
            left.append(path)
    return tuple(left), tuple(stuck)


def _is_old(path: Path, us: int) -> bool:
    try:
        written = os.stat(path, follow_symlinks=False).st_mtime_ns // 1000
    except FileNotFoundError:
        return False
    return us - written > _ABANDONED_AFTER_US


def _remove(path: Path) -> None:
    # The manifest of a backup that never got its name, or was being deleted. The temporary file
    # goes last: while it is there, the next run knows what to remove.
    if not os.path.lexists(path):
        manifest.path_of(path).unlink(missing_ok=True)
    temporary = temporary_of(path)
    for side in reversed(_SIDES):
        Path(f"{temporary}{side}").unlink(missing_ok=True)


def _wait_for_lock(handle: int, directory: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _lock(handle, shared=True):
        if not _let_go(handle):
            return
        # Whoever has it alone is tidying up, which takes a moment.
        if time.monotonic() >= deadline:
            raise BackupError(
                f"{directory}: somebody else holds its lock",
                hint=f"See who does (fuser {_LOCK}); the lock ends with its process.",
            )
        time.sleep(0.01)


if sys.platform == "win32":

    def _lock(handle: int, *, shared: bool) -> bool:
        return False

    def _let_go(handle: int) -> bool:
        return False
else:
    import fcntl

    def _lock(handle: int, *, shared: bool) -> bool:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _let_go(handle: int) -> bool:
        # False where there are no locks, as on some network file systems: there age alone tells
        # what was left.
        try:
            fcntl.flock(handle, fcntl.LOCK_UN)
        except OSError:
            return False
        return True
