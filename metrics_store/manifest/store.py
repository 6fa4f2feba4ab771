"""What a database itself tells for a manifest: who it is, and how far its logs go."""

from __future__ import annotations

from metrics_store import families
from metrics_store.manifest.document import LogMark
from metrics_store.sql import query
from metrics_store.sqlite import Connection


def marks(connection: Connection) -> tuple[LogMark, ...]:
    """How far each log of a database goes; a table that its schema has not got is left out."""
    found = []
    for family in families.FAMILIES:
        if not connection.execute(query("backup.has_table"), (family.table,)).fetchone():
            continue
        sql = query("backup.log_mark").replace("{table}", family.table)
        rows, seq, name, digest = connection.execute(sql).fetchone() or (0, 0, "", "")
        found.append(LogMark(family.table, rows, seq, str(name), str(digest)))
    return tuple(found)


def property_of(connection: Connection, name: str) -> str | None:
    """A property of a store: its id, its generation; None if its schema has none."""
    if not connection.execute(query("backup.has_table"), ("store_property",)).fetchone():
        return None
    row = connection.execute(query("backup.property"), (name,)).fetchone()
    return None if row is None else str(row[0])
