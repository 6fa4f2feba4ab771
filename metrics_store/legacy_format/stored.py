"""What the store has of a legacy file's records."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence

from metrics_store.legacy_format import record
from metrics_store.legacy_format.record import Understood
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_COLUMNS = (
    "id",
    "skill_name",
    "invoked_at",
    "workflow_path",
    "session_id",
    "outcome",
    "duration_us",
    "error_type",
    "follow_up_actions",
    "attributes",
    "legacy",
)

StoredRow = Mapping[str, object]
#: The largest number a row can have.
_LAST = (1 << 63) - 1


def by_id(connection: Connection, ids: Sequence[str]) -> dict[str, StoredRow]:
    """Rows of the given ids, ended or in flight."""
    found = connection.execute(query("legacy.stored"), (json.dumps(ids),)).fetchall()
    return {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in found}


def of_key(connection: Connection, one: Understood) -> list[StoredRow]:
    """The rows of a record's key, by their ordinal from 1 on."""
    rows: list[StoredRow] = []
    step = 4
    while True:
        ids = [one.id(ordinal) for ordinal in range(len(rows) + 1, len(rows) + step + 1)]
        found = by_id(connection, ids)
        for row_id in ids:
            if row_id not in found:
                return rows
            rows.append(found[row_id])
        step = min(step * 4, 1000)


def up_to(connection: Connection, seq: int) -> Iterator[StoredRow]:
    """The rows of the log up to one, in the order of starts; in bounded memory."""
    for row in connection.execute(query("legacy.export_log"), (seq,)):
        yield dict(zip(_COLUMNS, row, strict=True))


def after(connection: Connection, seq: int) -> Iterator[StoredRow]:
    """The rows of the log after one, and all that is in flight, in the order of starts."""
    log = connection.execute(query("legacy.export_log_after"), (seq,))
    inflight = connection.execute(query("legacy.export_inflight"))
    # id, skill_name, invoked_at: the moment comes first in the order.
    for row in heapq.merge(log, inflight, key=lambda row: (row[2], row[1])):
        yield dict(zip(_COLUMNS, row, strict=True))


def every(connection: Connection) -> Iterator[StoredRow]:
    """Every row, ended or in flight, in the order of starts; in bounded memory."""
    log = connection.execute(query("legacy.export_log"), (_LAST,))
    inflight = connection.execute(query("legacy.export_inflight"))
    for row in heapq.merge(log, inflight, key=lambda row: (row[2], row[1])):
        yield dict(zip(_COLUMNS, row, strict=True))


def source_of(row: StoredRow) -> int | None:
    """The legacy source a row came from; None if it came from elsewhere."""
    if not row["legacy"]:
        return None
    source = json.loads(str(row["legacy"])).get("source")
    return int(source) if source is not None else None


def is_pending(row: StoredRow) -> bool:
    """Whether a row is in flight."""
    return row["outcome"] is None


def says(row: StoredRow, one: Understood) -> bool:
    """Whether a row gives back a record; a bare record may leave out what the row knows beside."""
    if not row["legacy"]:
        return False
    content = one.content
    return record.content_of(row) == content or (
        one.is_bare and record.content_of(row, bare=True) == content
    )


def pair(
    records: Sequence[Understood], rows: Sequence[StoredRow]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pair the records of one key with the rows of that key that say the same.

    Returns:
        Pairs of positions in the two sequences, then the positions left over in each, in order.
    """
    pairs: list[tuple[int, int]] = []
    left, free = list(range(len(records))), list(range(len(rows)))
    # Those that say the very same first, so that a bare record takes no other record's row.
    for bare in (False, True):
        by_content: dict[str, list[int]] = {}
        for j in free:
            if rows[j]["legacy"]:
                by_content.setdefault(record.content_of(rows[j], bare=bare), []).append(j)
        unpaired = []
        for i in left:
            equal = by_content.get(records[i].content)
            if equal and (records[i].is_bare or not bare):
                pairs.append((i, equal.pop(0)))
            else:
                unpaired.append(i)
        taken = {j for _, j in pairs}
        left, free = unpaired, [j for j in free if j not in taken]
    return pairs, left, free
