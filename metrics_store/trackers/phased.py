"""The tracker for runners: it follows the phase of the migration, also while that changes.

Runner code never changes. Before each write the tracker looks at the control file, and holds the
phase's lock while it writes, so that an operator's change of phase comes before or after a write,
never within one. An invocation belongs to no phase: what counts is the one it ends in.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from metrics_store import clock, liveness, rows
from metrics_store.clock import Clock
from metrics_store.closing import Closing
from metrics_store.errors import (
    AlreadyEnded,
    InvalidValue,
    MetricsStoreError,
)
from metrics_store.legacy import calls, control, locks
from metrics_store.legacy.calls import Call, Home, naive
from metrics_store.legacy.control import Control, ControlReader, Phase
from metrics_store.rows import JsonObject
from metrics_store.sql import query
from metrics_store.store import MetricsStore
from metrics_store.trackers.candidate import PATIENCE, Candidate, Spill
from metrics_store.trackers.json_tracker import JsonMetricsTracker
from metrics_store.trackers.lazy_store import LazyStore
from metrics_store.trackers.numbers import SkillNumbers, report_of, summary_of
from metrics_store.trackers.observing import Observer
from metrics_store.trackers.phased_invocation import PhasedInvocation
from metrics_store.trackers.stored import numbers_of_all, numbers_of_skill
from metrics_store.waiting import at_most

T = TypeVar("T")
OnError = Literal["log", "raise"]
log = logging.getLogger("metrics_store")

#: Seconds that a compared read that differs waits for a moment in which nobody writes.
QUIET_PATIENCE = 0.1
#: Seconds that a record waits for the store once the store decides.
STORE_PATIENCE = 5.0


class PhasedTracker(Closing):
    """What :func:`metrics_store.open_tracker` gives; safe to use from any thread.

    Args:
        json_file: the legacy file.
        db: the store; by default the one the control file names, else the configured one. It is
            opened when a phase first needs it.
        on_error: ``log`` keeps failures from the caller: the record waits in the spill. ``raise``
            raises those of the side that decides.
        clock: source of time; tests give their own.
        patience: seconds that a write may wait for a store on trial.
    """

    def __init__(
        self,
        json_file: str | os.PathLike[str],
        db: str | os.PathLike[str] | MetricsStore | None = None,
        on_error: OnError = "log",
        *,
        clock: Clock | None = None,
        patience: float = PATIENCE,
    ) -> None:
        if on_error not in ("log", "raise"):
            raise InvalidValue(f"on_error is {on_error!r}", hint='It is "log" or "raise".')
        self.metrics_file = Path(control.resolved(json_file))
        self._on_error = on_error
        self._clock = clock or Clock()
        self._patience = patience
        self._control = ControlReader(self.metrics_file)
        self._store = LazyStore(db, self._control, str(self.metrics_file), self._clock)
        self._json = JsonMetricsTracker(self.metrics_file, clock=self._clock)
        self._spill = Spill(str(self.metrics_file), self._clock)
        self._candidate = Candidate(self._store, self._spill, self._clock, patience)
        self._observer: tuple[int, Observer] | None = None
        self._looked_for_control = False

    # Writing

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | os.PathLike[str] | None = None,
        attributes: JsonObject | None = None,
    ) -> PhasedInvocation:
        """Start an invocation.

        Args:
            skill_name: which skill runs.
            workflow_path: which of its ways it takes.
            session_id, project_path, attributes: for the store alone; the JSON format has no
                place for them.

        Returns:
            The completer, to be called with keyword arguments once.

        Raises:
            InvalidValue: a value cannot be recorded.
            MetricsStoreError: with ``on_error="raise"``, if the store decides and fails.
        """
        us = self._clock.now_us()
        call = Call(
            clock.new_id(us),
            rows.label("skill_name", skill_name),
            rows.optional("workflow_path", workflow_path),
            None,
            us,
            False,
            None,
            (),
            None,
            rows.optional("session_id", session_id),
            rows.optional("project_path", project_path),
            rows.object_text("attributes", attributes),
        )
        self._start(call)
        return PhasedInvocation(self._end, call, self._clock.monotonic_us())

    #: The classic name: every call is safe from any thread.
    track_invocation_concurrent = track_invocation

    def _start(self, call: Call) -> None:
        """Put a call in flight, if the store decides."""
        try:
            there = self._control.current()
            if there is None or there.phase.in_json:
                return  # the JSON format knows what has ended
            with locks.writing(self.metrics_file), at_most(STORE_PATIENCE):
                # Again, for the wait may have been for a change of phase.
                there = self._control.current()
                if there is None or there.phase.in_json:
                    return
                store = self._store()
                values = (*_in_flight(call), store.database.schema_version)
                store.database.write_one(query("skills.start_invocation"), values, flush=False)
        except MetricsStoreError as error:
            if self._on_error == "raise":
                raise
            log.error("an invocation was not put in flight: %s. %s", error, error.hint)

    def _end(
        self,
        invocation: PhasedInvocation,
        completed: bool,
        follow_up_actions: Sequence[str] | None,
        error_type: str | None,
        duration_seconds: rows.Duration,
    ) -> None:
        try:
            if invocation.ended:
                raise AlreadyEnded(invocation.invocation_id)
            if invocation.ending is None:
                invocation.ending = self._ending(
                    invocation, completed, follow_up_actions, error_type, duration_seconds
                )
        except MetricsStoreError as error:
            if self._on_error == "raise":
                raise
            log.error("an ending was not recorded: %s. %s", error, error.hint)
            return
        self._recorded(invocation.ending)
        invocation.ended = True

    def _ending(
        self,
        invocation: PhasedInvocation,
        completed: bool,
        follow_up_actions: Sequence[str] | None,
        error_type: str | None,
        duration_seconds: rows.Duration,
    ) -> Call:
        lasted = rows.duration_us(duration_seconds)
        if lasted is None:
            # By the monotonic clock: the wall clock may have been set meanwhile.
            lasted = max(0, self._clock.monotonic_us() - invocation.started_us)
        return replace(
            invocation.call,
            completed=bool(completed),
            duration_seconds=lasted / clock.MICROSECONDS,
            follow_up_actions=tuple(json.loads(rows.actions_text(follow_up_actions))),
            error_type=rows.optional("error_type", error_type),
        )

    def _recorded(self, call: Call) -> None:
        self._spill.flush()
        # Without a migration local time, as ever; what is spilled is written anew when it is read.
        call = replace(call, raw_invoked_at=naive(call.invoked_us, None))
        try:
            with locks.writing(self.metrics_file):
                there = self._current()
                if there is not None:
                    call = replace(call, raw_invoked_at=naive(call.invoked_us, there.zone))
                self._record(call, there)
        except (MetricsStoreError, OSError) as error:
            if self._on_error == "raise":
                raise
            hint = getattr(error, "hint", "")
            log.error("a record waits in the spill: %s. %s", error, hint)
            # The spill has it from now on, and brings it to the file once.
            self._json.disown(call.record())
            self._spill.add(call, f"{type(error).__name__}: {error}", in_json=False)

    def _record(self, call: Call, there: Control | None) -> None:
        phase = Phase.LEGACY if there is None else there.phase
        if phase.in_json:
            self._json.finish(call.record())
        if there is None or not phase.in_store:
            return
        if phase.in_json:
            self._candidate.take(call, Home.of(there))
            return
        with at_most(STORE_PATIENCE):
            calls.take(self._store(), call, Home.of(there), in_json=False)

    def _current(self) -> Control | None:
        """What the control file says.

        Raises:
            ControlError: it cannot be read, or the store knows of one that is gone.
        """
        there = self._control.current()
        if there is None and not self._looked_for_control:
            self._looked_for_control = self._store.knows_of_no_migration()
        return there

    # Reading

    def get_skill_metrics(self, skill_name: str) -> SkillNumbers | None:
        """The numbers of one skill, None if it has none.

        Raises:
            ControlError: the phase is not known.
            ReadError, LegacyFileError: the side that decides cannot be read.
        """
        return self._read(
            "get_skill_metrics",
            skill_name,
            lambda: self._json.get_skill_metrics(skill_name),
            lambda zone: numbers_of_skill(self._store(), skill_name, zone),
        )

    def get_all_metrics(self) -> dict[str, SkillNumbers]:
        """The numbers of every skill, by name; as :meth:`get_skill_metrics`."""
        return self._read(
            "get_all_metrics",
            "",
            self._json.get_all_metrics,
            lambda zone: numbers_of_all(self._store(), zone),
        )

    def get_summary(self) -> dict[str, object]:
        """The numbers of all skills together; as :meth:`get_skill_metrics`."""
        return self._read(
            "get_summary",
            "",
            self._json.get_summary,
            lambda zone: summary_of(numbers_of_all(self._store(), zone)),
        )

    def generate_report(self) -> str:
        """The classic report as text; as :meth:`get_skill_metrics`."""
        return report_of(self.get_all_metrics())

    def _read(
        self,
        method: str,
        subject: str,
        from_json: Callable[[], T],
        from_store: Callable[[str], T],
    ) -> T:
        there = self._current()
        if there is None or there.phase in (Phase.LEGACY, Phase.DUAL_WRITE):
            return from_json()
        zone = there.zone
        if not there.phase.in_json:
            return from_store(zone)
        observer = self._observing(there)
        json_decides = there.phase is Phase.SHADOW

        def on_trial() -> T:
            with at_most(self._patience):
                return from_store(zone)

        if not observer.sampled():
            return from_json() if json_decides else from_store(zone)
        if json_decides:
            return observer.compare(method, subject, from_json, on_trial, json_is_control=True)
        return observer.compare(
            method, subject, lambda: from_store(zone), from_json, json_is_control=False
        )

    def _observing(self, there: Control) -> Observer:
        known = self._observer
        if known is None or known[0] != there.epoch:
            observer = Observer(
                self._store,
                there.epoch,
                there.zone,
                there.gates.sample_rate,
                self._patience,
                self._spill.waiting,
                quiet=lambda: locks.changing(self.metrics_file, patience=QUIET_PATIENCE),
            )
            known = self._observer = (there.epoch, observer)
        return known[1]

    def close(self) -> None:
        """Close the store, if this tracker opened it. It is opened again when it is needed."""
        self._store.close()


def _in_flight(call: Call) -> tuple[str | int, ...]:
    """The values of ``skills.start_invocation``: 0 stands for NULL."""
    optional = (call.workflow_path, call.session_id, call.project_path)
    return (
        call.id,
        call.skill_name,
        clock.text(call.invoked_us),
        *(0 if value is None else value for value in optional),
        "live",
        0 if call.attributes is None else call.attributes,
        0,
        liveness.identity(),
    )
