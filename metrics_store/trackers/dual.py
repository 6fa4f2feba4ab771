"""Trackers over a JSON tracker and a store: dual-write, and dual-read on top of it.

They need no control file and follow no phase; :func:`metrics_store.open_tracker` does.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from metrics_store import clock, rows
from metrics_store.clock import Clock
from metrics_store.errors import AlreadyEnded, InvalidValue
from metrics_store.legacy.calls import Call, Home, nearest_us
from metrics_store.legacy_format.moments import local_zone
from metrics_store.rows import JsonObject
from metrics_store.store import MetricsStore
from metrics_store.trackers import foreign
from metrics_store.trackers.candidate import PATIENCE, Candidate, Spill
from metrics_store.trackers.foreign import Sought
from metrics_store.trackers.numbers import SkillNumbers, report_of, summary_of
from metrics_store.trackers.observing import Observer
from metrics_store.trackers.outcome import Outcome
from metrics_store.trackers.stored import numbers_of_all, numbers_of_skill

T = TypeVar("T")
log = logging.getLogger("metrics_store")


class ClassicTracker(Protocol):
    """What a legacy tracker has, whoever wrote it; and an attribute ``metrics_file``."""

    def track_invocation(
        self, skill_name: str, workflow_path: str | None = None
    ) -> Callable[..., None]: ...
    def get_skill_metrics(self, skill_name: str) -> object: ...
    def get_all_metrics(self) -> Mapping[str, object]: ...
    def get_summary(self) -> Mapping[str, object]: ...


class DualInvocation:
    """The completer of one call: ends it on both sides, once."""

    def __init__(
        self,
        tracker: DualWriteMetricsTracker,
        completer: Callable[..., None],
        sought: Sought,
        call: Call,
    ) -> None:
        self._tracker = tracker
        self._completer = completer
        self._sought = sought
        self._call = call
        self._ended = False
        self._lock = threading.Lock()

    def __call__(
        self,
        *,
        completed: bool = True,
        follow_up_actions: Sequence[str] | None = None,
        error_type: str | None = None,
    ) -> None:
        """End the invocation: in the JSON file, then in the store.

        Raises:
            AlreadyEnded: it has ended; the first ending stands, on both sides.
            Exception: what the JSON tracker raises; calling again tries again.
        """
        with self._lock:
            if self._ended:
                raise AlreadyEnded(self._call.id)
            self._completer(
                completed=completed,
                follow_up_actions=None if follow_up_actions is None else list(follow_up_actions),
                error_type=error_type,
            )
            self._ended = True
        self._tracker.took(
            self._completer,
            self._sought,
            self._call,
            {
                "completed": completed,
                "follow_up_actions": list(follow_up_actions or ()),
                "error_type": error_type,
            },
        )


class DualWriteMetricsTracker:
    """Writes to a JSON tracker, which decides, and then to a store, which is on trial.

    Args:
        json_tracker: ours, or any object with the classic methods and a ``metrics_file``.
        db_store: the store. Its failures are logged and spilled, never raised, and a call waits
            for its lock ``patience`` seconds at most.
        patience: seconds.
        zone: of the JSON tracker's naive moments, an IANA name; by default this machine's.

    Raises:
        InvalidValue: the tracker lacks something.
    """

    def __init__(
        self,
        json_tracker: ClassicTracker,
        db_store: MetricsStore,
        *,
        patience: float = PATIENCE,
        zone: str | None = None,
    ) -> None:
        lacking = [
            name
            for name in (
                "track_invocation",
                "get_skill_metrics",
                "get_all_metrics",
                "get_summary",
                "metrics_file",
            )
            if not hasattr(json_tracker, name)
        ]
        if lacking:
            raise InvalidValue(
                f"{type(json_tracker).__name__} has no {', '.join(lacking)}",
                hint="Give the legacy tracker object itself, or a JsonMetricsTracker.",
            )
        self.json_tracker = json_tracker
        self.db_store = db_store
        self.metrics_file = os.path.realpath(str(json_tracker.metrics_file))  # type: ignore[attr-defined]
        self._clock: Clock = db_store.database.clock
        self._zone = zone or local_zone()
        self._home = Home(self.metrics_file, self._zone)
        self._spill = Spill(self.metrics_file, self._clock)
        self._patience = patience
        self._candidate = Candidate(lambda: db_store, self._spill, self._clock, patience)

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | os.PathLike[str] | None = None,
        attributes: JsonObject | None = None,
    ) -> DualInvocation:
        """Start an invocation.

        Args:
            session_id, project_path, attributes: for the store alone; the JSON format has no
                place for them.

        Raises:
            Exception: what the JSON tracker raises.
        """
        beyond = (
            rows.optional("session_id", session_id),
            rows.optional("project_path", project_path),
            rows.object_text("attributes", attributes),
        )
        before = self._clock.now_us()
        completer = self.json_tracker.track_invocation(skill_name, workflow_path)
        sought = Sought(skill_name, workflow_path, before, self._clock.now_us(), self._zone)
        call = Call(
            clock.new_id(before), skill_name, workflow_path, None, before, False, None, (), None,
            *beyond,
        )  # fmt: skip
        return DualInvocation(self, completer, sought, call)

    #: The classic name: every call is safe from any thread.
    track_invocation_concurrent = track_invocation

    def took(
        self,
        completer: Callable[..., None],
        sought: Sought,
        call: Call,
        ending: Mapping[str, object],
    ) -> None:
        """Give the store what the JSON tracker has recorded. Never raises."""
        self._spill.flush()
        try:
            record = foreign.record_of(completer, sought, self.metrics_file, ending)
        except Exception as error:  # noqa: BLE001 - the record is on the JSON side already
            log.warning("the record of a call was not found: %s", error)
            record = None
        self._candidate.take(identified(call, record, ending, self._zone), self._home)

    # Reading: the JSON tracker's answers.

    def get_skill_metrics(self, skill_name: str) -> object:
        """The numbers of one skill, None if it has none."""
        return self.json_tracker.get_skill_metrics(skill_name)

    def get_all_metrics(self) -> Mapping[str, object]:
        """The numbers of every skill."""
        return self.json_tracker.get_all_metrics()

    def get_summary(self) -> Mapping[str, object]:
        """The numbers of all skills together."""
        return self.json_tracker.get_summary()


class DualReadMetricsTracker(DualWriteMetricsTracker):
    """Reads from the store, which decides, and compares with the JSON tracker; writes to both.

    Args:
        sample_rate: share of reads that are compared, 0 to 1.
        on_outcome: called with every :class:`Outcome`; the store keeps them in any case.
        json_tracker, db_store, patience, zone: as :class:`DualWriteMetricsTracker`.
    """

    def __init__(
        self,
        json_tracker: ClassicTracker,
        db_store: MetricsStore,
        *,
        patience: float = PATIENCE,
        zone: str | None = None,
        sample_rate: float = 1.0,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        super().__init__(json_tracker, db_store, patience=patience, zone=zone)
        if not 0 <= sample_rate <= 1:
            raise InvalidValue(f"sample_rate is {sample_rate}", hint="It is from 0 to 1.")
        self._observer = Observer(
            lambda: db_store,
            0,
            self._zone,
            sample_rate,
            patience,
            self._spill.waiting,
            on_outcome,
        )

    def get_skill_metrics(self, skill_name: str) -> SkillNumbers | None:
        """The numbers of one skill, None if it has none.

        Raises:
            ReadError: the store cannot be read.
        """
        return self._compared(
            "get_skill_metrics",
            skill_name,
            lambda: numbers_of_skill(self.db_store, skill_name, self._zone),
            lambda: self.json_tracker.get_skill_metrics(skill_name),
        )

    def get_all_metrics(self) -> dict[str, SkillNumbers]:
        """The numbers of every skill; as :meth:`get_skill_metrics`."""
        return self._compared(
            "get_all_metrics",
            "",
            lambda: numbers_of_all(self.db_store, self._zone),
            lambda: self.json_tracker.get_all_metrics(),
        )

    def get_summary(self) -> dict[str, object]:
        """The numbers of all skills together; as :meth:`get_skill_metrics`."""
        return self._compared(
            "get_summary",
            "",
            lambda: summary_of(numbers_of_all(self.db_store, self._zone)),
            lambda: self.json_tracker.get_summary(),
        )

    def generate_report(self) -> str:
        """The classic report as text."""
        return report_of(self.get_all_metrics())

    def _compared(
        self, method: str, subject: str, in_store: Callable[[], T], in_json: Callable[[], object]
    ) -> T:
        if not self._observer.sampled():
            return in_store()
        return self._observer.compare(method, subject, in_store, in_json, json_is_control=False)


def identified(
    call: Call, record: Mapping[str, object] | None, ending: Mapping[str, object], zone: str
) -> Call:
    """A call with what its legacy record says; without one, with what its caller said."""
    says = ending if record is None else record
    raw, seconds = (None, None) if record is None else (record["invoked_at"], _seconds(record))
    actions, error_type = says["follow_up_actions"], says["error_type"]
    return replace(
        call,
        raw_invoked_at=None if raw is None else str(raw),
        invoked_us=call.invoked_us if raw is None else nearest_us(str(raw), zone, call.invoked_us),
        completed=bool(says["completed"]),
        duration_seconds=seconds,
        follow_up_actions=tuple(map(str, actions)) if isinstance(actions, (list, tuple)) else (),
        error_type=None if error_type is None else str(error_type),
    )


def _seconds(record: Mapping[str, object]) -> float | None:
    seconds = record["duration_seconds"]
    return float(seconds) if isinstance(seconds, (int, float)) else None
