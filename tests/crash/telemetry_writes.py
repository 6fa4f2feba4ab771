"""One record of each sibling family, as a faulty disk is tried with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from public_write import DATABASE, Outcome, Place, Write

from metrics_store import sqlite

_AT = "2026-03-10T12:00:00Z"
_WRITTEN = "it was written"


def _beat(place: Place) -> None:
    place.store.heartbeat("api", "running", "serving", at=_AT)
    place.say(_WRITTEN)


def _snapshot(place: Place) -> None:
    # Within the interval it is the same one, so that doing it again changes nothing.
    place.store.record_snapshot({"files_total": 12852}, at=_AT, min_interval="1 minute")
    place.say(_WRITTEN)


def _execution(place: Place) -> None:
    place.store.record_execution(
        "one", success=True, duration_seconds=2.5, model_tier="small", timestamp=_AT
    )
    place.say(_WRITTEN)


def _sample(place: Place) -> None:
    place.store.record_agent_sample("agent", "active", at=_AT, record_id="one")
    place.say(_WRITTEN)


def _look(table: str, *, repeats: bool = False) -> Callable[[Outcome], list[str]]:
    """What tells whether the record is there as it should be.

    Args:
        table: its log.
        repeats: doing it again adds another one.
    """

    def look(outcome: Outcome) -> list[str]:
        with closing(sqlite.connect(str(outcome.folder / DATABASE))) as connection:
            (there,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        if there > 1 and not repeats:
            return [f"{there} are there"]
        if there == 0 and (outcome.again or _WRITTEN in outcome.said):
            return ["it was told that it was written"]
        if there and outcome.failed not in ("", "OutcomeUnknown"):
            return [f"{outcome.failed} was raised, and it is there"]
        return []

    return look


TELEMETRY = (
    # A second beat of a moment may be another one; only a retry of ours is known to be the same.
    Write("heartbeat", _beat, look=_look("system_status_history", repeats=True), write_errors=True),
    Write("snapshot", _snapshot, look=_look("status_snapshots"), write_errors=True),
    Write("execution", _execution, look=_look("executions"), write_errors=True),
    Write("agent sample", _sample, look=_look("agent_metrics"), write_errors=True),
)
