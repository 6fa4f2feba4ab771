"""Taking in executions that others have kept, batch by batch; a second time adds nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice

from metrics_store import clock, location, logs, rows
from metrics_store.connection import Database
from metrics_store.errors import InvalidQuery, InvalidValue
from metrics_store.executions import duckdb_file, json_lines, recording
from metrics_store.executions.foreign import understood
from metrics_store.executions.record import Content, content, described
from metrics_store.executions.results import Imported, Refused
from metrics_store.families.executions import EXECUTIONS
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.timeline import zone_named

_BATCH = 1000
#: Refusals that are named; all of them are counted.
_NAMED = 100

#: A row of the source with its place there, or why it cannot be read.
Raw = tuple[str, Mapping[str, object] | str]


@dataclass(slots=True)
class _Tally:
    read: int = 0
    inserted: int = 0
    known: int = 0
    retired: int = 0
    refused: int = 0
    metadata: int = 0
    refusals: list[Refused] = field(default_factory=list)

    def refuse(self, place: str, reason: str) -> None:
        self.refused += 1
        if len(self.refusals) < _NAMED:
            self.refusals.append(Refused(place, reason))


def take_in(
    database: Database,
    source: str | os.PathLike[str],
    zone: str | None,
    progress: Callable[[int], None] | None,
) -> Imported:
    """Take in a file; see ``MetricsStore.import_executions``."""
    path = location.named(source)
    try:
        place = zone_named(zone)
    except InvalidQuery as error:
        raise InvalidValue(error.detail, hint=error.hint) from error
    tally, unnamed = _Tally(), Counter[str]()
    database.require_writable()
    known = duckdb_file.is_one(path)
    with duckdb_file.opened(path) if known else json_lines.opened(path) as file:
        for batch in _batches(file.rows()):
            tally.read += len(batch)
            contents = []
            for at, raw in batch:
                try:
                    if isinstance(raw, str):
                        raise InvalidValue(raw)
                    task_id, fields = understood(raw, place)
                    contents.append((at, _content(task_id, fields, unnamed)))
                except InvalidValue as error:
                    tally.refuse(at, error.detail)
            _write(database, contents, tally)
            if progress is not None:
                progress(tally.read)
        tally.metadata = _metadata(database, file.metadata(place))
    return Imported(
        path,
        tally.read,
        tally.inserted,
        tally.known,
        tally.retired,
        tally.refused,
        tally.metadata,
        tuple(tally.refusals),
    )


def _batches(raws: Iterator[Raw]) -> Iterator[list[Raw]]:
    while batch := list(islice(raws, _BATCH)):
        yield batch


def _content(task_id: str | None, fields: Mapping[str, object], unnamed: Counter[str]) -> Content:
    """The content of a row; one without an id gets one that follows from the rest of it."""
    if fields.get("timestamp") is None:
        raise InvalidValue("timestamp is missing")
    if task_id is None:
        name = blake2b(described(None, fields).encode(), digest_size=16).hexdigest()
        unnamed[name] += 1
        task_id = f"import-{name}-{unnamed[name]}"
    return content(0, task_id, fields)


def _write(database: Database, contents: list[tuple[str, Content]], tally: _Tally) -> None:
    """Write what is new of a batch in one transaction, and count what is not."""
    if not contents:
        return

    def work(connection: Connection) -> tuple[int, int, int, list[tuple[str, str]]]:
        ids = [str(row[0]) for _, row in contents]
        there = recording.digests(connection, ids)
        gone = logs.retired(connection, EXECUTIONS, ids)
        new: list[Content] = []
        refused: list[tuple[str, str]] = []
        known = retired = 0
        for at, row in contents:
            identity, digest = str(row[0]), rows.digest(row)
            if identity in gone:
                retired += 1
            elif identity not in there:
                there[identity] = digest
                new.append(row)
            elif there[identity] == digest:
                known += 1
            else:
                refused.append((at, f"another execution has the task_id {identity!r:.100}"))
        return logs.append(connection, EXECUTIONS, new) if new else 0, known, retired, refused

    inserted, known, retired, refused = database.write(work, rows=len(contents))
    tally.inserted += inserted
    tally.known += known
    tally.retired += retired
    for at, reason in refused:
        tally.refuse(at, reason)


def _metadata(database: Database, found: Iterable[tuple[str, str, int]]) -> int:
    """Take over what is kept beside the executions, but for what is newer here."""
    values = [
        (rows.label("key", key), rows.optional("value", value), clock.text(us))
        for key, value, us in found
    ]
    if not values:
        return 0
    sql = query("executions.take_metadata")
    return database.write(
        lambda connection: sum(connection.execute(sql, v).rowcount for v in values)
    )
