"""Records of invocations that have ended, as callers give them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict, cast

from metrics_store import clock, rows
from metrics_store.errors import InvalidValue
from metrics_store.rows import Duration, JsonObject, Row
from metrics_store.sqlite import Value

Outcome = Literal["completed", "failed", "abandoned"]


class Record(TypedDict, total=False):
    """What may be said of an invocation that has ended, beside its skill and success.

    Keys:
        invoked_at: when it started, an aware datetime or ISO 8601 text with an offset; by default
            ``duration_seconds`` before now.
        duration_seconds: how long it took, seconds or a timedelta; None if unknown.
        workflow_path, session_id, project_path, error_type: text or None.
        follow_up_actions: what was done next, texts in order.
        outcome: ``completed``, ``failed`` or ``abandoned``; by default what ``completed`` says.
        attributes: a mapping that JSON can hold.
        invocation_id: its id, so that recording it twice counts it once; by default a new one.
        origin: where the record comes from, ``live`` by default.
    """

    invoked_at: str | datetime | None
    duration_seconds: Duration
    workflow_path: str | None
    session_id: str | None
    project_path: str | os.PathLike[str] | None
    follow_up_actions: Sequence[str] | None
    error_type: str | None
    outcome: Outcome | None
    attributes: JsonObject | None
    invocation_id: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch added.

    Args:
        inserted: records that are new.
        already_there: records whose id the log had before.
        ids: the id of every record, in the order given.
    """

    inserted: int
    already_there: int
    ids: tuple[str, ...]


#: The arguments of :func:`metrics_store.rows.row`, in its order.
Checked = tuple[
    str, str, int, int | None, str | None, str | None, str | None, str, int | None, str | None,
    str, str, str | None,
]  # fmt: skip

_KEYS = frozenset(Record.__annotations__)


def row_of(now_us: int, skill_name: str, completed: object, fields: Record) -> Row:
    """The row of a record; as :func:`checked`."""
    return rows.row(*checked(now_us, skill_name, completed, fields))


def checked(now_us: int, skill_name: str, completed: object, fields: Record) -> Checked:
    """What :func:`metrics_store.rows.row` needs of a record, checked; half of the work of a row.

    Args:
        now_us: microseconds since 1970, for a record that says no time.

    Raises:
        InvalidValue: a value cannot be recorded, or a key is unknown.
    """
    if not _KEYS.issuperset(fields):
        unknown = ", ".join(sorted(map(repr, set(fields) - _KEYS)))
        raise InvalidValue(f"unknown: {unknown}", hint="Put what is your own into attributes.")
    name = rows.label("skill_name", skill_name)
    lasted = rows.duration_us(fields.get("duration_seconds"))
    moment = fields.get("invoked_at")
    invoked = now_us - (lasted or 0) if moment is None else rows.moment_us("invoked_at", moment)
    ended = invoked + lasted if lasted is not None else (now_us if moment is None else None)
    if ended is not None and ended > clock.MAX_US:
        raise InvalidValue(f"it would end after the year 9999: {moment}")
    given = fields.get("invocation_id")
    return (
        clock.new_id(invoked) if given is None else rows.label("invocation_id", given),
        name,
        invoked,
        ended,
        rows.optional("workflow_path", fields.get("workflow_path")),
        rows.optional("session_id", fields.get("session_id")),
        rows.optional("project_path", fields.get("project_path")),
        _outcome(fields.get("outcome"), completed),
        lasted,
        rows.optional("error_type", fields.get("error_type")),
        rows.actions_text(fields.get("follow_up_actions")),
        rows.label("origin", fields.get("origin", "live")),
        rows.object_text("attributes", fields.get("attributes")),
    )


def row_of_mapping(now_us: int, record: Mapping[str, object]) -> Row:
    """The row of a record given as a mapping with ``skill_name`` and ``completed``.

    Raises:
        InvalidValue: as :func:`row_of`, or it is no mapping.
    """
    if not isinstance(record, Mapping):
        raise InvalidValue(f"a record is {type(record).__name__}, not a mapping")
    fields = dict(record)
    name = fields.pop("skill_name", None)
    completed = fields.pop("completed", True)
    return row_of(now_us, cast("str", name), completed, cast("Record", fields))


def _outcome(outcome: object, completed: object) -> str:
    if outcome is not None:
        if outcome not in ("completed", "failed", "abandoned"):
            raise InvalidValue(
                f"outcome is {outcome!r}", hint="It is completed, failed or abandoned."
            )
        return str(outcome)
    if completed is True or completed is False:
        return "completed" if completed else "failed"
    raise InvalidValue(f"completed is {completed!r}, not true or false")


@dataclass(frozen=True, slots=True)
class Started:
    """An invocation that was started: checked, with its id and its moments.

    Args:
        invoked_us: microseconds since 1970.
        started_us: the monotonic clock's, to measure the duration by.
        attributes: JSON text.
    """

    id: str
    skill_name: str
    invoked_us: int
    started_us: int
    workflow_path: str | None
    session_id: str | None
    project_path: str | None
    attributes: str | None

    @classmethod
    def now(
        cls,
        now: clock.Clock,
        skill_name: str,
        workflow_path: str | None,
        session_id: str | None,
        project_path: str | os.PathLike[str] | None,
        attributes: JsonObject | None,
    ) -> Started:
        """Check what the caller says, and read the clock.

        Raises:
            InvalidValue: a value cannot be recorded.
        """
        name = rows.label("skill_name", skill_name)
        path = rows.optional("workflow_path", workflow_path)
        session = rows.optional("session_id", session_id)
        project = rows.optional("project_path", project_path)
        extra = rows.object_text("attributes", attributes)
        us = now.now_us()
        return cls(clock.new_id(us), name, us, now.monotonic_us(), path, session, project, extra)

    def in_flight(self, process: str) -> tuple[Value, ...]:
        """The values of ``skills.start_invocation``: 0 stands for NULL."""
        return (
            self.id,
            self.skill_name,
            clock.text(self.invoked_us),
            0 if self.workflow_path is None else self.workflow_path,
            0 if self.session_id is None else self.session_id,
            0 if self.project_path is None else self.project_path,
            "live",
            0 if self.attributes is None else self.attributes,
            0,
            process,
        )

    def ended(
        self,
        now: clock.Clock,
        completed: bool,
        follow_up_actions: Sequence[str] | None,
        error_type: str | None,
        duration_seconds: Duration,
    ) -> Row:
        """The log row of its end.

        Raises:
            InvalidValue: a value cannot be recorded.
        """
        lasted = rows.duration_us(duration_seconds)
        if lasted is None:
            # By the monotonic clock: the wall clock may have been set meanwhile.
            lasted = max(0, now.monotonic_us() - self.started_us)
        return rows.row(
            self.id,
            self.skill_name,
            self.invoked_us,
            self.invoked_us + lasted,
            self.workflow_path,
            self.session_id,
            self.project_path,
            "completed" if completed else "failed",
            lasted,
            rows.optional("error_type", error_type),
            rows.actions_text(follow_up_actions),
            "live",
            self.attributes,
        )
