"""What a phase-following tracker gives its caller for one call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from metrics_store.legacy.calls import Call
from metrics_store.rows import Duration


class Ending(Protocol):
    """What the tracker does when an invocation ends."""

    def __call__(
        self,
        invocation: PhasedInvocation,
        completed: bool,
        follow_up_actions: Sequence[str] | None,
        error_type: str | None,
        duration_seconds: Duration,
    ) -> None: ...


class PhasedInvocation:
    """The completer of one call.

    Attributes:
        invocation_id: the id of the call.
        ended: whether its end is recorded, or waits in the spill.
    """

    def __init__(self, end: Ending, call: Call, started_us: int) -> None:
        self.invocation_id = call.id
        self.call = call
        self.started_us = started_us
        self.ended = False
        #: How it ended; once that is known, trying again records the very same.
        self.ending: Call | None = None
        self._end = end
        self._lock = threading.Lock()

    def __call__(
        self,
        *,
        completed: bool = True,
        follow_up_actions: Sequence[str] | None = None,
        error_type: str | None = None,
        duration_seconds: Duration = None,
    ) -> None:
        """End the invocation and record it where the phase says.

        Args:
            completed: False if it failed.
            follow_up_actions: what was done next, in order.
            error_type: what it failed of.
            duration_seconds: how long it took; by default measured from its start.

        Raises:
            MetricsStoreError: with ``on_error="raise"``; calling again is safe. With ``"log"``
                the failure is logged, and the record waits in the spill.
        """
        with self._lock:
            self._end(self, completed, follow_up_actions, error_type, duration_seconds)
