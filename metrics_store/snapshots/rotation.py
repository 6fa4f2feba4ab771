"""Rotating a sink: whatever moment a process is killed at, every line is in exactly one file.

``status.jsonl`` is renamed to ``status.jsonl.STAMP``; what is compressed takes its place under the
same name, and only then gets the name ``status.jsonl.STAMP.gz``. So no line is ever in two files,
but for a hidden temporary that nobody reads. What a killed process left is finished by the next.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
from contextlib import suppress

from metrics_store import clock
from metrics_store.replacing import sync_directory

GZIP = b"\x1f\x8b"
_STAMP = re.compile(r"\d{8}T\d{12}")


def rotate(path: str, now_us: int) -> str:
    """Put the lines of a sink aside; gives the name they have now. Its lock is held.

    Raises:
        OSError: they are where they were.
    """
    while True:
        aside = f"{path}.{clock.stamp(now_us)}"
        if not (os.path.lexists(aside) or os.path.lexists(f"{aside}.gz")):
            break
        now_us += 1
    os.rename(path, aside)
    sync_directory(os.path.dirname(path))
    return aside


def rotated(path: str) -> list[str]:
    """The files that a sink was rotated to, oldest first, compressed or not."""
    directory, name = os.path.split(path)
    stamps = {
        entry
        for entry in os.listdir(directory)
        if entry.startswith(f"{name}.")
        and _STAMP.fullmatch(entry[len(name) + 1 :].removesuffix(".gz"))
    }
    return [os.path.join(directory, entry) for entry in sorted(stamps)]


def compress(path: str) -> None:
    """Compress whatever was put aside and is not compressed yet. The sink's lock is held.

    Raises:
        OSError: the rest is as it was.
    """
    for aside in rotated(path):
        if aside.endswith(".gz"):
            continue
        if not _is_compressed(aside):
            _compress(aside)
        os.rename(aside, f"{aside}.gz")
        sync_directory(os.path.dirname(path))


def _is_compressed(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == GZIP


def _compress(path: str) -> None:
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.tmp")
    try:
        with open(path, "rb") as source, open(temporary, "wb") as target:
            os.chmod(temporary, stat.S_IMODE(os.fstat(source.fileno()).st_mode))
            with gzip.GzipFile("", "wb", 6, target, mtime=0) as packed:
                shutil.copyfileobj(source, packed, 1 << 18)
            target.flush()
            os.fsync(target.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(directory)
