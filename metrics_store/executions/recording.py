"""Writing executions to the log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import cast

from metrics_store import clock, logs, retrying, rows
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.executions.record import Content, content
from metrics_store.families.executions import EXECUTIONS
from metrics_store.records import BatchResult
from metrics_store.sql import query
from metrics_store.sqlite import Connection


def record(database: Database, task_id: str | None, fields: Mapping[str, object]) -> str:
    """Write an execution; the same again under the same id changes nothing.

    Raises:
        InvalidValue: a value cannot be recorded.
        DuplicateRecord: the id belongs to another execution.
        WriteError: it was not written.
    """
    row = content(database.clock.now_us(), task_id, fields)
    retrying.write(database, lambda connection: logs.append_one(connection, EXECUTIONS, row))
    return str(row[0])


def record_batch(
    database: Database, batch: Iterable[Mapping[str, object]], batch_size: int | None
) -> BatchResult:
    """Write many executions; see ``MetricsStore.record_executions``."""
    now_us = database.clock.now_us()
    ids: list[str] = []
    inserted = 0
    given = (of_mapping(now_us, one) for one in logs.several("executions", batch))
    for contents in logs.batches(given, batch_size):
        inserted += append(database, contents)
        ids += [str(row[0]) for row in contents]
    return BatchResult(inserted, len(ids) - inserted, tuple(ids))


def append(database: Database, contents: list[Content]) -> int:
    """Write rows in one transaction; those whose id is there are passed over."""
    if not contents:
        return 0
    return database.write(
        lambda connection: logs.append(connection, EXECUTIONS, contents), rows=len(contents)
    )


def of_mapping(now_us: int, execution: Mapping[str, object]) -> Content:
    """The content of an execution given as a mapping with ``task_id`` and ``success``.

    Raises:
        InvalidValue: it cannot be recorded, or it is no mapping.
    """
    if not isinstance(execution, Mapping):
        raise InvalidValue(f"an execution is {type(execution).__name__}, not a mapping")
    fields = dict(execution)
    task_id = fields.pop("task_id", None)
    return content(now_us, cast("str | None", task_id), fields)


def digests(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The digests of those of some executions that are in the log."""
    found = connection.execute(query("executions.digests_of"), (json.dumps(list(ids)),))
    return dict(found.fetchall())


def set_metadata(database: Database, key: str, value: str) -> None:
    """Keep a value under a key.

    Raises:
        InvalidValue: one of them is no text, or the key is empty.
    """
    rows.label("key", key)
    if not isinstance(value, str):
        raise InvalidValue(f"value is {type(value).__name__}, not text")
    values = (key, rows.optional("value", value), clock.text(database.clock.now_us()))
    database.write(lambda connection: connection.execute(query("executions.set_metadata"), values))
