"""How heartbeats are judged: which statuses are bad, and for how long one vouches."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

from metrics_store import clock, rows, windows
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.services.results import ServiceSetting
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: How often a service is expected that says nothing else, and how many intervals may pass.
EVERY_US = 60 * clock.MICROSECONDS
GRACE_TWICE_INTERVALS = 5
#: Statuses that mean a service is down, in lower case. A clean stop is one of them: it is not up.
BAD = frozenset(
    {"crashed", "critical", "dead", "down", "error", "failed", "offline", "stopped", "unhealthy"}
)
_MOST = 1000

Span = float | str | timedelta
Default = Literal["default"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judge:
    """How the heartbeats of one service are judged.

    Args:
        every_us, grace_us: microseconds, None for the default.
        bad: statuses in lower case, None for the default.
    """

    every_us: int | None = None
    grace_us: int | None = None
    bad: frozenset[str] | None = None

    def is_down(self, status: str) -> bool:
        """Whether a status is a bad one; its case does not matter."""
        return status.lower() in (BAD if self.bad is None else self.bad)

    def grace(self, every_us: int | None = None) -> int:
        """For how long a heartbeat vouches, microseconds.

        A grace that was set wins; else it is 2.5 times the interval, the heartbeat's own if it
        has one.

        Args:
            every_us: the interval that the heartbeat itself names.
        """
        if self.grace_us is not None:
            return self.grace_us
        interval = every_us or self.every_us or EVERY_US
        return min(rows.MAX_DURATION_US, max(1, interval * GRACE_TWICE_INTERVALS // 2))

    def described(self, service: str) -> ServiceSetting:
        """The same for people."""
        own = {
            "every_seconds": self.every_us, "grace_seconds": self.grace_us, "bad_statuses": self.bad
        }  # fmt: skip
        return ServiceSetting(
            service,
            (self.every_us or EVERY_US) / 1e6,
            self.grace() / 1e6,
            tuple(sorted(BAD if self.bad is None else self.bad)),
            tuple(name for name, value in own.items() if value is not None),
        )


def judge_of(connection: Connection, service: str) -> Judge:
    """How a service is judged at present."""
    row = connection.execute(query("services.setting"), (service,)).fetchone()
    return Judge() if row is None else _judge(row[0], row[1], row[2])


def _judge(every_us: int | None, grace_us: int | None, bad: str | None) -> Judge:
    return Judge(every_us, grace_us, None if bad is None else frozenset(json.loads(bad)))


def described(database: Database, service: str) -> ServiceSetting:
    """How the next heartbeats of a service are judged."""
    with database.read() as connection:
        return judge_of(connection, rows.label("service", service)).described(service)


def all_described(database: Database) -> list[ServiceSetting]:
    """The services that have settings of their own."""
    with database.read() as connection:
        found = connection.execute(query("services.settings")).fetchall()
        return [_judge(*setting).described(service) for service, *setting in found]


def set_service(
    database: Database,
    service: str,
    every: Span | Default | None,
    grace: Span | Default | None,
    bad_statuses: Collection[str] | Default | None,
) -> ServiceSetting:
    """Say how the next heartbeats of a service are judged; see ``MetricsStore.set_service``."""
    name = rows.label("service", service)
    every_us = _interval("every", every)
    grace_us = _interval("grace", grace)
    bad = _statuses(bad_statuses)
    database.require_writable()

    def work(connection: Connection) -> ServiceSetting:
        was = judge_of(connection, name)
        judge = Judge(
            _chosen(every_us, was.every_us), _chosen(grace_us, was.grace_us), _chosen(bad, was.bad)
        )
        if judge == Judge():
            connection.execute(query("services.unset"), (name,))
        else:
            written = None if judge.bad is None else json.dumps(sorted(judge.bad))
            at = clock.text(database.clock.now_us())
            values = (name, judge.every_us, judge.grace_us, written, at)
            connection.execute(query("services.set"), values)
        return judge.described(name)

    return database.write(work)


def _chosen(new: T | Default | None, was: T | None) -> T | None:
    if new is None:
        return was
    return None if isinstance(new, str) else new


def interval_us(name: str, value: Span) -> int:
    """Microseconds of an interval or a grace.

    Raises:
        InvalidQuery, InvalidValue: it is no span of time, or no positive one.
    """
    us = round(windows.seconds(value) * clock.MICROSECONDS)
    if not 1 <= us <= rows.MAX_DURATION_US:
        raise InvalidValue(f"{name} {value!s:.40}", hint="Such as 60 seconds, or '5 min'.")
    return us


def _interval(name: str, value: Span | Default | None) -> int | Default | None:
    if value is None:
        return None
    if isinstance(value, str) and value == "default":
        return "default"
    return interval_us(name, value)


def _statuses(value: object) -> frozenset[str] | Default | None:
    if value is None:
        return None
    if isinstance(value, str) and value == "default":
        return "default"
    if isinstance(value, str) or not isinstance(value, Collection) or len(value) > _MOST:
        raise InvalidValue("bad_statuses is not a list of texts", hint="Such as ['down', 'error'].")
    return frozenset(rows.label("a bad status", status).lower() for status in value)
