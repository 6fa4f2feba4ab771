"""The rollups and the paths that are searched, held against what the logs come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain

from metrics_store import families
from metrics_store.families import Family
from metrics_store.families.declaration import COLUMNS, KEY
from metrics_store.integrity.expected import Expected
from metrics_store.integrity.looking import Looking
from metrics_store.integrity.scratch import scratch
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

#: Log rows that are added up at once: what SQLite sorts of them is in memory.
_AT_ONCE = 100_000
_FETCHED = 2000
_PATHS = ("workflow_path", "skill_name")

Row = Sequence[Value]


def compare(looking: Looking, due: Expected, family: Family) -> int:
    """Add a family's log up anew, and compare it with the rollups that are kept."""
    own_paths = due.has("workflow_path") and family.table == "skill_invocation"
    if not own_paths and not is_used(looking.connection, due, family):
        return 0
    count = 0
    with scratch(due, "rollup", *(["workflow_path"] if own_paths else [])) as own:
        recompute(looking.connection, due, family, own, looking.tell)
        for scope in family.scopes():
            with in_order(looking.connection, scope) as kept, in_order(own, scope) as wanted:
                for found, should in merged(kept, wanted, len(KEY)):
                    count += 1
                    if found != should:
                        _differs(looking, found, should)
        if own_paths:
            _compare_paths(looking, own)
    return count


def is_used(connection: Connection, due: Expected, family: Family) -> bool:
    """Whether a family has rows or numbers: most stores use some families only."""
    retired = "rollup_retired" if due.has("rollup_retired") else "rollup"
    sql = query("integrity.is_used").format(table=family.table, retired=retired)
    return bool(connection.execute(sql, (json.dumps(family.scopes()),)).fetchone()[0])


def strangers(looking: Looking) -> int:
    """Look for rollups that are of no family."""
    scopes = json.dumps([scope for family in families.FAMILIES for scope in family.scopes()])
    found = looking.connection.execute(query("integrity.strangers"), (scopes,)).fetchall()
    for scope, count in found:
        detail = f"{count:,} numbers are kept of a scope that no family has"
        looking.derived("rollup_extra", detail, table="rollup", row=f"scope {scope}")
    return len(found)


def recompute(
    connection: Connection,
    due: Expected,
    family: Family,
    into: Connection,
    tell: Callable[[str, int, int], None],
) -> None:
    """Add a family's log up, piece by piece, into an empty ``rollup`` of another database.

    What retention has deleted of the log is added as it was kept.
    """
    if due.has("rollup_retired"):
        with as_bytes(connection):
            for scope in family.scopes():
                retired = connection.execute(query("integrity.retired"), (scope,))
                while some := retired.fetchmany(_FETCHED):
                    add(into, some)
    first, last = connection.execute(query("integrity.ends").format(table=family.table)).fetchone()
    if first is None:
        return
    # Not bytes: for those the binding looks for an adapter first, which takes longer than the rest.
    with _texts_as(connection, bytearray):
        start: int | None = first
        while start is not None:
            end = min(start + _AT_ONCE - 1, last)
            piece = family.recomputed(f"row.seq BETWEEN {start:d} AND {end:d}")
            rows = connection.execute(query("integrity.of_log").format(recomputed=piece))
            while some := rows.fetchmany(_FETCHED):
                add(into, some)
            tell("rollups", end - first + 1, last - first + 1)
            # From row to row: a flipped bit in a number may leave a gap of billions.
            following = query("integrity.first_after").format(table=family.table)
            start = connection.execute(following, (end,)).fetchone()[0]


def add(into: Connection, rows: Iterable[Row]) -> None:
    """Add rollup rows, texts as bytes, to those that are there."""
    into.executemany(query("integrity.add_up").format(columns=", ".join(COLUMNS)), rows)


def merged(
    kept: Iterator[Row], wanted: Iterator[Row], length: int
) -> Iterator[tuple[Row | None, Row | None]]:
    """Two sorted streams of rows, side by side where their keys are the same.

    Args:
        length: of the key, at the beginning of each row.
    """
    left, right = next(kept, None), next(wanted, None)
    while left is not None or right is not None:
        if left is not None and right is not None and left[:length] == right[:length]:
            yield left, right
            left, right = next(kept, None), next(wanted, None)
            continue
        here = None if left is None else _key(left[:length])
        there = None if right is None else _key(right[:length])
        if there is None or (here is not None and here < there):
            yield left, None
            left = next(kept, None)
        else:
            yield None, right
            right = next(wanted, None)


def _key(parts: Row) -> tuple[tuple[int, Value], ...]:
    # As SQLite sorts: NULL, numbers, texts by their bytes.
    return tuple(
        (0, 0) if part is None else (2 if isinstance(part, bytes) else 1, part) for part in parts
    )


@contextmanager
def in_order(connection: Connection, scope: str) -> Iterator[Iterator[Row]]:
    """The rollup rows of a scope in the order of their key."""
    with as_bytes(connection):
        yield connection.execute(
            query("integrity.rollups").format(columns=", ".join(COLUMNS)), (scope,)
        )


def as_bytes(connection: Connection) -> AbstractContextManager[None]:
    """For the block texts come as bytes: they sort as in the table, and need not be UTF-8."""
    return _texts_as(connection, bytes)


@contextmanager
def _texts_as(connection: Connection, kind: type[bytes] | type[bytearray]) -> Iterator[None]:
    factory = connection.text_factory
    connection.text_factory = kind
    try:
        yield
    finally:
        connection.text_factory = factory


def _differs(looking: Looking, found: Row | None, should: Row | None) -> None:
    row = found or should or ()
    where = ", ".join(
        f"{name} {shown(part)}" for name, part in zip(KEY, row, strict=False) if part != b""
    )
    if found is None:
        kind, detail = "rollup_missing", "the log comes to a number that is not kept"
    elif should is None:
        kind, detail = "rollup_extra", "a number is kept that nothing in the log comes to"
    else:
        kind = "rollup_differs"
        detail = "; ".join(
            f"{name} is {shown(here)}, the log comes to {shown(there)}"
            for name, here, there in zip(COLUMNS, found, should, strict=True)
            if here != there
        )
    looking.derived(kind, detail, table="rollup", row=where)


def _compare_paths(looking: Looking, own: Connection) -> None:
    """Compare the distinct paths that are searched with those of the log."""
    own.execute(query("integrity.fill_paths"))
    sql = query("integrity.paths")
    with as_bytes(looking.connection), as_bytes(own):
        pairs = merged(looking.connection.execute(sql), own.execute(sql), len(_PATHS))
        for found, should in pairs:
            if found is not None and should is not None:
                continue
            detail = (
                "the log has it, and it cannot be searched for"
                if found is None
                else "it can be searched for, and the log has it not"
            )
            row = " of ".join(shown(part) for part in chain(found or (), should or ()))
            looking.derived("search_paths", detail, table="workflow_path", row=row)


def shown(value: Value) -> str:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
        return text if len(text) <= 80 else f"{text[:80]} …"
    return "nothing" if value is None else str(value)
