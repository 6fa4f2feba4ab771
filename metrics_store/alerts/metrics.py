"""Every metric that a rule can look at.

Rates come from the rollups of hours: the hour in which the window begins is in it whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from metrics_store import clock
from metrics_store.alerts.metric import Ask, Metric, Reading
from metrics_store.services.recording import AHEAD_US
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_HOUR = 3600 * clock.MICROSECONDS
_DAY = 24 * _HOUR
#: Who has done nothing for so long is not expected to do anything.
_FORGOTTEN = 7 * _DAY
_EXECUTIONS, _SKILLS, _DATABASE = "executions", "skills", "database"
_RUNS = 10

#: Subject, runs, completed, failed.
_Count = tuple[str, int, int, int]
_Counts = Iterable[_Count]
_Share = Callable[[_Count], float]


def _completed(count: _Count) -> float:
    return 100 * count[2] / count[1]


def _failed(count: _Count) -> float:
    return 100 * count[3] / count[1]


def _rates(counts: _Counts, ask: Ask, share: _Share) -> Mapping[str, Reading]:
    """A share for each subject with enough runs."""
    return {
        count[0]: Reading(share(count), f"{count[1]:,} run{'' if count[1] == 1 else 's'}")
        for count in counts
        if count[1] >= max(1, ask.at_least)
    }


def _skills(connection: Connection, ask: Ask) -> _Counts:
    first, last = _hours(ask)
    start = clock.parse(f"{first[:10]}T00:00:00Z")
    days = [clock.text(us)[:10] for us in range(start, ask.now_us + 1, _DAY)]
    found = connection.execute(
        query("alerts.skill_hours"), (json.dumps(days), first[:13], last[:13])
    )
    return found.fetchall()


def _executions(connection: Connection, ask: Ask) -> _Counts:
    first, last = _hours(ask)
    found = connection.execute(query("alerts.execution_hours"), (first[:13], last[:13])).fetchone()
    return [(_EXECUTIONS, *found)]


def _pools(connection: Connection, ask: Ask) -> _Counts:
    first, last = _hours(ask)
    return connection.execute(query("alerts.pool_hours"), (first[:13], last[:13])).fetchall()


def _hours(ask: Ask) -> tuple[str, str]:
    start = max(clock.MIN_US, ask.now_us - ask.window_us)
    return clock.text(start // _HOUR * _HOUR), clock.text(ask.now_us)


def _recent(sql: str, subject: str) -> Callable[[Connection, Ask], Mapping[str, Reading]]:
    def measure(connection: Connection, ask: Ask) -> Mapping[str, Reading]:
        start = max(clock.MIN_US + _FORGOTTEN, ask.now_us - ask.window_us)
        moments = (start, ask.now_us, start - _FORGOTTEN)
        texts = tuple(clock.text(us) for us in moments)
        count, before = connection.execute(query(sql), texts).fetchone()
        return {subject: Reading(count)} if before else {}

    return measure


def _database(connection: Connection, _: Ask) -> Mapping[str, Reading]:
    count, size = connection.execute(query("alerts.pages")).fetchone()
    return {_DATABASE: Reading(count * size / (1 << 20))}


def _silent(connection: Connection, ask: Ask) -> Mapping[str, Reading]:
    found = {}
    for name, us, grace_us, down, _ in connection.execute(query("alerts.services")).fetchall():
        if us > ask.now_us + AHEAD_US:
            # Some clock was wrong. Until that moment comes the newest one that has come counts.
            values = (name, ask.now_us + AHEAD_US)
            row = connection.execute(query("services.newest_until"), values).fetchone()
            if row is None:
                continue
            us, down, grace_us = row[3], row[5], row[6]
        # Who said that it is down is not silent.
        late = 0 if down else max(0, ask.now_us - us - grace_us)
        heard = f"last heard of {clock.text(us)}"
        found[name] = Reading(late / clock.MICROSECONDS, heard)
    return found


def _down(connection: Connection, _: Ask) -> Mapping[str, Reading]:
    found = connection.execute(query("alerts.services"))
    return {
        name: Reading(down, f"{status} at {clock.text(us)}") for name, us, _, down, status in found
    }


def _agents(connection: Connection, _: Ask) -> Mapping[str, Reading]:
    found = connection.execute(query("alerts.agents"))
    return {
        name: Reading(status == "error", f"{status} at {recorded_at}")
        for name, status, recorded_at in found
    }


#: Every metric, by its name.
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "skills.success_rate", "percent of a skill's runs that completed",
            "skill completes too rarely", "performance", "%", "below",
            lambda c, ask: _rates(_skills(c, ask), ask, _completed), _DAY, _RUNS,
        ),
        Metric(
            "skills.error_rate", "percent of a skill's runs that said they failed",
            "skill fails too often", "performance", "%", "above",
            lambda c, ask: _rates(_skills(c, ask), ask, _failed), _DAY, _RUNS,
        ),
        Metric(
            "skills.recent", "runs of all skills, if there were some in the 7 days before",
            "no skill runs", "task", "", "below",
            _recent("alerts.recent_skills", _SKILLS), _HOUR, None, _SKILLS,
        ),
        Metric(
            "executions.success_rate", "percent of all executions that succeeded",
            "executions succeed too rarely", "performance", "%", "below",
            lambda c, ask: _rates(_executions(c, ask), ask, _completed), _DAY, _RUNS, _EXECUTIONS,
        ),
        Metric(
            "executions.error_rate", "percent of all executions that failed",
            "executions fail too often", "performance", "%", "above",
            lambda c, ask: _rates(_executions(c, ask), ask, _failed), _DAY, _RUNS, _EXECUTIONS,
        ),
        Metric(
            "executions.pool_success_rate", "percent of each pool's executions that succeeded",
            "pool succeeds too rarely", "performance", "%", "below",
            lambda c, ask: _rates(_pools(c, ask), ask, _completed), _DAY, _RUNS,
        ),
        Metric(
            "executions.recent", "executions, if there were some in the 7 days before",
            "no executions", "task", "", "below",
            _recent("alerts.recent_executions", _EXECUTIONS), _HOUR, None, _EXECUTIONS,
        ),
        Metric(
            "database.size_mb", "MiB of the store's file, its log not counted",
            "database is large", "system", "MiB", "above", _database, None, None, _DATABASE,
        ),
        Metric(
            "services.silent_seconds",
            "seconds since a service's last heartbeat stopped vouching for it",
            "service is silent", "system", "s", "above", _silent,
        ),
        Metric(
            "services.down", "1 for a service that says it is down, else 0",
            "service is down", "system", "flag", "above", _down,
        ),
        Metric(
            "agents.in_error", "1 for an agent whose latest sample says error, else 0",
            "agent is in error", "agent", "flag", "above", _agents,
        ),
    )
}  # fmt: skip
