"""Whether a store's write-ahead log is the one that belongs to it, and whole.

SQLite takes a log that is missing, cut off or damaged for one that ends there, and serves the store
without what was recorded last. What a crash leaves behind tells more: ``-shm`` says how many frames
had been committed. So it is looked at before the store is first opened in a process, and a store
that is evidently short of commits is not opened. (Formats: sqlite.org/fileformat2.html §4 and
sqlite.org/walformat.html §2.)

The files are read raw, under :func:`metrics_store.sqlite.without_connection` alone: closing a
descriptor of ``-shm`` drops every lock that this process has on it.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import BinaryIO, Literal, NamedTuple

_WAL_HEADER, _FRAME_HEADER = 32, 24
_MAGIC = 0x377F0682
_INDEX_VERSION = 3_007_000
_INDEX_HEADER = 48
#: While others write, what is read of two files need not go together: look again.
_LOOKS, _PAUSE = 20, 0.002

Kind = Literal["none", "whole", "missing", "truncated", "damaged", "other", "unknown"]


@dataclass(frozen=True, slots=True)
class State:
    """What became of a write-ahead log.

    Args:
        kind: ``none``: there is none and none is missed; ``whole``; ``missing``, ``truncated``,
            ``damaged``, ``other`` (not the one that belongs to the store): commits are lost;
            ``unknown``: this process has the store open.
        expected: frames that had been committed, of which the store's own file has none yet;
            None if nothing tells.
        found: frames that can be read.
        certain: an index of the same boot says so. Else the log itself does, and what cannot be
            read may be what a power cut or a kill kept from being acknowledged: the rest of a
            transaction that was never ended looks the same.
        detail: what is wrong, in words.
    """

    kind: Kind
    expected: int | None = None
    found: int = 0
    certain: bool = False
    detail: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether commits are lost."""
        return self.kind in ("missing", "truncated", "damaged", "other")


class Committed(NamedTuple):
    """What the index says of the log: how many frames, their last checksum, and which log."""

    frames: int
    folded: int
    checksum: tuple[int, int]
    salts: bytes
    page_size: int

    @property
    def is_folded(self) -> bool:
        """Whether the store's own file has all of it, so that the log is not needed."""
        return self.frames <= self.folded


def evidence(path: str) -> tuple[Committed | None, State | None]:
    """What tells at little cost (50 us) that commits are lost; the caller has no connection.

    Args:
        path: the database.

    Returns:
        What the index has, if it can be believed, and the loss, if there is one.
    """
    for _ in range(_LOOKS):
        committed = _committed(path)
        if committed is None or committed.is_folded:
            return committed, None
        state = _last_frame(path, committed)
        if state is None:
            return committed, None
        if _committed(path) == committed and _last_frame(path, committed) is not None:
            # Of two looks between which nobody wrote. Once more a little later, to be sure.
            time.sleep(_PAUSE)
            if _committed(path) == committed and (state := _last_frame(path, committed)):
                return committed, state
        time.sleep(_PAUSE)
    return None, None


def examine(path: str) -> State:
    """Read the whole log, checksums and all; the caller has no connection. Some 25 ms a MiB.

    Args:
        path: the database. Others may write it: what two looks in a row agree on is so.
    """
    before = None
    for _ in range(_LOOKS):
        state = _examined(path)
        if state is not None and (state == before or not state.is_lost):
            return state
        before = state
        time.sleep(_PAUSE)
    return State("unknown", detail="it is being written all the time")


def _examined(path: str) -> State | None:
    """What one look gives; None if the log was begun anew meanwhile."""
    committed, state = evidence(path)
    try:
        with open(f"{path}-wal", "rb") as file:
            header = file.read(_WAL_HEADER)
            log = _Log.of(header)
            if log is None:
                return state or State("damaged" if header.strip(b"\0") else "none")
            found, beyond = _scan(log, _frames(file, log.frame))
            file.seek(0)
            if file.read(_WAL_HEADER) != header:
                return None
    except FileNotFoundError:
        return state or State("none")
    if state is not None:
        return replace(state, found=0 if state.kind == "other" else found)
    expected = committed.frames if committed and committed.salts == log.salts else None
    if committed is not None and expected is not None and found < expected:
        if committed.is_folded:
            return State("whole", expected, found)  # all of it is in the store's own file
        detail = f"{expected:,} frames were committed, {found:,} can be read"
        return State("damaged", expected, found, True, detail)
    if beyond and expected is None:
        detail = f"frame {found + 1:,} is damaged; from it on {beyond:,} commits cannot be read"
        return State("damaged", expected, found, False, detail)
    return State("whole", expected, found)


def frames_kept(path: str, committed: Committed) -> bool:
    """Whether the log is still the one that the index told of. (Reading it harms no lock.)"""
    try:
        with open(f"{path}-wal", "rb") as file:
            log = _Log.of(file.read(_WAL_HEADER))
    except OSError:
        return False
    return log is not None and log.salts == committed.salts


