"""How SQLite lays out its tables of functions: the head of sqlite3_vfs, and sqlite3_io_methods.

As sqlite3.h has them; both only ever grow at their ends.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import _Pointer

    #: A function of C, as ctypes has it.
    Function = Callable[..., Any]


class Methods(ctypes.Structure):
    """A file's functions: sqlite3_io_methods."""

    if TYPE_CHECKING:
        version: int
        close: Function
        read: Function
        write: Function
        truncate: Function
        sync: Function
        size: Function
        lock: Function
        map: Function
        shlock: Function


class File(ctypes.Structure):
    """The head of an open file: sqlite3_file."""

    _fields_ = [("methods", POINTER(Methods))]
    if TYPE_CHECKING:
        methods: _Pointer[Methods] | None


FilePointer = POINTER(File)
CLOSE = CFUNCTYPE(c_int, FilePointer)
TRANSFER = CFUNCTYPE(c_int, FilePointer, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, FilePointer, c_int64)
LEVEL = CFUNCTYPE(c_int, FilePointer, c_int)
SIZE = CFUNCTYPE(c_int, FilePointer, c_void_p)
MAP = CFUNCTYPE(c_int, FilePointer, c_int, c_int, c_int, c_void_p)
SHLOCK = CFUNCTYPE(c_int, FilePointer, c_int, c_int, c_int)
OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, FilePointer, c_int, c_void_p)
DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
ACCESS = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int, c_void_p)

# Those that are only handed on are pointers.
Methods._fields_ = [
    ("version", c_int), ("close", CLOSE), ("read", TRANSFER), ("write", TRANSFER),
    ("truncate", TRUNCATE), ("sync", LEVEL), ("size", SIZE), ("lock", LEVEL),
    ("unlock", LEVEL), ("reserved", c_void_p), ("control", c_void_p), ("sector", c_void_p),
    ("device", c_void_p), ("map", MAP), ("shlock", SHLOCK), ("barrier", c_void_p),
    ("unmap", c_void_p), ("fetch", c_void_p), ("unfetch", c_void_p),
]  # fmt: skip


class Vfs(ctypes.Structure):
    """The head of a file system's functions: sqlite3_vfs."""

    if TYPE_CHECKING:
        open: Function
        delete: Function
        access: Function
    _fields_ = [
        ("version", c_int), ("file_size", c_int), ("path_size", c_int), ("next", c_void_p),
        ("name", c_char_p), ("data", c_void_p), ("open", OPEN), ("delete", DELETE),
        ("access", ACCESS),
    ]  # fmt: skip
