"""Closing what was left in flight: whose process is gone, or who gave no sign of life for long."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from metrics_store import clock, liveness, rows, windows
from metrics_store.sql import query
from metrics_store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class Reaped:
    """An invocation that was closed as abandoned.

    Args:
        reason: ``process gone`` or ``too old``.
    """

    invocation_id: str
    skill_name: str
    invoked_at: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Left:
    id: str
    skill_name: str
    invoked_at: str
    workflow_path: str | None
    session_id: str | None
    project_path: str | None
    origin: str
    attributes: str | None
    legacy: str | None
    process: str | None
    heartbeat_at: str | None


def age_us(older_than: float | timedelta | str | None) -> int | None:
    """Microseconds of an age; None stays None."""
    return None if older_than is None else round(windows.seconds(older_than) * clock.MICROSECONDS)


def reap(
    connection: Connection, now_us: int, limit_us: int | None, include_legacy: bool, version: int
) -> tuple[Reaped, ...]:
    """Close what was abandoned, in the transaction that is open.

    Args:
        now_us: microseconds since 1970.
        limit_us: oldest sign of life that is believed, in microseconds; None for no limit.
        include_legacy: also what a legacy file holds as never finished.
        version: the schema version this process writes.
    """
    reaped = []
    for fields in connection.execute(query("skills.inflight")).fetchall():
        left = _Left(*fields)
        reason = _reason(left, now_us, limit_us)
        if reason is None or (left.origin == "legacy" and not include_legacy):
            continue
        connection.execute(query("skills.record_one"), (*_row(left, now_us, reason), version))
        reaped.append(Reaped(left.id, left.skill_name, left.invoked_at, reason))
    return tuple(reaped)


def _reason(left: _Left, now_us: int, limit_us: int | None) -> str | None:
    if left.process is not None and liveness.is_gone(left.process):
        return "process gone"
    alive_us = clock.parse(max(left.invoked_at, left.heartbeat_at or ""))
    return "too old" if limit_us is not None and now_us - alive_us > limit_us else None


def _row(left: _Left, now_us: int, reason: str) -> rows.Row:
    attributes = json.loads(left.attributes) if left.attributes else {}
    # The caller may have an attribute of that name.
    key = next(name for n in count() if (name := "reaped" + "_" * n) not in attributes)
    attributes[key] = reason
    return rows.row(
        left.id,
        left.skill_name,
        clock.parse(left.invoked_at),
        now_us,
        left.workflow_path,
        left.session_id,
        left.project_path,
        "abandoned",
        None,
        None,
        "[]",
        left.origin,
        # Not measured again: what was within the limits must be possible to close.
        json.dumps(attributes, ensure_ascii=False, separators=(",", ":")),
        left.legacy,
    )