class _Log(NamedTuple):
    """The header of a log."""

    page_size: int
    salts: bytes
    order: str
    checksum: tuple[int, int]

    @property
    def frame(self) -> int:
        return _FRAME_HEADER + self.page_size

    @classmethod
    def of(cls, header: bytes) -> _Log | None:
        if len(header) < _WAL_HEADER:
            return None
        magic, _, page_size, _ = struct.unpack(">4I", header[:16])
        if magic | 1 != _MAGIC | 1:
            return None
        order = ">" if magic & 1 else "<"
        checksum = _checksum((0, 0), header[:24], order)
        if checksum != struct.unpack(">2I", header[24:32]):
            return None
        return cls(page_size, header[16:24], order, checksum)


def _checksum(start: tuple[int, int], data: bytes, order: str) -> tuple[int, int]:
    a, b = start
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for word in words:
        a = a + word + b & 0xFFFF_FFFF
        b = b + next(words) + a & 0xFFFF_FFFF
    return a, b


def _scan(log: _Log, frames: Iterator[bytes]) -> tuple[int, int]:
    """How many frames can be read, up to the last commit, and how many commits cannot."""
    checksum = log.checksum
    committed = 0
    for read, frame in enumerate(frames, 1):
        header = frame[:_FRAME_HEADER]
        if header[8:16] != log.salts:
            return committed, _commits(log, frames)
        checksum = _checksum(checksum, header[:8] + frame[_FRAME_HEADER:], log.order)
        if checksum != struct.unpack(">2I", header[16:24]):
            # A kill leaves no whole frame of this log that is wrong; its own mark counts too.
            return committed, _commits(log, chain([frame], frames))
        if header[4:8] != b"\0\0\0\0":
            committed = read
    return committed, 0


def _commits(log: _Log, frames: Iterator[bytes]) -> int:
    return sum(frame[8:16] == log.salts and frame[4:8] != b"\0\0\0\0" for frame in frames)


def _frames(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Whole frames; what a crash left of a last one is none."""
    while len(frame := file.read(size)) == size:
        yield frame


def _committed(path: str) -> Committed | None:
    """What ``-shm`` says, if it is of this boot, in order, and of a log."""
    try:
        with open(f"{path}-shm", "rb") as file:
            if not _is_of_this_boot(os.fstat(file.fileno()).st_mtime):
                return None
            data = file.read(2 * _INDEX_HEADER + 4)
    except OSError:
        return None
    first, second = data[:_INDEX_HEADER], data[_INDEX_HEADER : 2 * _INDEX_HEADER]
    if len(data) < 2 * _INDEX_HEADER + 4 or first != second:
        return None
    version, _, _, ready, _, page, frames, _, *checksum = struct.unpack("=3I2BH4I", first[:32])
    own = "<" if sys.byteorder == "little" else ">"
    if version != _INDEX_VERSION or not ready:
        return None
    if _checksum((0, 0), first[:40], own) != struct.unpack("=2I", first[40:]):
        return None
    (folded,) = struct.unpack("=I", data[2 * _INDEX_HEADER :])
    page_size = (page & 0xFE00) + ((page & 1) << 16)
    return Committed(frames, folded, (checksum[0], checksum[1]), first[32:40], page_size)


def _last_frame(path: str, committed: Committed) -> State | None:
    """What is wrong with the last frame that was committed, if anything is."""
    lost = f"{committed.frames - committed.folded:,} frames of commits"
    try:
        with open(f"{path}-wal", "rb") as file:
            log = _Log.of(file.read(_WAL_HEADER))
            size = os.fstat(file.fileno()).st_size
            frame = _FRAME_HEADER + committed.page_size
            file.seek(_WAL_HEADER + (committed.frames - 1) * frame)
            header = file.read(_FRAME_HEADER)
    except FileNotFoundError:
        return State("missing", committed.frames, 0, True, f"there is no -wal; {lost} are missed")
    except OSError:
        return None  # it is there, and SQLite will say what is the matter with it
    if log is not None and log.salts != committed.salts:
        return State("other", committed.frames, 0, True, f"the -wal is another one; {lost} lost")
    found = max(0, size - _WAL_HEADER) // frame
    if found < committed.frames:
        detail = f"{committed.frames:,} frames were committed, the -wal has {found:,}"
        return State("truncated", committed.frames, found, True, detail)
    if log is None:
        return State("damaged", committed.frames, 0, True, f"the header of the -wal; {lost} lost")
    if header[8:] != log.salts + struct.pack(">2I", *committed.checksum):
        detail = f"frame {committed.frames:,} is not the one that was committed"
        return State("damaged", committed.frames, 0, True, detail)
    return None


def _is_of_this_boot(moment: float) -> bool:
    # Of an earlier one it may be half written, or older than the log.
    boot = _booted_at()
    return boot is not None and moment >= boot


@cache
def _booted_at() -> float | None:
    try:
        with open("/proc/stat", encoding="ascii") as file:
            for line in file:
                if line.startswith("btime "):
                    return float(line.split()[1])
    except OSError:
        pass
    return None
