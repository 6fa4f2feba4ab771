"""The records of a key and the rows of that key: which says what which says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from metrics_store.legacy.likeness import is_legible
from metrics_store.legacy_format import stored
from metrics_store.legacy_format.record import Understood
from metrics_store.legacy_format.stored import StoredRow
from metrics_store.sqlite import Connection


def paired(
    records: Sequence[Understood], rows: Sequence[StoredRow]
) -> tuple[list[tuple[Understood, StoredRow]], list[tuple[Understood, StoredRow | None]]]:
    """Pair the records of a key with its rows: those that say the same, then the rest in order.

    Returns:
        Pairs that say the same, and the other records, each with the row that is left for it.
    """
    if not rows:
        return [], [(u, None) for u in records]
    legible: list[StoredRow] = []
    others: list[StoredRow] = []
    for row in rows:
        (legible if is_legible(row) else others).append(row)
    pairs, unpaired, free = stored.pair(records, legible)
    left = [records[i] for i in unpaired]
    rest = [*(legible[j] for j in free), *others]
    return [(records[i], legible[j]) for i, j in pairs], list(_in_order(left, rest))


def _in_order(
    records: list[Understood], rows: list[StoredRow]
) -> Iterator[tuple[Understood, StoredRow | None]]:
    """Unfinished records with ended rows first: that is no fault."""
    ended = [row for row in rows if not stored.is_pending(row)]
    in_flight = [row for row in rows if stored.is_pending(row)]
    for u in sorted(records, key=lambda u: not u.pending):
        fitting = (ended or in_flight) if u.pending else (in_flight or ended)
        yield u, fitting.pop(0) if fitting else None


def rows_of_keys(
    connection: Connection, groups: Sequence[Sequence[Understood]]
) -> Iterator[list[StoredRow]]:
    """The rows of some keys, by records of each, asked for at once; as :func:`rows_of_key`."""
    ids = [[u[0].id(n) for n in range(1, len(u) + 2)] for u in groups]
    found = stored.by_id(connection, [row_id for of_key in ids for row_id in of_key])
    for records, of_key in zip(groups, ids, strict=True):
        if of_key[-1] in found:
            yield rows_of_key(connection, records[0].id, len(of_key))
        else:
            yield [found[row_id] for row_id in of_key if row_id in found]


def rows_of_key(
    connection: Connection, id_of: Callable[[int], str], records: int
) -> list[StoredRow]:
    """The rows of a key by their ordinal, also beyond one that is missing.

    Args:
        id_of: gives the row's id by its ordinal, from 1 on.
        records: how many to look for at least.
    """
    rows: list[StoredRow] = []
    begin, step = 1, max(4, records)
    while True:
        ids = [id_of(ordinal) for ordinal in range(begin, begin + step)]
        found = stored.by_id(connection, ids)
        rows += [found[row_id] for row_id in ids if row_id in found]
        if ids[-1] not in found:
            return rows
        begin, step = begin + step, min(step * 4, 1000)
