"""Reading connections: one per thread, none of them closed while a statement runs on it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from weakref import WeakSet

from metrics_store.gate import Gate
from metrics_store.sqlite import Connection

#: ``guarded`` is for statements that are not ours.
Kind = Literal["reader", "guarded"]


class _Reader:
    """A thread's reading connection; it goes away with its thread."""

    def __init__(self, connection: Connection, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.depth = 0


class Readers:
    """The reading connections of a database.

    Args:
        connect: opens one, fit for its kind.
    """

    def __init__(self, connect: Callable[[Kind], Connection]) -> None:
        self._connect = connect
        self._gate = Gate()
        self._local = threading.local()
        self._all: WeakSet[_Reader] = WeakSet()
        #: When each view that is open began, on the monotonic clock.
        self._began: dict[int, float] = {}
        # A connection that was closed is known by its generation, whichever thread it was of.
        self._generation = 0

    @contextmanager
    def view(self, kind: Kind) -> Iterator[tuple[Connection, bool]]:
        """A consistent view for the length of the block, and whether it is a new one.

        A view within a view of the same thread is the same view.
        """
        outermost = not self.in_view()
        if outermost:
            self._gate.enter()
        try:
            reader, pid = self._reader(kind), os.getpid()
            new = reader.depth == 0
            if new:
                reader.connection.execute("BEGIN")
                self._began[id(reader)] = time.monotonic()
            reader.depth += 1
            try:
                yield reader.connection, new
            finally:
                reader.depth -= 1
                if reader.depth == 0:
                    self._began.pop(id(reader), None)
                own = os.getpid() == pid  # else the view is of the parent it was forked from
                if own and reader.depth == 0 and reader.connection.in_transaction:
                    reader.connection.execute("COMMIT")
        finally:
            if outermost:
                self._gate.leave()

    def oldest_age(self) -> float | None:
        """Seconds since the oldest view that is open began; None if none is."""
        began = min(list(self._began.values()), default=None)
        return None if began is None else time.monotonic() - began

    def in_view(self) -> bool:
        """Whether this thread has a view open."""
        own = (getattr(self._local, kind, None) for kind in ("reader", "guarded"))
        return any(reader is not None and reader.depth > 0 for reader in own)

    def shut(self, timeout: float | None = None) -> bool:
        """Let no view begin, and wait for those of other threads to end; False if they do not.

        Args:
            timeout: seconds to wait at most.
        """
        return self._gate.shut(but=int(self.in_view()), timeout=timeout)

    def open(self) -> None:
        """Let views begin again."""
        self._gate.open()

    def close(self) -> None:
        """Close every connection. The caller has shut the readers out."""
        self._generation += 1
        for connection in self.connections():
            connection.close()
        self._all = WeakSet()

    def connections(self) -> list[Connection]:
        """Every connection that is open."""
        return [reader.connection for reader in self._all]

    def _reader(self, kind: Kind) -> _Reader:
        reader: _Reader | None = getattr(self._local, kind, None)
        if reader is None or reader.generation != self._generation:
            reader = _Reader(self._connect(kind), self._generation)
            setattr(self._local, kind, reader)
            self._all.add(reader)
        return reader
