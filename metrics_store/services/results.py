"""What the calls of services give. Moments are UTC text, durations seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metrics_store.results import Result

#: Up: it said so within its grace. Down: it said so. Silent: it said nothing for too long.
State = Literal["up", "down", "silent"]
Cause = Literal["silent", "said"]
Verdict = Literal["faster", "steady", "slower", "unknown"]


@dataclass(frozen=True, slots=True)
class ServiceStatus(Result):
    """What a service said last, and what that means now.

    Args:
        status, current_task: what it said.
        last_heartbeat: when.
        updated_at: when that was recorded; later than ``last_heartbeat`` if it came late.
        state: ``up``, ``down`` or ``silent``, now.
        age_seconds: since the heartbeat.
        grace_seconds: for how long the heartbeat vouches.
        latency_seconds: that it gave, if any.
        ahead_seconds: how far in the future the newest heartbeat lies, None if it does not: some
            clock was wrong. The rest is then of the newest one that is not in the future.
    """

    service_name: str
    status: str
    current_task: str | None
    last_heartbeat: str
    updated_at: str
    state: State
    age_seconds: float
    grace_seconds: float
    latency_seconds: float | None
    ahead_seconds: float | None


@dataclass(frozen=True, slots=True)
class Heartbeat(Result):
    """One heartbeat.

    Args:
        heartbeat_timestamp: its moment.
        created_at: when it was recorded.
        down: whether its status was a bad one when it was recorded.
        grace_seconds: for how long it vouches at most.
        latency_seconds: that it gave, if any.
    """

    service_name: str
    status: str
    current_task: str | None
    heartbeat_timestamp: str
    created_at: str
    down: bool
    grace_seconds: float
    latency_seconds: float | None


@dataclass(frozen=True, slots=True)
class Uptime(Result):
    """How much of a window a service was up.

    Args:
        since, until: the window, clipped to the first heartbeat known and to now.
        seconds: its length; up, down and silent add up to it.
        up_seconds: vouched for by a heartbeat with a good status.
        down_seconds: vouched for by one with a bad status.
        silent_seconds: vouched for by none.
        uptime_percent: 0 to 100, None for a window of no length.
        outages: how many there were, those that reach beyond the window too.
    """

    service_name: str
    since: str
    until: str
    seconds: float
    up_seconds: float
    down_seconds: float
    silent_seconds: float
    uptime_percent: float | None
    outages: int


@dataclass(frozen=True, slots=True)
class Outage(Result):
    """A time without a break in which a service was not up.

    Args:
        start_at: when it began, be that before the window.
        end_at: when the service was up again; None if it is not yet.
        seconds: from start to end, or to now.
        cause: how it began: ``silent``, or ``said`` by a bad status.
        status: the first bad status within it, None if there was none.
        down_seconds: of it, vouched for by heartbeats with a bad status.
        silent_seconds: of it, without any.
    """

    service_name: str
    start_at: str
    end_at: str | None
    seconds: float
    cause: Cause
    status: str | None
    down_seconds: float
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class TrendDay(Result):
    """One UTC day of a trend; the median is in seconds, None if nothing was measured."""

    day: str
    measured: int
    median_seconds: float | None


@dataclass(frozen=True, slots=True)
class ServiceTrend(Result):
    """Whether a service is getting slower.

    Args:
        measure: what is compared: ``latency``, as the heartbeats gave it, or ``interval``, from
            one heartbeat to the next.
        verdict: ``faster``, ``steady``, ``slower``, or ``unknown`` if too little was measured.
        recent_seconds, before_seconds: the medians of the recent days and of those before them.
        recent_measured, before_measured: of how many values.
        change_percent: of the recent median against the one before.
        tolerance_seconds: a smaller difference is no difference.
        days: every day of both, oldest first.
    """

    service_name: str
    measure: Literal["latency", "interval"]
    verdict: Verdict
    recent_seconds: float | None
    before_seconds: float | None
    recent_measured: int
    before_measured: int
    change_percent: float | None
    tolerance_seconds: float | None
    days: tuple[TrendDay, ...]


@dataclass(frozen=True, slots=True)
class ServiceSetting(Result):
    """How the next heartbeats of a service are judged.

    Args:
        every_seconds: how often it is expected.
        grace_seconds: for how long a heartbeat vouches at most.
        bad_statuses: those that mean it is down, in lower case, sorted.
        own: the names of the fields that were set, and are not the defaults.
    """

    service_name: str
    every_seconds: float
    grace_seconds: float
    bad_statuses: tuple[str, ...]
    own: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServicesImported(Result):
    """What an import did: read = inserted + already_there + retired + refused.

    Args:
        source: the file.
        read: heartbeats in it.
        inserted: that are new.
        already_there: that the store had.
        retired: of before the moment up to which retention has deleted.
        refused: that cannot be a heartbeat.
        reasons: why, the first few of them.
        services: names of those that got new ones, sorted.
    """

    source: str
    read: int
    inserted: int
    already_there: int
    retired: int
    refused: int
    reasons: tuple[str, ...]
    services: tuple[str, ...]
