"""Where a database lies: its path, its mode, and whether its file system can be trusted."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path

from metrics_store.errors import (
    InvalidValue,
    OpenError,
    StoreNotFound,
    StoreNotWritable,
    UnsafeFilesystem,
)

#: Held while a file is created or first opened. Closing any descriptor of a database drops the
#: POSIX locks of every connection this process has on it, so nobody may have one yet.
OPENING = threading.Lock()

_NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.glusterfs",
        "fuse.rclone",
        "davfs",
        "fuse.davfs2",
        "webdav",
        "afpfs",
    ]
)


def named(path: object) -> str:
    """The path that somebody gave for a file or a directory, which need not be there.

    Raises:
        InvalidValue: it is no path, or nothing can be called so.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str):
        raise InvalidValue(f"{text!r:.60} is no path", hint="Give text or a pathlib.Path.")
    try:
        os.lstat(text)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            return text
        raise InvalidValue(f"{text[:60]!r}...: {error.strerror}", hint="Name another.") from error
    except ValueError as error:  # half a character, or NUL
        raise InvalidValue(f"{text!r:.60}: {error}", hint="Name another.") from error
    return text


def prepare(database: Path, *, create: bool, allow_network: bool) -> str:
    """Resolve the path and, if asked, make the directory (0700) and an empty file (0600).

    The caller holds :data:`OPENING`.

    Raises:
        StoreNotFound: there is no file and none was to be made.
        OpenError: what is there is not a regular file.
        StoreNotWritable: the file or its directory cannot be made.
        UnsafeFilesystem: the file is on a network file system.
    """
    path = os.path.realpath(database)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not create:
            raise StoreNotFound(path) from None
        mode = None
    except OSError as error:
        raise StoreNotWritable(f"{path}: {error.strerror}") from error
    if mode is not None and not stat.S_ISREG(mode):
        raise OpenError(f"{path} is {_kind(mode)}", hint="Name the database file itself.")
    if mode is None:
        _make(path)
    if not allow_network and (kind := _filesystem(path)) in _NETWORK:
        raise UnsafeFilesystem(f"{path} ({kind})")
    return path


def _make(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreNotWritable(f"{path}: {error.strerror}") from error


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "not a regular file"


def network_filesystem(path: str) -> str:
    """The kind of network file system a path is on; empty if it is on none."""
    kind = _filesystem(path)
    return kind if kind in _NETWORK else ""


def _filesystem(path: str) -> str:
    if sys.platform != "linux":
        return ""
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                point = before.split(" ")[4].replace("\\040", " ")
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, after.split(" ")[0]
    except OSError:
        return ""
    return kind
