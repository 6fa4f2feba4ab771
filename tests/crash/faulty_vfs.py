"""A disk that fails when it is told to, laid under the SQLite of this process.

SQLite reaches files only through its VFS, a table of C functions. :func:`install` puts functions of
ours into the very table that the process's SQLite uses, each of which counts the call and then
makes it, fails it, makes half of it, or kills the process. So the product runs unchanged, on the
binding it ships with, and gets exactly the result codes that a failing disk gives it; also from
shared memory and from locks, which no VFS written against apsw's classes can reach, and also where
SQLite goes on in spite of an error, where an exception of apsw's would surface all the same.

The table is had from the library's own ``sqlite3_vfs_find``, or by asking an apsw connection.
It is for a process of its own: what is put there is never taken out again.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from ctypes import c_char_p, c_void_p
from types import ModuleType
from typing import TYPE_CHECKING, Literal, NamedTuple

from vfs_layout import (
    ACCESS,
    CLOSE,
    DELETE,
    LEVEL,
    MAP,
    OPEN,
    SHLOCK,
    SIZE,
    TRANSFER,
    TRUNCATE,
    File,
    Methods,
    Vfs,
)

if TYPE_CHECKING:
    from ctypes import _Pointer as Pointer

    from vfs_layout import Function

Method = Literal[
    "open", "delete", "access", "read", "write", "truncate", "sync", "size", "lock", "map", "shlock"
]
Kind = Literal["once", "ever", "full", "stays full", "torn", "kill", "kill after", "kill torn"]

#: Each method's own SQLITE_IOERR_…, as sqlite.org/rescode.html has them; 14 is SQLITE_CANTOPEN.
_ERROR: dict[Method, int] = {
    "open": 14, "delete": 2570, "access": 3338, "read": 266, "write": 778, "truncate": 1546,
    "sync": 1034, "size": 1802, "lock": 3850, "map": 5386, "shlock": 5130,
}  # fmt: skip
_FULL = 13
_IOERR_SHMSIZE = 4874
#: What needs space: these fail on a full disk, the others do not.
_GROWING: frozenset[Method] = frozenset({"write", "map", "open"})
_OPEN_CREATE = 4
_SHM_UNLOCK = 1


class Io(NamedTuple):
    """One call of the disk.

    Args:
        number: from 1 on, since the disk was armed.
        file: the file's name without its directory; "temporary" for one that has no name.
        offset: bytes from the start; for "map" the region, for locks the level.
        size: bytes.
    """

    number: int
    method: Method
    file: str
    offset: int
    size: int


class Fault(NamedTuple):
    """What happens at a call.

    Args:
        kind: "once" fails that call, "ever" that one and all after it; "full" and "stays full" are
            the same for want of space; "torn" writes a part and fails; "kill" ends the process
            instead of the call, "kill after" after it, "kill torn" when a part is written.
        number: of the call.
        part: the share of the bytes that a torn write leaves, from 0 to 1.
    """

    kind: Kind
    number: int
    part: float = 0.5


#: Where a call is, and how many bytes it moves, by its arguments.
Where = Callable[..., tuple[int, int]]
#: The functions of a file: their types, and where each call of them is.
_FILE_FUNCTIONS: dict[Method, tuple[type, Where]] = {
    "read": (TRANSFER, lambda into, size, offset: (offset, size)),
    "write": (TRANSFER, lambda data, size, offset: (offset, size)),
    "truncate": (TRUNCATE, lambda size: (size, 0)),
    "sync": (LEVEL, lambda flags: (flags, 0)),
    "size": (SIZE, lambda out: (0, 0)),
    "lock": (LEVEL, lambda level: (level, 0)),
    "map": (MAP, lambda region, size, extend, out: (region, size)),
    "shlock": (SHLOCK, lambda offset, count, flags: (offset, count)),
}
#: Told of each call once it is made: method ("sync failed" too), file's path, offset, bytes.
Recorder = Callable[[str, str, int, bytes], None]


class Disk:
    """The disk under this process's SQLite; :func:`install` gives it."""

    def __init__(self, vfs: Vfs) -> None:
        self._fault: Fault | None = None
        self._armed = False
        self._recorder: Recorder | None = None
        self._sync_fails_in = 0
        self._paths: dict[int, str] = {}
        self._wrapped: dict[int, Methods] = {}
        #: The calls since the disk was armed.
        self.calls: list[Io] = []
        self._vfs = vfs
        # Values of their own: a field of a structure changes with the structure.
        self._open = OPEN(_address(vfs.open))
        self._delete = DELETE(_address(vfs.delete))
        self._access = ACCESS(_address(vfs.access))
        self._kept = (
            OPEN(_guarded(self._x_open)),
            DELETE(_guarded(self._x_delete)),
            ACCESS(_guarded(self._x_access)),
        )
        vfs.open, vfs.delete, vfs.access = self._kept

    def arm(self, fault: Fault | None = None) -> None:
        """Count calls from now on, and let one of them fail."""
        self.calls = []
        self._fault = fault
        self._armed = True

    def disarm(self) -> None:
        """Neither count nor fail from now on."""
        self._armed = False

    @property
    def struck(self) -> bool:
        """Whether the call that was to fail has come."""
        return self._fault is not None and len(self.calls) >= self._fault.number

    def record(self, recorder: Recorder | None) -> None:
        """Tell somebody of every call that changes a file."""
        self._recorder = recorder

    def fail_sync(self, nth: int) -> None:
        """Let the n-th sync from now on fail once, armed or not; 0 lets none fail."""
        self._sync_fails_in = nth

    # What a call comes to

    def _call(
        self, method: Method, path: str, offset: int, size: int, call: Callable[[int], int],
        data: int | None = None,
    ) -> int:  # fmt: skip
        if self._armed:
            io = Io(len(self.calls) + 1, method, _name(path), offset, size)
            self.calls.append(io)
            if self._fault is not None and io.number >= self._fault.number:
                return self._struck(io, self._fault, call, path)
        if method == "sync" and self._sync_fails_in:
            self._sync_fails_in -= 1
            if not self._sync_fails_in:
                if self._recorder is not None:
                    self._recorder("sync failed", path, 0, b"")
                return _ERROR[method]
        result = call(size)
        if self._recorder is not None and result == 0:
            content = ctypes.string_at(data, size) if data is not None else b""
            self._recorder(method, path, offset, content)
        return result

    def _struck(self, io: Io, fault: Fault, call: Callable[[int], int], path: str) -> int:
        first = io.number == fault.number
        if "full" in fault.kind and io.method == "map" and _is_mapped(io, path):
            return call(io.size)
        match fault.kind:
            case "once" if first:
                return _ERROR[io.method]
            case "ever":
                return _ERROR[io.method]
            case "full" | "stays full" if io.method in _GROWING and (
                first or fault.kind == "stays full"
            ):
                return _IOERR_SHMSIZE if io.method == "map" else _FULL
            case "torn" | "kill torn" if first:
                if int(io.size * fault.part):
                    call(int(io.size * fault.part))
                if fault.kind == "torn":
                    return _ERROR[io.method]
                _die()
            case "kill" if first:
                _die()
            case "kill after" if first:
                call(io.size)
                _die()
        return call(io.size)

    # The functions in the table

    def _x_open(self, vfs: int, name: int, file: Pointer[File], flags: int, out: int) -> int:
        # Neither a copy nor text: behind the name lie the URI's parameters.
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        is_new = bool(flags & _OPEN_CREATE) and not os.path.exists(path)
        if not is_new and self._fault is not None and "full" in self._fault.kind:
            result = int(self._open(vfs, name, file, flags, out))
        else:
            result = self._call(
                "open", path, int(is_new), 0, lambda _: self._open(vfs, name, file, flags, out)
            )
        if result:
            file.contents.methods = None  # nothing to be closed
        elif methods := file.contents.methods:
            self._paths[ctypes.addressof(file.contents)] = path
            file.contents.methods = ctypes.pointer(self._methods_of(methods))
        return result

    def _x_delete(self, vfs: int, name: bytes, sync_directory: int) -> int:
        return self._call(
            "delete", os.fsdecode(name), sync_directory, 0,
            lambda _: self._delete(vfs, name, sync_directory),
        )  # fmt: skip

    def _x_access(self, vfs: int, name: bytes, flags: int, out: int) -> int:
        return self._call(
            "access", os.fsdecode(name), flags, 0, lambda _: self._access(vfs, name, flags, out)
        )

    def _methods_of(self, real: Pointer[Methods]) -> Methods:
        address = ctypes.addressof(real.contents)
        if address not in self._wrapped:
            self._wrapped[address] = self._wrap(real.contents)
        return self._wrapped[address]

    def _wrap(self, real: Methods) -> Methods:
        """A file's table with our functions in it."""
        ours = Methods()
        ctypes.memmove(ctypes.byref(ours), ctypes.byref(real), ctypes.sizeof(Methods))

        def close(file: Pointer[File]) -> int:
            self._paths.pop(ctypes.addressof(file.contents), None)
            return int(real.close(file))

        ours.close = CLOSE(_guarded(close))
        for method, (kind, where) in _FILE_FUNCTIONS.items():
            if method in ("map", "shlock") and real.version < 2:
                continue
            function = self._file_function(method, getattr(real, method), where)
            setattr(ours, method, kind(_guarded(function)))
        return ours

    def _file_function(self, method: Method, real: Function, where: Where) -> Callable[..., int]:
        def function(file: Pointer[File], *arguments: int) -> int:
            if method == "shlock" and arguments[-1] & _SHM_UNLOCK:
                return int(real(file, *arguments))  # never fails, and has to be done
            path = self._paths[ctypes.addressof(file.contents)]
            offset, size = where(*arguments)

            def call(part: int) -> int:
                if method in ("read", "write"):
                    return int(real(file, arguments[0], part, offset))
                return int(real(file, *arguments))

            data = arguments[0] if method == "write" else None
            return self._call(method, path, offset, size, call, data)

        return function


