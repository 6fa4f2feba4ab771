"""Telling hooks what they are owed: at least once, and outside of every transaction.

Each event is claimed before a hook is told of it, so that two evaluations at once do not both tell
it; whoever dies meanwhile holds the claim until it expires, and the next evaluation tells it then,
perhaps for the second time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from metrics_store import clock
from metrics_store.alerts import listing, senders
from metrics_store.alerts.results import AlertEvent, Delivery
from metrics_store.alerts.rules import Hook
from metrics_store.connection import Database
from metrics_store.errors import MetricsStoreError
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_log = logging.getLogger("metrics_store.alerts")
#: Events of which one hook is told in one evaluation, at most.
_MOST = 100
#: Seconds that a claim lasts longer than the hook may take.
_SLACK = 30.0

#: Tells a hook of something, and gives why it could not; ``""`` if it could.
Send = Callable[[Hook, dict[str, object]], str]


@dataclass(frozen=True, slots=True)
class _Claim:
    event: AlertEvent
    payload: dict[str, object]
    tries: int


def deliver(
    database: Database, hooks: Sequence[Hook], send: Send | None = None
) -> tuple[Delivery, ...]:
    """Tell hooks what they are owed. Whatever fails is noted, told, and owed still.

    Raises:
        WriteError, ReadError: the store cannot be used; what was claimed is told later.
    """
    return tuple(done for hook in hooks for done in _of_hook(database, hook, send))


def _of_hook(database: Database, hook: Hook, send: Send | None) -> Iterator[Delivery]:
    by = clock.new_id(database.clock.now_us())
    if send is None:
        send = senders.sender(database.clock)
    for _ in range(_MOST):
        claim = _claim(database, hook, by)
        if claim is None:
            return
        error = send(hook, claim.payload)
        _settle(database, hook, claim, by, error)
        event = claim.event
        yield Delivery(hook.name, event.id, event.alert_id, event.event, claim.tries, error)
        if error:
            return  # it would as a rule fail for the others too, and each try takes its time


def _claim(database: Database, hook: Hook, by: str) -> _Claim | None:
    now_us = database.clock.now_us()
    # Every try in full, with the pauses between them.
    longest = hook.tries * hook.timeout + hook.backoff * 2**hook.tries + _SLACK
    until_us = now_us + round(longest * clock.MICROSECONDS)

    def work(connection: Connection) -> _Claim | None:
        # What is claimed for longer than this lasts was claimed before the clock was set back.
        values = (hook.name, clock.text(now_us), clock.text(until_us))
        found = connection.execute(query("alerts.first_owed"), values).fetchone()
        if found is None:
            return None
        event_id, tries = found
        claim = (by, clock.text(until_us), hook.name, event_id)
        connection.execute(query("alerts.claim"), claim)
        row = connection.execute(query("alerts.event"), (event_id,)).fetchone()
        event = listing.event_of(row)
        alert = listing.one(connection, event.alert_id)
        payload: dict[str, object] = {
            "hook": hook.name,
            "event": event.as_dict(),
            "alert": alert.as_dict(),
        }
        return _Claim(event, payload, tries + 1)

    return database.write(work)


def _settle(database: Database, hook: Hook, claim: _Claim, by: str, error: str) -> None:
    def work(connection: Connection) -> None:
        key = (hook.name, claim.event.id, by)
        if error:
            now = clock.text(database.clock.now_us())
            connection.execute(query("alerts.failed"), (now, error, *key))
        else:
            connection.execute(query("alerts.told"), key)

    try:
        database.write(work)
    except MetricsStoreError as failed:
        # The hook was told all the same; it will be told again once the claim has expired.
        _log.warning(
            "hook %s: what became of %s was not noted: %s", hook.name, claim.event.id, failed
        )
