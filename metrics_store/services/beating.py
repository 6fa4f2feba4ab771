"""Heartbeats from a thread, for as long as a block runs."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from time import monotonic
from types import TracebackType

from metrics_store import windows
from metrics_store.connection import Database
from metrics_store.errors import InvalidQuery, InvalidValue, MetricsStoreError, UsageError
from metrics_store.rows import Duration
from metrics_store.services import recording
from metrics_store.services.judging import Span
from metrics_store.services.recording import Beat

_log = logging.getLogger("metrics_store.services")
#: Heartbeats that wait for a store that fails; of more the oldest go.
_WAITING = 1_440
#: Seconds that leaving the block waits for a heartbeat that is being written, at most.
_PATIENCE = 10.0
#: Seconds between two heartbeats.
_SHORTEST, _LONGEST = 0.001, 30 * 86_400
#: Status of the last word, by how the block ended.
ENDED, FAILED = "stopped", "failed"


class Heartbeats:
    """Heartbeats of one service; :meth:`metrics_store.MetricsStore.heartbeats` makes it.

    A store that fails does not disturb the block: it is logged, and what could not be written is
    written with its own moment once the store works again. A forked child does not beat: its
    parent does.
    """

    def __init__(
        self,
        database: Database,
        service: str,
        every: Span,
        status: str,
        current_task: str | None,
        last: str,
    ) -> None:
        seconds = windows.seconds(every)
        if not _SHORTEST <= seconds <= _LONGEST:
            raise InvalidQuery(f"every {every!s:.60}", hint="It is a millisecond to 30 days.")
        self._database = database
        self._service = service
        self._every = seconds
        self._last = last
        self._pid = os.getpid()
        self._said: tuple[str, str | None, Duration] = (status, current_task, None)
        self._waiting: deque[Beat] = deque(maxlen=_WAITING)
        self._lost = 0
        self._failing = False
        self._ended = False
        self._hurry = False
        self._wake = threading.Condition()
        # One at a time, so that heartbeats are written in their order.
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        # What is wrong with the words is told at once.
        for word in (status, last):
            self._beat(word, current_task, None)

    def say(
        self, status: str | None = None, current_task: str | None = None, latency: Duration = None
    ) -> None:
        """Change what the heartbeats say from now on, and beat at once.

        Args:
            status: None leaves it as it is.
            current_task: what it works on; None for nothing.
            latency: seconds that its last piece of work took, for this heartbeat alone.

        Raises:
            InvalidValue: a value cannot be recorded.
            UsageError: this process was forked from the one that beats.
        """
        if os.getpid() != self._pid:
            raise UsageError("these heartbeats are the parent process's")
        with self._wake:
            wanted = self._said[0] if status is None else status
            self._beat(wanted, current_task, latency)
            self._said = (wanted, current_task, latency)
            self._hurry = True
            self._wake.notify()

    def __enter__(self) -> Heartbeats:
        if self._thread is not None:
            raise UsageError("these heartbeats were begun before")
        self._write(self._now())
        self._thread = threading.Thread(
            target=self._run, name=f"metrics_store heartbeats {self._service:.40}", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.getpid() != self._pid or self._thread is None:
            return  # the thread, and the last word, are the parent's
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join(_PATIENCE)
        status, task = self._last, None
        if _is_failure(error):
            status, task = FAILED, f"ended by {type(error).__name__}"
        self._write(self._beat(status, task, None))
        if self._failing:
            lost = self._lost + len(self._waiting)
            _log.warning("%s: %d heartbeats could not be recorded", self._service, lost)

    def _run(self) -> None:
        # Each is due at a multiple of the interval since the first: what one takes shifts none.
        begun, turn = monotonic(), 1
        while True:
            with self._wake:
                while not self._ended and not self._hurry:
                    left = begun + turn * self._every - monotonic()
                    if left <= 0:
                        break
                    self._wake.wait(min(left, 3600.0))
                if self._ended:
                    return
                self._hurry = False
                beat = self._now()
                self._said = (*self._said[:2], None)
            self._write(beat)
            # Not one for each interval that a sleeping machine missed.
            turn = max(turn, int((monotonic() - begun) / self._every) + 1)

    def _now(self) -> Beat:
        return self._beat(*self._said)

    def _beat(self, status: str, task: str | None, latency: Duration) -> Beat:
        return recording.checked(
            self._database.clock.now_us(), self._service, status, task, None, latency, self._every
        )

    def _write(self, beat: Beat) -> None:
        if not self._writing.acquire(timeout=_PATIENCE):
            self._lost += 1  # the thread still waits for the store: the block goes on
            return
        try:
            self._lost += len(self._waiting) == _WAITING
            self._waiting.append(beat)
            self._flush()
        finally:
            self._writing.release()

    def _flush(self) -> None:
        now_us = self._database.clock.now_us()
        late = [beat._replace(created_us=now_us) for beat in self._waiting]
        try:
            recording.record(self._database, [*late[:-1], self._waiting[-1]])
        except InvalidValue as error:
            # Retention has passed them by: trying again would not help.
            self._lost += len(self._waiting)
            self._waiting.clear()
            self._tell(error)
        except Exception as error:  # noqa: BLE001
            # Whatever it was, the block it beats for goes on, and so does the next heartbeat.
            self._tell(error)
        else:
            self._waiting.clear()
            if self._failing:
                _log.warning("%s: heartbeats are recorded again", self._service)
            self._failing = False

    def _tell(self, error: Exception) -> None:
        if not self._failing:
            known = isinstance(error, MetricsStoreError)
            _log.warning(
                "%s: heartbeats cannot be recorded: %s",
                self._service,
                error,
                exc_info=None if known else error,
            )
        self._failing = True


def _is_failure(error: BaseException | None) -> bool:
    """Whether a block that ended with it failed, rather than being told to end."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return isinstance(error, Exception)
