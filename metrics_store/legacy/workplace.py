"""The folders beside a store where work on a legacy file keeps its copy and its scratch file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics_store.errors import LegacyFileError, StoreNotWritable

#: Only what is ours by its name: somebody may keep a file of their own there.
_OURS = ("legacy-*.json", "scratch.db*", "rehearsal.db*")
_AGAIN = "again"


@contextmanager
def workplace(database: str) -> Iterator[Path]:
    """The folder ``<database>.legacy``, 0700, for one pass at a time; emptied before and after.

    Raises:
        LegacyFileError: another process is taking a file in.
        StoreNotWritable: it cannot be made.
    """
    with _claimed(Path(f"{database}.legacy"), "taking a file into the same store") as directory:
        empty(directory)
        try:
            yield directory
        finally:
            empty(directory)


@contextmanager
def verify_place(database: str) -> Iterator[Path]:
    """The folder ``<database>.verify``, 0700, for one verify at a time; what is in it is left.

    A folder and a lock of its own, so that a file can be taken in while a verify waits to go on.

    Raises:
        LegacyFileError: another process is comparing a file.
        StoreNotWritable: it cannot be made.
    """
    with _claimed(Path(f"{database}.verify"), "comparing a file with the same store") as directory:
        yield directory


@contextmanager
def place_within(directory: Path) -> Iterator[Path]:
    """A folder within one, 0700, for work beside what is kept there; removed in the end."""
    inner = directory / _AGAIN
    inner.mkdir(mode=0o700, exist_ok=True)
    empty(inner)
    try:
        yield inner
    finally:
        empty(inner)
        inner.rmdir()


def empty(directory: Path, *, but: Path | None = None) -> None:
    """Remove what is ours in such a folder.

    Args:
        but: a file that stays.
    """
    for pattern in (*_OURS, *(f"{_AGAIN}/{pattern}" for pattern in _OURS)):
        for left in directory.glob(pattern):
            if left != but:
                left.unlink()


def source_of(database: str, path: str | os.PathLike[str]) -> Path:
    """A legacy file with its symlinks resolved; nothing is opened.

    Raises:
        LegacyFileError: it is the store itself, or one of the store's own copies.
    """
    source = Path(os.path.realpath(path))
    if any(_same(source, f"{database}{suffix}") for suffix in ("", "-wal", "-shm")):
        # Opening and closing a live database would drop its locks.
        raise LegacyFileError(f"{path} is the store itself", hint="Name the tracker's JSON file.")
    if str(source.parent) in (f"{database}.legacy", f"{database}.verify"):
        raise LegacyFileError(
            f"{path} is where the store keeps its own copies for a while",
            hint="Move it elsewhere first.",
        )
    return source


def _same(path: Path, other: str) -> bool:
    """Whether two names are of one file, hard links too."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return str(path) == other


@contextmanager
def _claimed(directory: Path, doing: str) -> Iterator[Path]:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreNotWritable(f"{directory}: {error.strerror}") from error
    try:
        _claim(lock, directory, doing)
        yield directory
    finally:
        os.close(lock)


def _claim(lock: int, directory: Path, doing: str) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LegacyFileError(
            f"another process is {doing} ({directory})",
            hint="Wait until it is done; it can go on from where it was.",
        ) from None
