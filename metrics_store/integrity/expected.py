"""What a database of a schema version should hold: the migrations, run in a database in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from metrics_store import families, schema, sqlite
from metrics_store.families import Family
from metrics_store.sql import query
from metrics_store.sqlite import Connection

Type = Literal["table", "index", "trigger", "view"]

#: Tables that hold nothing but what follows from the logs or from the migrations, or what lasts no
#: longer than a transaction: a repair may make them anew.
_DERIVED = frozenset(
    {
        "rollup",
        "rollup_deferred",
        "retention_permit",
        "bucket_bound",
        "workflow_path",
        "workflow_path_fts",
    }
)


def is_derived(table: str) -> bool:
    """Whether a repair may make a table anew although nothing of it is left."""
    return table in _DERIVED or any(
        table == other.table and other.whole
        for family in families.FAMILIES
        for other in family.derived
    )


class Object(NamedTuple):
    """A table, index, trigger or view.

    Args:
        type: which of them.
        name: its name.
        table: the table it belongs to.
        sql: what made it; empty for an index that is part of its table.
    """

    type: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the migrations make.

    Args:
        version: of the schema.
        objects: by type and name, in the order of their making.
        shadows: tables in which a virtual table keeps its content.
        columns: of each table, the columns that are stored, in their order.
        ledger: version, description and checksum of each migration.
        bounds: the rows of ``bucket_bound``.
    """

    version: int
    objects: Mapping[tuple[str, str], Object]
    shadows: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]
    ledger: tuple[tuple[int, str, str], ...]
    bounds: tuple[tuple[int, int], ...]

    def has(self, table: str) -> bool:
        """Whether there is a table of a name."""
        return ("table", table) in self.objects

    def families(self) -> tuple[Family, ...]:
        """The families whose log the schema has."""
        return tuple(family for family in families.FAMILIES if self.has(family.table))

    def content(self, table: str) -> tuple[str, ...]:
        """The columns of a log that its digest is of."""
        return tuple(name for name in self.columns[table] if name not in ("seq", "digest"))


def newest() -> int:
    """The newest schema version this package knows."""
    return schema.latest(schema.migrations_directory())


@cache
def objects(version: int, directory: Path | None = None) -> Expected:
    """What the migrations up to a version make.

    Args:
        version: from 1 to the newest one.
        directory: of the migrations; by default the package's own.
    """
    from metrics_store import yoyo_backend  # 90 ms

    files = yoyo_backend.read(directory or schema.migrations_directory())[:version]
    connection: Connection = sqlite.binding.connect(":memory:", isolation_level=None)
    try:
        connection.execute("BEGIN")
        for file in files:
            file.apply(connection)
        found = read(connection)
        tables = [name for type, name in found if type == "table"]
        return Expected(
            version=version,
            objects=found,
            shadows=frozenset(shadows(list(found.values()))),
            columns={table: _stored(connection, table) for table in tables},
            ledger=tuple((file.version, file.description, file.checksum) for file in files),
            bounds=tuple(connection.execute(query("integrity.bounds")).fetchall()),
        )
    finally:
        connection.close()


def read(connection: Connection) -> dict[tuple[str, str], Object]:
    """The objects of a database, but not the statistics that SQLite keeps."""
    rows = connection.execute(query("integrity.objects")).fetchall()
    # In a damaged schema they need not be texts.
    found = [Object(*map(str, row)) for row in rows]
    return {(one.type, one.name): one for one in found}


def shadows(found: Sequence[Object]) -> list[str]:
    """Tables that belong to a virtual table, by their names."""
    virtual = [o.name for o in found if o.type == "table" and is_virtual(o.sql)]
    return [
        o.name
        for o in found
        if o.type == "table" and any(o.name.startswith(f"{name}_") for name in virtual)
    ]


def is_virtual(sql: str) -> bool:
    """Whether a table's SQL is that of a virtual table."""
    return sql[:20].lower() == "create virtual table"


def _stored(connection: Connection, table: str) -> tuple[str, ...]:
    # A generated column is hidden: 2 or 3.
    rows = connection.execute(query("integrity.columns"), (table,)).fetchall()
    return tuple(name for name, hidden in rows if hidden == 0)
