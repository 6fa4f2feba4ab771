"""Nothing is open across a fork.

SQLite keeps what it knows of POSIX locks per process and file. A forked child inherits that
knowledge but not the locks: a connection that it opens takes no lock at all, and commits that were
acknowledged to it were lost. So every database closes its connections before a fork, and parent and
child open them anew when they are next needed. Where that cannot be, in the midst of a transaction
or for a fork() that Python is not told of, the child is refused the file.
"""

from __future__ import annotations

import os
import threading
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


def _after() -> None:
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
