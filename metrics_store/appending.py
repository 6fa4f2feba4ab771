"""Appending whole lines to a file that others append to as well, and may be killed at."""

from __future__ import annotations

import os


def append(handle: int, lines: bytes) -> None:
    """Append lines to an open file; after half of a line they begin with a line of their own.

    Args:
        handle: open for reading and appending; nobody else appends meanwhile.
        lines: each with its end.

    Raises:
        OSError: not all of them were written.
    """
    end = os.lseek(handle, 0, os.SEEK_END)
    # What a killed process or a full disk left half-written must not swallow the first line.
    torn = end and _byte_at(handle, end - 1) != b"\n"
    _write_all(handle, (b"\n" if torn else b"") + lines)


def _byte_at(handle: int, offset: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, 1)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
