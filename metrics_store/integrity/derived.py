"""Tables that a family's triggers keep beside the rollups, held against what the log comes to."""

from __future__ import annotations

from metrics_store.families import Derived
from metrics_store.integrity.looking import Looking
from metrics_store.integrity.rollups import as_bytes, shown
from metrics_store.sql import query

#: Differing rows that are named of each kind; more of them say nothing more.
_NAMED = 100


def compare(looking: Looking, table: Derived) -> int:
    """Compare a derived table with its log, row by row; gives how many rows it has."""
    ways = (
        ("derived_extra", table.kept, table.due, "it is kept, and the log does not come to it"),
        ("derived_missing", table.due, table.kept, "the log comes to it, and it is not kept"),
    )
    sql = query("integrity.only_in_one")
    with as_bytes(looking.connection):
        for kind, one, other, detail in ways:
            found = looking.connection.execute(sql.format(one=one, other=other, limit=_NAMED))
            for row in found.fetchall():
                said = ", ".join(shown(part) for part in row)
                looking.derived(kind, detail, table=table.table, row=said)
    count = query("integrity.count").format(table=table.table)
    return int(looking.connection.execute(count).fetchone()[0])
