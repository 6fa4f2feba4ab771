"""Giving the store, and the JSON file where it lacks them, the records that wait in the spill."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import calls, spill
from metrics_store.legacy.calls import Call, Home, naive
from metrics_store.legacy.control import Control
from metrics_store.legacy.spill import Contents, Spilled
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.trackers import foreign
from metrics_store.trackers.dual import identified
from metrics_store.trackers.foreign import Sought
from metrics_store.trackers.json_tracker import JsonMetricsTracker

#: Microseconds around its start in which the record of a call is looked for.
_WINDOW_US = 5_000_000


@dataclass(frozen=True, slots=True)
class Replayed(Result):
    """What became of the spill.

    Args:
        taken: records that are in the store now.
        waiting: records that still wait.
        damaged: lines that cannot be read.
    """

    taken: int
    waiting: int
    damaged: int


def contents(operator: Operator) -> Contents:
    """What waits."""
    return spill.contents(operator.json_file)


def replay(
    operator: Operator, there: Control, *, to_json: bool = True, as_called: bool = False
) -> Replayed:
    """Take in what waits. Doing it again adds nothing.

    Args:
        to_json: also write to the JSON file what it lacks, in the phases that write to it; not
            while the caller holds that file's lock.
        as_called: take in a record that the JSON file has not by what its caller said.

    Raises:
        WriteError, LegacyFileError: a side does not take it; what was not taken still waits.
    """
    store, home = operator.store(), Home.of(there)
    tracker = JsonMetricsTracker(
        Path(operator.json_file), on_error="raise", clock=operator.clock, zone=there.zone
    )

    def take(spilled: Spilled) -> None:
        call = spilled.call
        if not spilled.in_json:
            call = replace(call, raw_invoked_at=naive(call.invoked_us, there.zone))
        elif call.raw_invoked_at is None:
            call = _found(call, operator.json_file, there.zone, as_called=as_called)
        in_json = spilled.in_json and call.raw_invoked_at is not None
        if not in_json and to_json and there.phase.in_json:
            tracker.finish(call.record(), may_be_there=True)
            in_json = True
        if there.phase.in_store:
            calls.take(store, call, home, in_json=in_json)

    before = len(spill.contents(operator.json_file).waiting)
    if before:
        spill.replay(operator.json_file, take)
    left = spill.contents(operator.json_file)
    return Replayed(max(0, before - len(left.waiting)), len(left.waiting), len(left.damaged))


def set_damaged_aside(operator: Operator) -> int:
    """Move lines of the spill that cannot be read to the backups; gives how many."""
    moment = operator.stamp()
    path = operator.folder("backups") / f"damaged-spill-{moment}.txt"

    def keep(line: str) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(handle, "ab") as file:
            file.write(line.encode("utf-8", "surrogateescape") + b"\n")
            file.flush()
            os.fsync(file.fileno())

    return spill.set_aside(operator.json_file, keep)


class RecordNotFound(MetricsStoreError):
    """The record of a call that a tracker acknowledged is not in the JSON file."""

    default_hint = (
        "Its tracker may still hold it in memory: let it record something, then try again. "
        "metrics-store legacy reconcile --to db --execute takes it in as it was called; should its "
        "tracker write it after all, it is there twice."
    )


def _tells_nothing() -> None:
    """In the place of a completer that is gone."""


def _found(call: Call, json_file: str, zone: str, *, as_called: bool) -> Call:
    ending: dict[str, object] = {
        "completed": call.completed,
        "follow_up_actions": list(call.follow_up_actions),
        "error_type": call.error_type,
    }
    around = (call.invoked_us - _WINDOW_US, call.invoked_us + _WINDOW_US)
    sought = Sought(call.skill_name, call.workflow_path, *around, zone)
    record = foreign.record_of(_tells_nothing, sought, json_file, ending)
    if record is None and as_called:
        return replace(call, raw_invoked_at=naive(call.invoked_us, zone))
    if record is None:
        raise RecordNotFound(f"{call.skill_name}, about {naive(call.invoked_us, zone)}")
    return identified(call, record, ending, zone)
