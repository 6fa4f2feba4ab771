"""Nothing is open across a fork.

SQLite keeps what it knows of POSIX locks per process and file. A forked child inherits that
knowledge but not the locks: a connection that it opens takes no lock at all, and commits that were
acknowledged to it were lost. So every database closes its connections before a fork, and parent and
child open them anew when they are next needed. Where that cannot be, in the midst of a transaction
or for a fork() that Python is not told of, the child is refused the file.

And nothing of ours is half imported: what a call needs is imported when it is first called, and a
child that was forked meanwhile would wait for ever for the thread that did it.
"""

from __future__ import annotations

import _imp
import importlib
import os
import threading
import time
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

from metrics_store import location
from metrics_store.errors import ForkedInUse


class Forkable(Protocol):
    """What is told of a fork."""

    path: str
    pid: int

    @property
    def closed(self) -> bool: ...

    def before_fork(self) -> bool: ...

    def after_fork(self) -> None: ...

    def keep_for_ever(self) -> None: ...


#: Seconds that a fork waits for an import to end.
_PATIENCE = 5.0
_PACKAGE = f"{__name__.partition('.')[0]}."

_open: WeakSet[Forkable] = WeakSet()
_forking = threading.Lock()
_closed: list[Forkable] = []
_left_open: list[Forkable] = []
_inherited: set[str] = set()


def register(database: Forkable) -> None:
    """Tell a database of every fork from now on."""
    _open.add(database)


def refuse_inherited(database: os.PathLike[str]) -> None:
    """Refuse a file that this process inherited open.

    Raises:
        ForkedInUse: it did.
    """
    path = os.path.realpath(database)
    # The second: after a fork() that Python was not told of.
    if path in _inherited or any(
        other.path == path and other.pid != os.getpid() and not other.closed
        for other in list(_open)
    ):
        raise ForkedInUse(path)


def _before() -> None:
    _forking.acquire()
    location.OPENING.acquire()
    for database in list(_open):
        (_closed if database.before_fork() else _left_open).append(database)
    _let_imports_end()


def _let_imports_end() -> None:
    """Wait for imports of ours in other threads, and let none begin until the fork is over."""
    deadline = time.monotonic() + _PATIENCE
    _imp.acquire_lock()
    while _is_importing() and time.monotonic() < deadline:
        _imp.release_lock()
        time.sleep(0.0005)
        _imp.acquire_lock()


def _is_importing() -> bool:
    # Python tells nobody whether a module is being imported; these are the locks of those that are.
    locks = getattr(getattr(importlib, "_bootstrap", None), "_module_locks", {})
    here = threading.get_ident()
    found = [lock() for name, lock in list(locks.items()) if str(name).startswith(_PACKAGE)]
    return any(lock is not None and getattr(lock, "owner", None) != here for lock in found)


def _after() -> None:
    with suppress(RuntimeError):  # a Python that begins with new locks in the child
        _imp.release_lock()
    for database in _closed:
        database.after_fork()
    _closed.clear()
    _left_open.clear()
    location.OPENING.release()
    _forking.release()


def _after_in_child() -> None:
    for database in _left_open:
        _inherited.add(database.path)
        database.keep_for_ever()
    _after()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
