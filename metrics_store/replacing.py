"""Replacing a file whole: a reader sees the old content or the new one, and so does a crash."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def replaced(path: str | os.PathLike[str], *, mode: int = 0o600) -> Iterator[TextIO]:
    """A text file to write; it takes the place of ``path`` when the block ends without an error.

    Symlinks are followed. Mode and owner of the file that is there are kept; the owner as far as
    this user may.

    Args:
        path: the file; its directory is there.
        mode: of a file that is new.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    real = os.path.realpath(path)
    try:
        there = os.stat(real)
    except FileNotFoundError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        raise OSError(22, "it is not a regular file", real)
    temporary = f"{real}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            _dress(file.fileno(), temporary, there, mode)
            os.fsync(file.fileno())
        os.replace(temporary, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(real))


def replace_text(path: str | os.PathLike[str], text: str, *, mode: int = 0o600) -> None:
    """Put a text in the place of a file; as :func:`replaced`."""
    with replaced(path, mode=mode) as file:
        file.write(text)


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make a rename within a directory last through a power cut. (Windows has no such call.)"""
    if sys.platform != "win32":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _dress(handle: int, path: str, there: os.stat_result | None, mode: int) -> None:
    if there is not None and hasattr(os, "fchown"):
        with suppress(PermissionError):  # only root gives files away
            os.fchown(handle, there.st_uid, there.st_gid)
    # After the owner: a change of owner drops some bits of the mode.
    os.chmod(path, mode if there is None else stat.S_IMODE(there.st_mode))
