"""Appending whole lines to a file that others append to as well, and may be killed at."""

from __future__ import annotations

import os
from contextlib import suppress


def append(handle: int, lines: bytes, *, sync: bool) -> bool:
    """Append lines to an open file; after half of a line they begin with a line of their own.

    Args:
        handle: open for reading and appending; nobody else appends meanwhile.
        lines: each with its end.
        sync: wait until they are on the disk.

    Returns:
        Whether they are the file's first, so that its name may not be on the disk yet.

    Raises:
        OSError: not all of them were written; what was is taken back.
    """
    end = os.lseek(handle, 0, os.SEEK_END)
    # What a killed process left half-written must not swallow the first line.
    torn = end and _byte_at(handle, end - 1) != b"\n"
    try:
        _write_all(handle, (b"\n" if torn else b"") + lines)
        if sync:
            os.fsync(handle)
    except OSError:
        with suppress(OSError):  # else the half of it stays, as after a kill
            os.ftruncate(handle, end)
        raise
    return end == 0


def _byte_at(handle: int, offset: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, 1)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
