"""What a restore changes: rows lost and gained by id and digest, and what a database is."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from metrics_store import families, manifest, sqlite
from metrics_store.backup.restoring_report import LogChange, Side, Staged
from metrics_store.families.declaration import Family
from metrics_store.sql import query
from metrics_store.sqlite import Connection


class _Span(NamedTuple):
    """Rows that one database has and another has not, and their first and last moment."""

    rows: int | None = None
    first_at: str | None = None
    last_at: str | None = None


def side(connection: Connection) -> Side:
    """A database, as far as it tells of itself.

    Raises:
        sqlite.Error: it cannot be read.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    in_flight = None
    if _has(connection, "main", "skill_inflight"):
        in_flight = int(connection.execute(query("restore.in_flight")).fetchone()[0])
    staged: tuple[Staged, ...] = ()
    if _has(connection, "main", "legacy_migration"):
        staged = tuple(Staged(*row) for row in connection.execute(query("restore.staged")))
    return Side(
        schema_version=version,
        store_id=manifest.property_of(connection, "store_id"),
        generation=manifest.property_of(connection, "generation"),
        in_flight=in_flight,
        staged=staged,
    )


def compared(here: Connection, there: str) -> tuple[LogChange, ...]:
    """What becomes of each log.

    Args:
        here: a connection to what is to be replaced; it is closed in the end.
        there: what takes its place.

    Raises:
        sqlite.Error: the latter cannot be opened.
    """
    try:
        # Whatever stands in a schema that somebody edited, no function of it is run.
        if sqlite.json_works_untrusted():
            here.execute("PRAGMA trusted_schema = OFF")
        here.execute(query("restore.attach"), (there,))
        here.execute("BEGIN")
        return tuple(_log(here, family) for family in families.FAMILIES)
    finally:
        here.close()


def _log(connection: Connection, family: Family) -> LogChange:
    # What is damaged says nothing, rather than something wrong.
    before, after = (_rows(connection, family, schema) for schema in ("main", "there"))
    lost = gained = _Span()
    if before is not None and after is not None:
        with suppress(sqlite.DatabaseError):
            lost = _only_in(connection, family, "main", "there")
            gained = _only_in(connection, family, "there", "main")
    return LogChange(family.table, before, after, *lost, *gained)


def _rows(connection: Connection, family: Family, schema: str) -> int | None:
    sql = query("restore.rows").replace("{schema}", schema).replace("{table}", family.table)
    try:
        if not _has(connection, schema, family.table):
            return 0
        return int(connection.execute(sql).fetchone()[0])
    except sqlite.DatabaseError as error:
        if sqlite.is_busy(error):
            raise
        return None


def _only_in(connection: Connection, family: Family, one: str, other: str) -> _Span:
    if not _has(connection, one, family.table):
        return _Span(0)
    if not _has(connection, other, family.table):
        return _Span(_rows(connection, family, one))
    sql = query("restore.rows_of_one")
    words = {"one": one, "other": other, "table": family.table, "moment": family.moment}
    for word, text in words.items():
        sql = sql.replace(f"{{{word}}}", text)
    return _Span(*connection.execute(sql).fetchone())


def _has(connection: Connection, schema: str, table: str) -> bool:
    sql = query("restore.has_table").replace("{schema}", schema)
    return connection.execute(sql, (table,)).fetchone() is not None
