"""A private copy of the file that is to be restored, taken so that it cannot change any more.

Nothing is believed of the file: it may be a pipe that waits for ever, a link to elsewhere, the
store itself, or be written to at this moment.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from metrics_store import manifest, sqlite
from metrics_store.backup.copying import Progress
from metrics_store.backup.transfer import transfer
from metrics_store.clock import Clock
from metrics_store.errors import BackupDamaged, BackupNotFound, NoSpace, RestoreRefused
from metrics_store.manifest import Manifest

MAGIC = b"SQLite format 3\0"
ANOTHER = "See what there is with `metrics-store backup list`."
_BLOCK = 1 << 20
_FULL = 13  # SQLITE_FULL
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS = {
    stat.S_IFLNK: "a symlink",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class Copied:
    """A private copy, and what its source was.

    Args:
        path: the copy.
        source: the file it is of, absolute.
        size: of the source, in bytes.
        written_us: when the source was last written, microseconds since 1970.
        sha256: of the source, in hex; None if its write-ahead log was read with it.
        manifest: of the source; None if it has none.
    """

    path: Path
    source: Path
    size: int
    written_us: int
    sha256: str | None
    manifest: Manifest | None


def copy(
    file: Path,
    database: str,
    target: Path,
    *,
    clock: Clock,
    patience: float,
    progress: Progress | None = None,
) -> Copied:
    """Copy a file that is to be restored.

    Args:
        file: whatever somebody named.
        database: the store, which it may not be.
        target: where the copy is put; it is not there yet, and its directory is private.
        patience: seconds to wait for whoever has the file open.

    Raises:
        BackupNotFound: there is no such file.
        RestoreRefused: it is no regular file, or not what its manifest says.
        NoSpace: there is no room for the copy.
    """
    there = _looked_at(file, database)
    source = Path(os.path.abspath(file))
    known = _manifest_of(source, there.st_size)
    written = there.st_mtime_ns // 1000
    try:
        if known is None and _has_log(source):
            _copy_with_log(source, target, clock, patience)
            return Copied(target, source, there.st_size, written, None, None)
        sha256 = _copy_bytes(source, there, target, progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise no_space(target, there.st_size) from error
        raise RestoreRefused(
            f"{source}: {error.strerror or error}", hint="Look at the file's owner and mode."
        ) from error
    if known is not None and known.sha256 != sha256:
        raise _not_its_manifest(source, "its content is another one: it was changed or damaged")
    return Copied(target, source, there.st_size, written, sha256, known)


def no_space(target: Path, size: int) -> NoSpace:
    """The error for a disk without room for the private copy."""
    return NoSpace(
        f"{target.parent} has no room for a copy of {size:,} bytes",
        hint="Free some space there, then try again; nothing was changed.",
    )


def _looked_at(file: Path, database: str) -> os.stat_result:
    """What the file is, before anything is opened: opening a device may act on it."""
    try:
        there = os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupNotFound(str(file)) from None
    except (OSError, ValueError) as error:  # a name with NUL in it, say
        reason = error.strerror if isinstance(error, OSError) else error
        raise RestoreRefused(f"{file}: {reason}", hint="Name the backup itself.") from error
    if not stat.S_ISREG(there.st_mode):
        kind = _KINDS.get(stat.S_IFMT(there.st_mode), "a device")
        hint = f"Name the backup itself: {os.path.realpath(file)}" if kind == "a symlink" else ""
        raise RestoreRefused(f"{file} is {kind}", hint=hint or f"Name a file. {ANOTHER}")
    if any(_is_same(there, f"{database}{side}") for side in ("", "-wal", "-shm", "-journal")):
        raise RestoreRefused(f"{file} is the store itself", hint=f"Name a backup. {ANOTHER}")
    if there.st_size == 0:
        raise RestoreRefused(f"{file} is empty", hint=ANOTHER)
    return there


def _is_same(there: os.stat_result, other: str) -> bool:
    try:
        return os.path.samestat(there, os.stat(other))
    except OSError:
        return False


def _manifest_of(source: Path, size: int) -> Manifest | None:
    try:
        known = manifest.find(source)
    except BackupDamaged as error:
        raise _not_its_manifest(source, error.detail) from error
    if known is None or known.size == size:
        return known
    reason = "it was cut off" if size < known.size else "something was added to it"
    raise _not_its_manifest(source, f"it has {size:,} bytes, not {known.size:,}: {reason}")


def _not_its_manifest(source: Path, reason: str) -> RestoreRefused:
    beside = manifest.path_of(source).name
    return RestoreRefused(
        f"{source} and its manifest disagree: {reason}",
        hint=f"Use another backup. If you know the file to be good and {beside} to be wrong, move "
        "that aside: then the content alone decides.",
    )


def _has_log(source: Path) -> bool:
    """Whether records may lie in a write-ahead log, or somebody has the file open as a store."""
    for side in ("-journal", "-wal", "-shm"):
        try:
            size = os.stat(f"{source}{side}").st_size
        except OSError:
            continue
        if size:
            return True
    return False


def _copy_bytes(
    source: Path, there: os.stat_result, target: Path, progress: Progress | None
) -> str:
    with sqlite.without_connection(str(source)) as alone:
        if not alone:
            raise RestoreRefused(
                f"{source} is open as a store in this process", hint="Close that store first."
            )
        with (
            FileIO(os.open(source, _FLAGS), "rb") as reader,
            FileIO(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as writer,
        ):
            if _state(os.fstat(reader.fileno())) != _state(there):
                raise _changing(source)
            digest = hashlib.sha256()
            done = 0
            while done <= there.st_size and (block := reader.read(_BLOCK)):
                digest.update(block)
                view = memoryview(block)
                while view:
                    view = view[writer.write(view) :]
                done += len(block)
                if progress is not None:
                    progress("copying", done, there.st_size)
            if done != there.st_size or _state(os.fstat(reader.fileno())) != _state(there):
                raise _changing(source)
    return digest.hexdigest()


def _state(there: os.stat_result) -> tuple[int, int, int, int]:
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns


def _changing(source: Path) -> RestoreRefused:
    return RestoreRefused(
        f"{source} was written to while it was copied",
        hint="Make a backup of it with `metrics-store backup create`, and restore that.",
    )


def _copy_with_log(source: Path, target: Path, clock: Clock, patience: float) -> None:
    """Copy through SQLite, so that what is in the write-ahead log is in the copy."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        reader = sqlite.connect(str(source), read_only=True)
        try:
            writer = sqlite.connect(str(target))
            try:
                transfer(reader, writer, clock=clock, patience=patience, where=str(source))
            finally:
                writer.close()
        finally:
            reader.close()
    except sqlite.Error as error:
        if sqlite.code(error) == _FULL:
            raise no_space(target, os.path.getsize(source)) from error
        raise RestoreRefused(
            f"{source} cannot be read together with its log: {error}", hint=ANOTHER
        ) from error
    as_one_file(target)


def as_one_file(path: Path) -> None:
    """Let a private copy's header say that it needs no write-ahead log.

    What ``PRAGMA journal_mode = DELETE`` does, also where the schema cannot be read. Nobody has
    the file open, and nothing is in a log of it.
    """
    with open(path, "r+b") as file:
        header = file.read(20)
        if header.startswith(MAGIC) and header[18:] == b"\x02\x02":
            file.seek(18)
            file.write(b"\x01\x01")
        file.flush()
        os.fsync(file.fileno())
