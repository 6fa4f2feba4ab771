"""Taking in the alerts that users have today: a SQLite file with a table `alerts`, or JSON lines.

Idempotent: what happened to an alert has an id made of the alert's. An alert that was acknowledged
or resolved since the last time gets that alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from itertools import islice
from pathlib import Path

from metrics_store import clock, foreign, logs, rows, timeline
from metrics_store.agents.importing import moment_us
from metrics_store.agents.sources import Raw, records
from metrics_store.alerts.events import Event
from metrics_store.alerts.results import AlertsImported
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.families.alerts import ALERTS, SEVERITIES, TYPES
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Alerts of one transaction, and problems that are told.
_BATCH = 1000
_TOLD = 20
_TRUE = (True, 1, "1", "true", "True")
_FALSE = (False, 0, None, "", "0", "false", "False")


def take_in(database: Database, source: Path, zone: str | None) -> AlertsImported:
    """Take in a file.

    Args:
        source: see :meth:`metrics_store.alerts.Alerts.import_alerts`.
        zone: the zone of moments without one; UTC by default.

    Raises:
        SourceError: it cannot be read.
        InvalidQuery: there is no such zone.
        WriteError: it was not taken in to its end; what was, stays.
    """
    place = timeline.zone_named(zone)
    counts = dict.fromkeys(("read", "inserted", "already_there", "retired", "invalid"), 0)
    problems: list[str] = []
    found = _records(source)
    while some := list(islice(found, _BATCH)):
        batch = []
        for raw in some:
            counts["read"] += 1
            try:
                batch.append(_events(raw, place))
            except InvalidValue as error:
                counts["invalid"] += 1
                problems += [f"{raw.place}: {error.detail}"] if len(problems) < _TOLD else []
        if batch:
            taken = _taken(database, batch)
            for name, number in taken.items():
                counts[name] += number
    return AlertsImported(str(source), **counts, problems=tuple(problems))


def _taken(database: Database, batch: list[list[Event]]) -> dict[str, int]:
    return database.write(lambda connection: _write(connection, batch), rows=2 * len(batch))


def _write(connection: Connection, batch: list[list[Event]]) -> dict[str, int]:
    counts = dict.fromkeys(("inserted", "already_there", "retired"), 0)
    horizon = logs.horizon(connection, ALERTS)
    for events in batch:
        if _is_retired(events, horizon):
            counts["retired"] += 1
            continue
        # One alert at a time: what opened it has the lower seq, as retention wants it.
        new = logs.append(connection, ALERTS, events)
        counts["inserted" if new else "already_there"] += 1
    return counts


def _is_retired(events: list[Event], horizon: str) -> bool:
    """Whether retention would have deleted it, and perhaps has."""
    opened, last = events[0], events[-1]
    return last.event == "resolved" and opened.severity != "critical" and last.at < horizon


def _events(raw: Raw, zone: tzinfo) -> list[Event]:
    """What happened to an alert, oldest first."""
    said = raw.said
    if isinstance(said, str):
        raise InvalidValue(said)
    alert_id = rows.label("alert_id", said.get("alert_id"))
    severity = _word(said, "severity", SEVERITIES)
    type_ = _word(said, "type", TYPES)
    title = rows.label("title", said.get("title"))
    message = rows.optional("message", said.get("message")) or ""
    source = rows.optional("source", said.get("source")) or "import"
    created_us = moment_us(said.get("created_at"), zone)
    opened = Event(
        id=_id(alert_id, "opened"),
        alert_id=alert_id,
        at=clock.text(created_us),
        event="opened",
        severity=severity,
        type=type_,
        rule=None,
        subject=None,
        title=title,
        message=message,
        source=source,
        actor=None,
        lasted_us=None,
        metadata=_metadata(said.get("metadata")),
    )
    found = [opened]
    last_us = created_us
    for event in ("acknowledged", "resolved"):
        if not _flag(said, event):
            continue
        moment = said.get(f"{event}_at")
        told_us = last_us if moment in (None, "") else moment_us(moment, zone)
        last_us = max(told_us, last_us + 1)
        if last_us > clock.MAX_US:
            raise InvalidValue(f"{event} after the year 9999")
        following = opened._replace(
            id=_id(alert_id, event),
            at=clock.text(last_us),
            event=event,
            actor=rows.optional(f"{event}_by", said.get(f"{event}_by")) or None,
            lasted_us=last_us - created_us if event == "resolved" else None,
            metadata=None,
        )
        found.append(following)
    return found


def _id(alert_id: str, event: str) -> str:
    return hashlib.blake2b(ascii((alert_id, event)).encode(), digest_size=16).hexdigest()


def _word(said: Mapping[str, object], name: str, known: tuple[str, ...]) -> str:
    word = said.get(name)
    folded = word.strip().lower() if isinstance(word, str) else ""
    if folded not in known:
        raise InvalidValue(f"{name} {word!r:.60}", hint=f"It is {', '.join(known)}.")
    return folded


def _flag(said: Mapping[str, object], name: str) -> bool:
    value = said.get(name)
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidValue(f"{name} {value!r:.60}", hint="It is 0 or 1.")


def _metadata(value: object) -> str | None:
    """JSON of an object; whatever else it is, is kept in one."""
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = {"text": value}
    return rows.object_text("metadata", value if isinstance(value, dict) else {"value": value})


def _records(source: Path) -> Iterator[Raw]:
    if foreign.head_of(source) != foreign.MAGIC:
        yield from records(source)
        return
    # Where a text is not UTF-8, the rest of it still is.
    with foreign.opened(source, errors="replace", hint="It needs a table alerts.") as connection:
        for number, said in foreign.numbered(connection, query("alerts.source_rows")):
            yield Raw(f"alerts, row {number:,}", "alerts", said)
