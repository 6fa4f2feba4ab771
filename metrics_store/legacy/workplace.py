"""The folder beside a store where a pass over a legacy file keeps its copy and its scratch file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics_store.errors import LegacyFileError, StoreNotWritable


@contextmanager
def workplace(database: str) -> Iterator[Path]:
    """The folder ``<database>.legacy``, 0700, for one pass at a time; emptied before and after.

    Raises:
        LegacyFileError: another process is taking a file in.
        StoreNotWritable: it cannot be made.
    """
    directory = Path(f"{database}.legacy")
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreNotWritable(f"{directory}: {error.strerror}") from error
    try:
        _claim(lock, directory)
        _empty(directory)
        try:
            yield directory
        finally:
            _empty(directory)
    finally:
        os.close(lock)


def _claim(lock: int, directory: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LegacyFileError(
            f"another process is taking a file into the same store ({directory})",
            hint="Wait until it is done; it can go on from where it was.",
        ) from None


def _empty(directory: Path) -> None:
    # Only what is ours by its name: somebody may keep a file of their own here.
    for pattern in ("legacy-*.json", "scratch.db*", "rehearsal.db*"):
        for left in directory.glob(pattern):
            left.unlink()
