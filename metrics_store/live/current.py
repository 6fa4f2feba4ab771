"""The keys that stand for one thing each: commits, system, retrieval, alerts; and the services."""

from __future__ import annotations

import json

from metrics_store import clock
from metrics_store.agents.results import Commit, RagMetrics, SystemHealth
from metrics_store.alerts import listing
from metrics_store.clock import Clock
from metrics_store.live.bounds import Bounds
from metrics_store.live.sections import Tops, Update
from metrics_store.live.values import ServiceSaid
from metrics_store.services.recording import AHEAD_US
from metrics_store.sql import query
from metrics_store.sqlite import Connection

FEED = "git:activity:feed"
HEALTH = "system:health:current"
ALERTS = "system:alerts:active"
RAG = "rag:metrics:current"


class Current:
    """What is read as a whole whenever its log has grown."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def load(self, connection: Connection) -> Update:
        """Read everything anew."""
        return self.follow(connection, Tops(*[-1] * 7), Tops(*[0] * 7))

    def follow(self, connection: Connection, before: Tops, after: Tops) -> Update:
        """Read what has grown."""
        values: dict[str, object] = {}
        if after.commits != before.commits:
            found = connection.execute(query("live.feed"), (self._bounds.feed,))
            values[FEED] = tuple(Commit(*row) for row in found)
        if after.health != before.health:
            row = connection.execute(query("live.health")).fetchone()
            values[HEALTH] = None if row is None else _health(row)
        if after.rag != before.rag:
            row = connection.execute(query("live.rag")).fetchone()
            values[RAG] = None if row is None else _rag(row)
        if after.alerts != before.alerts:
            values[ALERTS] = listing.lasting(connection)[: self._bounds.alerts]
        return Update(values, set())


def _health(row: tuple[object, ...]) -> SystemHealth:
    *values, details = row
    return SystemHealth(*values, _loaded(details) or {})  # type: ignore[call-arg, arg-type]


def _rag(row: tuple[object, ...]) -> RagMetrics:
    *values, patterns, queries = row
    return RagMetrics(*values, _loaded(patterns), _loaded(queries))  # type: ignore[call-arg, arg-type]


def _loaded(text: object) -> object:
    return None if text is None else json.loads(str(text))


#: Name, status, task, moment, whether it is down, for how long it vouches, latency.
_Row = tuple[str, str, str | None, int, int, int, int | None]


class Services:
    """What each service said last; silence comes by itself, without a row in a log.

    Args:
        clock: tells which heartbeats are ahead of now.
    """

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._rows: list[_Row] = []
        #: Between these moments nothing changes by itself.
        self._from_us = self._until_us = 0

    def load(self, connection: Connection) -> Update:
        """Read everything anew."""
        found = connection.execute(query("live.services"), (self._bounds.services,))
        latest = self._clock.now_us() + AHEAD_US
        self._rows = [
            # Of one that is ahead some clock was wrong: the newest one that has come counts.
            row if row[3] <= latest else self._come(connection, row, latest)
            for row in found.fetchall()
        ]
        self._from_us = self._until_us = 0
        return Update({}, set())

    def _come(self, connection: Connection, row: _Row, latest: int) -> _Row:
        found = connection.execute(query("services.newest_until"), (row[0], latest)).fetchone()
        if found is None:
            return row
        name, status, task, us, _, down, grace_us, latency_us = found
        return name, status, None if task is None else task[:2000], us, down, grace_us, latency_us

    def follow(self, connection: Connection, before: Tops, after: Tops) -> Update:
        """Read what has grown."""
        if after.heartbeats == before.heartbeats:
            return Update({}, set())
        names = {row[0] for row in self._rows}
        self.load(connection)
        gone = names - {row[0] for row in self._rows}
        return Update({}, {_key(name) for name in gone})

    def at(self, now_us: int) -> dict[str, object]:
        """What they come to at a moment; nothing if that is what it was.

        Args:
            now_us: microseconds since 1970.
        """
        if self._from_us <= now_us < self._until_us:
            return {}
        edges = [us for row in self._rows for us in (row[3] - AHEAD_US, row[3] + row[5] + 1)]
        self._from_us = now_us
        self._until_us = min((us for us in edges if us > now_us), default=clock.MAX_US)
        return {_key(row[0]): _said(row, now_us) for row in self._rows}


def _key(name: str) -> str:
    return f"services:{name}:status"


def _said(row: _Row, now_us: int) -> ServiceSaid:
    name, status, task, us, down, grace_us, latency_us = row
    silent = not -AHEAD_US <= now_us - us <= grace_us
    return ServiceSaid(
        name,
        "silent" if silent else "down" if down else "up",
        status,
        task,
        clock.text(us),
        clock.text(min(us + grace_us, clock.MAX_US)),
        None if latency_us is None else latency_us / 1e6,
    )
