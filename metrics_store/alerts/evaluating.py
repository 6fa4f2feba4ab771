"""Evaluating rules: what was read is compared with what is known, and alerts follow.

Reading takes a view of its own. Deciding takes one write transaction, in which it is looked at
whether somebody else decided since: then it is all read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics_store import clock
from metrics_store.alerts import events, listing, owing, signals
from metrics_store.alerts.measuring import Readings, measure
from metrics_store.alerts.metric import Reading
from metrics_store.alerts.metrics import METRICS
from metrics_store.alerts.results import Alert, Change, Evaluation, Pending
from metrics_store.alerts.rules import RANKS, Rule, RuleSet, severity_of
from metrics_store.alerts.wording import message_of, metadata_of, title_of
from metrics_store.connection import Database
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Readings outside of the write lock; the one after that is made within it.
_TRIES = 3


def evaluate(database: Database, known: RuleSet) -> Evaluation:
    """Evaluate rules once; hooks are owed what happened, and not told yet.

    Raises:
        WriteError, ReadError: nothing was changed.
    """
    for _ in range(_TRIES):
        with database.read() as connection:
            number = _number(connection)
            now_us = database.clock.now_us()
            readings = measure(connection, known.rules, now_us)

        def work(
            connection: Connection,
            number: int = number,
            now_us: int = now_us,
            readings: Readings = readings,
        ) -> Evaluation | None:
            if _number(connection) != number:
                return None
            return _decide(connection, known, readings, now_us)

        done = database.write(work, rows=len(known.rules))
        if done is not None:
            return done

    def alone(connection: Connection) -> Evaluation:
        now_us = database.clock.now_us()
        return _decide(connection, known, measure(connection, known.rules, now_us), now_us)

    return database.write(alone, rows=len(known.rules))


def _number(connection: Connection) -> int:
    return int(connection.execute(query("alerts.evaluation")).fetchone()[0])


def _decide(connection: Connection, known: RuleSet, readings: Readings, now_us: int) -> Evaluation:
    open_alerts: dict[tuple[str, str], Alert] = {
        (alert.rule, alert.subject): alert
        for alert in listing.lasting(connection)
        if alert.rule is not None and alert.subject is not None
    }
    since: dict[tuple[str, str], dict[int, int]] = {}
    for rule_name, subject, severity, since_at in connection.execute(query("alerts.signals")):
        level = since.setdefault((rule_name, subject), {})
        level[RANKS[severity]] = clock.parse(since_at)
    owing.begin(connection, known.hooks)
    changes: list[Change] = []
    pending: list[Pending] = []
    for rule in known.rules:
        found = readings[rule.name]
        for subject in sorted(
            {*found, *(s for name, s in (*open_alerts, *since) if name == rule.name)}
        ):
            key = (rule.name, subject)
            case = _Case(rule, subject, found.get(subject), open_alerts.get(key))
            was = since.get(key, {})
            step = case.step(was, now_us)
            if step.since != was:
                _remember(connection, key, step.since)
            pending += case.pending(step)
            if (change := case.follow(connection, step.rank, now_us)) is not None:
                changes.append(change)
    connection.execute(query("alerts.decided"))
    connection.execute(query("alerts.evaluated"), (clock.text(now_us),))
    owed = owing.owe(connection, known.hooks, now_us)
    return Evaluation(
        number=_number(connection),
        evaluated_at=clock.text(now_us),
        rules=len(known.rules),
        subjects=sum(len(found) for found in readings.values()),
        changes=tuple(changes),
        pending=tuple(pending),
        open=listing.lasting(connection),
        owed=owed,
    )


def _remember(connection: Connection, key: tuple[str, str], since: Mapping[int, int]) -> None:
    connection.execute(query("alerts.forget_signals"), key)
    connection.executemany(
        query("alerts.remember_signal"),
        [(*key, severity_of(rank), clock.text(us)) for rank, us in since.items()],
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """One subject of one rule, and the alert that lasts of it."""

    rule: Rule
    subject: str
    reading: Reading | None
    alert: Alert | None

    @property
    def observed(self) -> int:
        return self.rule.rank(None if self.reading is None else self.reading.value)

    @property
    def rank(self) -> int:
        return 0 if self.alert is None else RANKS[self.alert.severity]

    def step(self, since: dict[int, int], now_us: int) -> signals.Step:
        rule = self.rule
        return signals.step(self.observed, self.rank, since, now_us, rule.for_us, rule.clear_us)

    def pending(self, step: signals.Step) -> Sequence[Pending]:
        """What the alert becomes next, if anything."""
        if not step.since:
            return ()
        rising = self.observed > step.rank
        began = min(step.since.values())
        levels = [level for level, us in step.since.items() if us == began]
        rank = max(levels) if rising else min(levels) - 1
        wait = self.rule.for_us if rising else self.rule.clear_us
        becomes = severity_of(rank) if rank else "resolved"
        due_us = began + wait
        return (
            Pending(self.rule.name, self.subject, becomes, clock.text(began), clock.text(due_us)),
        )

    def follow(self, connection: Connection, rank: int, now_us: int) -> Change | None:
        if rank == self.rank:
            return None
        rule, alert = self.rule, self.alert
        if alert is None:
            opened = events.open_alert(
                connection,
                now_us,
                type=rule.type,
                severity=severity_of(rank),
                title=title_of(rule, METRICS[rule.metric], self.subject),
                message=message_of(rule, METRICS[rule.metric], self.reading, rank),
                source=rule.name,
                rule=rule.name,
                subject=self.subject,
                metadata=metadata_of(rule, self.reading, rank),
            )
            return Change("opened", opened)
        if rank == 0:
            return Change("resolved", events.follow(connection, now_us, alert, "resolved"))
        event = "escalated" if rank > self.rank else "deescalated"
        changed = events.follow(
            connection,
            now_us,
            alert,
            event,
            severity=severity_of(rank),
            message=message_of(rule, METRICS[rule.metric], self.reading, rank),
            metadata=metadata_of(rule, self.reading, rank),
        )
        return Change(event, changed)
