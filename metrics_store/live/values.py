"""What the keys of the picture hold, beside the results of the families themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Activity(Result):
    """Something an agent did, or that was done with it.

    Args:
        at: UTC text.
        kind: ``status`` (its sample says something else than the one before), ``task`` or
            ``commit``.
        what: the status, the type of the event, or the short hash.
        about: its task, the task's id, or the first words of the message.
        id: of the row in the log.
    """

    at: str
    agent_id: str
    kind: Literal["status", "task", "commit"]
    what: str
    about: str | None
    id: str


@dataclass(frozen=True, slots=True)
class ServiceSaid(Result):
    """What a service said last, and whether that still holds.

    Args:
        state: ``up``, ``down``, or ``silent`` once its last heartbeat vouches no more.
        last_heartbeat: when it said so, UTC text.
        vouched_until: for how long that vouches, UTC text.
        latency_seconds: that it gave, if any.
    """

    service_name: str
    state: Literal["up", "down", "silent"]
    status: str
    current_task: str | None
    last_heartbeat: str
    vouched_until: str
    latency_seconds: float | None