def install(binding: ModuleType) -> Disk:
    """Put the faulty disk under a binding's SQLite, before anything is opened.

    Raises:
        LookupError: the binding does not tell where its table is.
    """
    finder = getattr(binding, "default_vfs", None)
    address = finder() if finder is not None else _vfs_of(binding)
    if not address:
        raise LookupError(f"{binding.__name__} hides its VFS")
    disk = Disk(Vfs.from_address(address))
    # SQLite calls it until the very end of the process.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(disk))
    return disk


def _vfs_of(binding: ModuleType) -> int | None:
    """The address of the default VFS of the library that a binding has, or has linked."""
    extension = sys.modules.get("pysqlite3._sqlite3") or sys.modules.get("_sqlite3")
    if binding.__name__.startswith("sqlite3"):
        extension = sys.modules.get("_sqlite3")
    library = ctypes.CDLL(getattr(extension, "__file__", None))
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        return None
    find.restype, find.argtypes = c_void_p, [c_char_p]
    found: int | None = find(None)
    return found


def _address(function: Function) -> int:
    return ctypes.cast(function, c_void_p).value or 0  # type: ignore[arg-type]


def _guarded(function: Callable[..., int]) -> Callable[..., int]:
    """ctypes drops an exception and returns 0, which would be success."""

    def guarded(*args: object) -> int:
        try:
            return int(function(*args))
        except BaseException:
            traceback.print_exc()
            os._exit(99)

    return guarded


def _name(path: str) -> str:
    return os.path.basename(path) or "temporary"


def _is_mapped(io: Io, path: str) -> bool:
    """Whether a region of the log's index is in its file already, so that it needs no space."""
    try:
        return os.path.getsize(f"{path}-shm") >= (io.offset + 1) * io.size
    except OSError:
        return False


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
