"""Recording at a few microseconds a call: groups are committed by a thread of their own."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Unpack

from metrics_store.clock import Clock
from metrics_store.closing import Closing
from metrics_store.errors import InvalidValue, MetricsStoreError, StoreClosed, WriteError
from metrics_store.records import Checked, Record, checked
from metrics_store.rows import Row, row

#: Rows of one commit: enough to spread its cost, few enough to keep other writers' waits short.
_GROUP = 2000


class Buffer(Closing):
    """A buffered writer; :meth:`metrics_store.MetricsStore.buffered` makes it.

    What it took is written within ``max_delay`` seconds, or as soon as a group is full. A failing
    commit keeps its records, is tried again with the next group, and is raised by the next
    :meth:`flush` and by :meth:`close`.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Row]], int],
        clock: Clock,
        max_delay: float,
        max_pending: int,
    ) -> None:
        if not 0 < max_delay <= 3600 or max_pending < 1:
            raise InvalidValue(f"max_delay {max_delay}, max_pending {max_pending}")
        self._commit = commit
        self._clock = clock
        self._max_delay = max_delay
        self._max_pending = max_pending
        self._closed = False
        self._ended = False
        self._start()
        atexit.register(_close_at_exit, weakref.ref(self))

    def _start(self) -> None:
        self._pid = os.getpid()
        self._pending: deque[Checked] = deque()
        self._being_written = 0
        self._written = 0
        self._error: MetricsStoreError | None = None
        self._hurry = False
        # One lock for all of the above, with a condition for each side to wait on.
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="metrics_store buffer", daemon=True)
        self._thread.start()

    def record_invocation(
        self, skill_name: str, completed: bool = True, **fields: Unpack[Record]
    ) -> str:
        """Take a record; as :meth:`metrics_store.MetricsStore.record_invocation`.

        Returns:
            Its id; the record is durable after :meth:`flush`.

        Raises:
            InvalidValue: it cannot be recorded.
            StoreClosed: the buffer was closed.
            WriteError: the buffer is full because the store fails.
        """
        if os.getpid() != self._pid:
            self._start()  # what the parent took, the parent writes
        # Checked here, so that the caller is told; the rest of the row is made by the thread.
        record = checked(self._clock.now_us(), skill_name, completed, fields)
        with self._lock:
            if self._closed:
                raise StoreClosed("this buffer")
            self._wait_for_room()
            self._pending.append(record)
        return record[0]

    def flush(self) -> None:
        """Wait until everything taken so far is committed.

        Raises:
            WriteError: it could not be; the records are kept and tried again.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            target = self._written + self._being_written + len(self._pending)
            self._error = None
            while self._written < target and self._error is None:
                self._push()
                self._progress.wait(self._max_delay)
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Commit everything and end the thread. Closing twice does nothing.

        Raises:
            WriteError: the last records could not be committed.
        """
        if os.getpid() != self._pid:
            self._closed = True  # its lock and its thread stayed in the parent
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self.flush()
        finally:
            with self._lock:
                self._ended = True
                self._push()
            self._thread.join()

    def _wait_for_room(self) -> None:
        self._error = None if self._has_room() else self._error
        while not self._has_room():
            if self._error is not None:
                raise self._error  # the store fails: the caller decides, and waits no longer
            self._push()
            self._progress.wait(self._max_delay)

    def _has_room(self) -> bool:
        return len(self._pending) + self._being_written < self._max_pending

    def _push(self) -> None:
        self._hurry = True
        self._work.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._hurry:
                    self._work.wait(self._max_delay)
                self._hurry = False
                if self._ended:
                    return
            while self._write_group():
                pass

    def _write_group(self) -> bool:
        """Commit one group; False when there is nothing left or it failed."""
        with self._lock:
            group = [self._pending.popleft() for _ in range(min(_GROUP, len(self._pending)))]
            self._being_written = len(group)
        if not group:
            return False
        error: MetricsStoreError | None = None
        try:
            self._commit([row(*record) for record in group])
        except MetricsStoreError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001
            # Whatever it was, the thread lives on and the records are kept for the next try.
            error = WriteError(f"{type(caught).__name__}: {caught}")
            error.__cause__ = caught
        with self._lock:
            self._being_written = 0
            if error is None:
                self._written += len(group)
            else:
                self._pending.extendleft(reversed(group))
                self._error = error
            self._progress.notify_all()
        return error is None


def _close_at_exit(reference: weakref.ref[Buffer]) -> None:
    buffer = reference()
    if buffer is not None:
        buffer.close()
