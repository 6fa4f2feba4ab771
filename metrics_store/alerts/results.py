"""What the calls on alerts give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Alert(Result):
    """An alert as it is now. Moments are UTC text.

    Args:
        type: ``agent``, ``task``, ``system`` or ``performance``.
        severity: ``info``, ``warning``, ``error`` or ``critical``; how bad it was last.
        message: how it was when the severity was last set.
        source: the rule that opened it, or who raised it.
        metadata: whatever else is known.
        rule, subject: None if it was raised by hand.
        peak_severity: how bad it ever was.
        updated_at: when the last thing happened to it.
    """

    alert_id: str
    type: str
    severity: str
    title: str
    message: str
    source: str
    metadata: Mapping[str, object]
    acknowledged: bool
    acknowledged_by: str | None
    acknowledged_at: str | None
    resolved: bool
    resolved_by: str | None
    resolved_at: str | None
    created_at: str
    rule: str | None
    subject: str | None
    peak_severity: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class AlertEvent(Result):
    """Something that happened to an alert.

    Args:
        event: ``opened``, ``escalated``, ``deescalated``, ``acknowledged`` or ``resolved``.
        severity: from then on.
        actor: who did it; None for the evaluation.
        lasted_seconds: how long the alert lasted, where it was resolved.
    """

    seq: int
    id: str
    alert_id: str
    at: str
    event: str
    severity: str
    message: str
    actor: str | None
    lasted_seconds: float | None
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AlertHistory(Result):
    """An alert with everything that happened to it, oldest first."""

    alert: Alert
    events: tuple[AlertEvent, ...]


@dataclass(frozen=True, slots=True)
class Change(Result):
    """What an evaluation did to an alert.

    Args:
        event: ``opened``, ``escalated``, ``deescalated`` or ``resolved``.
        alert: as it is afterwards.
    """

    event: str
    alert: Alert


@dataclass(frozen=True, slots=True)
class Pending(Result):
    """A value that is on the other side of a level, and not yet for long enough.

    Args:
        becomes: the severity that the alert then has, or ``resolved``.
        since_at: since when.
        due_at: when the alert follows, if it stays so.
    """

    rule: str
    subject: str
    becomes: str
    since_at: str
    due_at: str


@dataclass(frozen=True, slots=True)
class Delivery(Result):
    """A hook that was told of an event, or could not be.

    Args:
        tries: evaluations that tried, this one among them.
        error: why it failed; empty if it was told.
    """

    hook: str
    event_id: str
    alert_id: str
    event: str
    tries: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Debt(Result):
    """What a hook is still to be told.

    Args:
        owed: how many events.
        since_at: when the first of them was noted.
        tries: evaluations that tried in vain, at most of one of them.
        error: why the last of them failed; None if none did.
    """

    hook: str
    owed: int
    since_at: str
    tries: int
    tried_at: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Evaluation(Result):
    """What evaluating the rules came to.

    Args:
        number: of evaluations so far.
        rules: how many were evaluated.
        subjects: how many values were looked at.
        changes: what was opened, escalated, de-escalated and resolved.
        pending: what may follow.
        open: every alert that lasts, the gravest first.
        deliveries: what the hooks were told, or could not be told.
        owed: how many events hooks are still to be told of.
    """

    number: int
    evaluated_at: str
    rules: int
    subjects: int
    changes: tuple[Change, ...]
    pending: tuple[Pending, ...]
    open: tuple[Alert, ...]
    deliveries: tuple[Delivery, ...] = ()
    owed: int = 0


@dataclass(frozen=True, slots=True)
class AlertsImported(Result):
    """What taking a file of alerts in came to: ``read`` is the sum of the others.

    Args:
        source: the file.
        inserted: alerts that are new, or to which something has happened since.
        already_there: those that were taken in before.
        retired: those that retention has deleted, or would.
        invalid: those that cannot be recorded.
        problems: the first of these, and why.
    """

    source: str
    read: int
    inserted: int
    already_there: int
    retired: int
    invalid: int
    problems: tuple[str, ...]
