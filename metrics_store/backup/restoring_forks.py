"""No child that is forked in the midst of a restore may use the store: see :mod:`forking`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from metrics_store import forking


class _Held:
    """A store that this process is restoring; it cannot be let go for a fork."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        self.closed = False

    def before_fork(self) -> bool:
        return False

    def after_fork(self) -> None:
        """It was not closed, so there is nothing to go on with."""

    def keep_for_ever(self) -> None:
        """The connections are those of a thread that the child has not got."""


@contextmanager
def held(path: str) -> Iterator[None]:
    """For the block, a forked child is refused the store, whose locks it would not have.

    Args:
        path: the database, symlinks resolved.
    """
    store = _Held(path)
    forking.register(store)
    try:
        yield
    finally:
        store.closed = True
