"""Giving the rows that a legacy file never had the identity of a record of it, before an export.

Read back, such a record is then the row it came from, and not a new one.
"""

from __future__ import annotations

import json
from collections import Counter

from metrics_store import clock
from metrics_store.legacy.calls import naive
from metrics_store.legacy.control import Control
from metrics_store.legacy_format import record, stored
from metrics_store.phases.operator import Operator
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_BATCH = 2000


def name_rows(operator: Operator, there: Control, after: int, up_to: int) -> int:
    """Name the rows of the log after one and up to another; gives how many."""
    named, at = 0, after
    while True:
        reached, n = _named(operator, there, "phases.unexported", at, up_to)
        named += n
        if reached is None:
            return named
        at = int(str(reached))


def name_inflight(operator: Operator, there: Control) -> int:
    """Name what is in flight; gives how many."""
    named, at = 0, ""
    while True:
        reached, n = _named(operator, there, "phases.unexported_inflight", at)
        named += n
        if reached is None:
            return named
        at = str(reached)


def _named(operator: Operator, there: Control, name: str, *values: str | int) -> tuple[object, int]:
    def work(connection: Connection) -> tuple[object, int]:
        return _batch(connection, there, name, (*values, _BATCH))

    return operator.store().database.write(work)


def _batch(
    connection: Connection, there: Control, name: str, values: tuple[str | int, ...]
) -> tuple[object, int]:
    """Name one batch; gives the last row's number, None after the last batch, and how many."""
    run = connection.execute
    rows = run(query(name), values).fetchall()
    if not rows:
        return None, 0
    source = run(query("phases.source_id"), (there.json_file,)).fetchone()[0]
    taken: Counter[str] = Counter()
    for _, row_id, skill, invoked_at, path, legacy in rows:
        known = json.loads(legacy) if legacy else {}
        raw = known.get("invoked_at") or naive(clock.parse(invoked_at), there.zone)
        text = json.dumps({**known, "source": source, "invoked_at": raw, "beyond": True})
        own_id = row_id if legacy else _free_id(connection, skill, raw, path, taken)
        run(query("phases.add_exported"), (own_id, row_id, text))
    return rows[-1][0], len(rows)


def _free_id(
    connection: Connection, skill: str, raw: str, path: str | None, taken: Counter[str]
) -> str:
    """The id of the first record of a key that no row stands for yet."""
    key = record.key_of(skill, raw, path)
    while True:
        taken[key] += 1
        row_id = record.row_id(key, raw, taken[key])
        if not stored.by_id(connection, [row_id]):
            return row_id
