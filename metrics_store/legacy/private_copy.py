"""A private copy of a legacy JSON file whose tracker may be rewriting it in place right now."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from metrics_store.errors import (
    FileChanging,
    InvalidValue,
    LegacyFileError,
    LegacyFileNotFound,
    NoSpace,
    NotLegacyFile,
)

_BLOCK = 1 << 20
_SPARE_BYTES = 1 << 20
# A pipe put in the file's place meanwhile must not hang us. (Windows has no such flag.)
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_FIRST_PAUSE_SECONDS = 0.1
# The coarsest file time in use (FAT). A write within one grain of another leaves no trace in mtime.
_MTIME_GRAIN_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class PrivateCopy:
    """A copy, and what its source was at that moment.

    `source` is the file itself, symlinks resolved; `size`, `mtime_ns` and `inode` are the source's;
    `sha256` is of the content, in hexadecimal.
    """

    path: Path
    source: Path
    size: int
    sha256: str
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one try gave: the state of the source it saw, and the copy unless it was changing."""

    before: os.stat_result
    copy: PrivateCopy | None
    whole: bool

    def saw_the_same_as(self, other: _Attempt | None) -> bool:
        return other is None or _state(self.before) == _state(other.before)


def copy_stable(
    source: Path,
    directory: Path,
    *,
    attempts: int = 5,
    sleep: Callable[[float], None] = time.sleep,
) -> PrivateCopy:
    """Copy a legacy file at a moment when nobody was writing it, as a new 0600 file.

    `directory` exists and is private. A copy that a writer disturbed, or that does not end as a
    whole file does, is thrown away and tried again after a growing pause (0.1 s, then doubling),
    `attempts` times in all. If the source stayed the same and still does not look whole, it is
    returned as it is: reading it says where it is torn.

    Raises LegacyFileNotFound, LegacyFileError (not a regular file, or not readable), NotLegacyFile
    (empty), FileChanging, NoSpace.
    """
    if attempts < 1:
        raise InvalidValue(f"attempts is {attempts}, and must be at least 1")
    resolved = _resolve(source)
    previous: _Attempt | None = None
    for number in range(attempts):
        if number:
            sleep(_FIRST_PAUSE_SECONDS * 2 ** (number - 1))
        attempt = _try_copy(resolved, directory)
        if attempt.copy is not None:
            if attempt.whole:
                return attempt.copy
            # A torn file may hold still for a moment; one that held still over a pause is torn.
            if number == attempts - 1 and attempt.saw_the_same_as(previous):
                return _unless_empty(attempt.copy)
            attempt.copy.path.unlink()
        previous = attempt
    raise FileChanging(f"{resolved}, in {attempts} attempts")


def _unless_empty(copy: PrivateCopy) -> PrivateCopy:
    if copy.size:
        return copy
    copy.path.unlink()
    raise NotLegacyFile(
        f"{copy.source} is empty", hint="Its tracker may have died while saving it."
    )


def _resolve(source: Path) -> Path:
    try:
        resolved = Path(os.path.realpath(source, strict=True))
        _refuse_unless_regular(resolved, os.stat(resolved))  # Opening a device may act on it.
    except OSError as error:
        raise _unreadable(source, error) from error
    return resolved


def _refuse_unless_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    names = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    name = names.get(stat.S_IFMT(status.st_mode), "a device")
    raise LegacyFileError(f"{path} is {name}", hint="Name the tracker's JSON file itself.")


def _unreadable(path: Path, error: OSError) -> LegacyFileError:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return LegacyFileNotFound(
                f"{path} is a symlink to {os.readlink(path)}, which does not exist",
                hint="Mend the link, or name the file itself.",
            )
        return LegacyFileNotFound(str(path), hint="Look at the path that the tracker writes to.")
    if isinstance(error, PermissionError):
        hint = "Run as the user whose tracker writes it, or let this user read it."
        return LegacyFileError(f"{path} may not be read", hint=hint)
    return LegacyFileError(f"{path}: {error.strerror}", hint="Look at the path and its disk.")


def _try_copy(source: Path, directory: Path) -> _Attempt:
    try:
        reader = FileIO(source, "rb", opener=lambda path, _: os.open(path, _OPEN_FLAGS))
    except OSError as error:
        raise _unreadable(source, error) from error
    with reader:
        before = os.fstat(reader.fileno())
        _refuse_unless_regular(source, before)
        if shutil.disk_usage(directory).free < before.st_size + _SPARE_BYTES:
            raise _no_space(directory, before.st_size)
        copy_descriptor, name = tempfile.mkstemp(".json", "legacy-", directory)
        try:
            with FileIO(copy_descriptor, "wb") as writer:
                sha256 = _stable_sha256(source, reader, before, writer)
            if sha256 is None:
                os.unlink(name)
                return _Attempt(before, None, False)
            copy = PrivateCopy(
                Path(name), source, before.st_size, sha256, before.st_mtime_ns, before.st_ino
            )
            return _Attempt(before, copy, _looks_whole(copy.path))
        except BaseException as error:
            Path(name).unlink(missing_ok=True)
            if isinstance(error, OSError):
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise _no_space(directory, before.st_size) from error
                raise LegacyFileError(f"{source}: {error.strerror}") from error
            raise


def _stable_sha256(
    source: Path, reader: FileIO, before: os.stat_result, writer: FileIO
) -> str | None:
    """Copy the source, and hash it; None if it was changing meanwhile."""
    # The new copy's own time tells the kernel's clock, which is the one that mtime is set from.
    age_ns = os.fstat(writer.fileno()).st_mtime_ns - before.st_mtime_ns
    sha256 = _read_through(reader, before.st_size, writer)
    if age_ns < _MTIME_GRAIN_NS and _read_through(reader, before.st_size) != sha256:
        return None
    if _state(os.fstat(reader.fileno())) != _state(before):
        return None
    try:
        at_path = os.stat(source)
    except FileNotFoundError:
        return None
    return sha256 if os.path.samestat(at_path, before) else None


def _read_through(reader: FileIO, size: int, writer: FileIO | None = None) -> str | None:
    """The SHA-256 of the file, copied on the way if a writer is given; None if it is not `size`."""
    digest = hashlib.sha256()
    length = 0
    reader.seek(0)
    while length <= size and (block := reader.read(_BLOCK)):
        length += len(block)
        digest.update(block)
        if writer is not None:
            _write_all(writer, block)
    return digest.hexdigest() if length == size else None


def _write_all(writer: FileIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[writer.write(view) :]


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _looks_whole(copy: Path) -> bool:
    """Whether the last character is the closing brace, and not that of a record within.

    Where the first brace has a line of its own, so has the last, and those within are indented.
    """
    with open(copy, "rb") as file:
        head = file.read(16)
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        tail = file.read().rstrip(b" \t\r\n")
    has_own_line = head.removeprefix(b"\xef\xbb\xbf").startswith((b"{\n", b"{\r\n"))
    return tail.endswith(b"\n}" if has_own_line else b"}")


def _no_space(directory: Path, size: int) -> NoSpace:
    return NoSpace(
        f"{directory} needs {size + _SPARE_BYTES} bytes for the copy",
        hint="Free some space there, or name another directory; the source was not touched.",
    )
