"""Files of JSON lines, as they are found: compressed or not, torn at the end, damaged within."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from metrics_store.errors import SourceError
from metrics_store.snapshots.payload import MAX_BYTES
from metrics_store.snapshots.rotation import GZIP

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Longest line, in bytes: the largest payload, and what a sink puts around it.
MAX_LINE = MAX_BYTES + 4096
#: So much of a line that is too long is kept.
KEPT = 65_536
#: Bytes that are unpacked at once, and the format as zlib calls it.
_CHUNK, _AS_GZIP = 1 << 16, 31
_BOM = b"\xef\xbb\xbf"
_SUNK = re.compile(
    rb'\{"id":"[^"]*","recorded_at":"[^"]*",'
    rb'"appended_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"'
)


def appended_at(line: bytes) -> str | None:
    """When a sink wrote a line, from its beginning; None of any other line."""
    found = _SUNK.match(line)
    return None if found is None else found[1].decode()


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not empty.

    Args:
        number: from 1.
        raw: without its end; the beginning of it, if it is too long.
        length: in bytes.
        whole: it ends with a newline.
        trouble: why it cannot be read; empty if it can.
    """

    number: int
    raw: bytes
    length: int
    whole: bool = True
    trouble: str = ""


def open_source(path: str) -> BinaryIO:
    """Open a file of lines; a compressed one is decompressed, whatever its name.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - whoever asked closes it
        head = file.peek(2)[:2]  # it may be a pipe
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}", hint="Name a file of JSON lines.") from error
    if head != GZIP:
        return file
    return io.BufferedReader(_Unpacked(file))


class _Unpacked(io.RawIOBase):
    """What a compressed file holds, to the last byte before it is cut off or damaged.

    (Of what is read together with the damage, the library's own reader gives nothing.)
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = zlib.decompressobj(_AS_GZIP)
        self._data = self._pending = b""
        self._damage: zlib.error | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer.

        Raises:
            EOFError: the file is cut off here.
            zlib.error: it is damaged here.
        """
        while not self._pending:
            if self._damage is not None:
                raise self._damage
            if self._unpacker.eof:
                # Another one may follow, and zeros may.
                self._data = self._data.lstrip(b"\0")
            if not self._data:
                self._data = self._file.read(_CHUNK)
                if not self._data:
                    return self._end(buffer)
            elif self._unpacker.eof:
                self._unpacker = zlib.decompressobj(_AS_GZIP)
            if not self._unpacker.eof:
                self._unpack()
        view = memoryview(buffer).cast("B")
        part, self._pending = self._pending[: len(view)], self._pending[len(view) :]
        view[: len(part)] = part
        return len(part)

    def _end(self, buffer: WriteableBuffer) -> int:
        """What is left in the unpacker when the file has no more."""
        if self._unpacker.eof:
            return 0
        self._pending = self._unpacker.decompress(b"", _CHUNK)
        if not self._pending and not self._unpacker.eof:
            raise EOFError
        return self.readinto(buffer)

    def _unpack(self) -> None:
        before = self._unpacker.copy()
        try:
            self._pending = self._unpacker.decompress(self._data, _CHUNK)
            self._data = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        except zlib.error as error:
            self._damage = error
            self._pending = _until_damage(before, self._data)

    def close(self) -> None:
        """Close the file, too."""
        super().close()
        self._file.close()


def _until_damage(unpacker: zlib._Decompress, data: bytes) -> bytes:
    """What a piece gives before the byte that is damaged."""
    found = bytearray()
    try:
        for at in range(len(data)):
            found += unpacker.decompress(data[at : at + 1])
    except zlib.error:
        return bytes(found)
    return bytes(found)


def lines(file: BinaryIO, path: str) -> Iterator[Line]:
    """The lines of an open source; blank ones are left out.

    What ends in the midst of a line or of a compressed stream gives a last line that is not
    whole; what is damaged gives a last line that says so.

    Raises:
        SourceError: the file cannot be read.
    """
    number = 0
    while True:
        number += 1
        try:
            raw, length = _next(file)
        except EOFError:
            # The compressed stream has no end yet.
            yield Line(number, b"", 0, whole=False, trouble="the compressed file is cut off here")
            return
        except zlib.error as error:
            yield Line(
                number, b"", 0, trouble=f"the compressed file is damaged from here on: {error}"
            )
            return
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error
        if not length:
            return
        whole = raw.endswith(b"\n") or length > len(raw)
        if number == 1:
            raw = raw.removeprefix(_BOM)
        raw = raw.strip()
        if length > MAX_LINE:
            yield Line(
                number, raw, length, trouble=f"it has {length:,} bytes, at most {MAX_LINE:,}"
            )
        elif raw:
            yield Line(number, raw, len(raw), whole=whole)


def _next(file: BinaryIO) -> tuple[bytes, int]:
    """The next line with its end, and its length; of one that is too long the beginning."""
    raw = file.readline(MAX_LINE + 1)
    if len(raw) <= MAX_LINE or raw.endswith(b"\n"):
        return raw, len(raw)
    length, last = len(raw), raw
    while last and not last.endswith(b"\n"):
        last = file.readline(MAX_LINE)
        length += len(last)
    return raw[:KEPT], length
