"""Executions in a DuckDB file: DuckDB opens that file alone, for reading, and never a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from importlib import import_module
from typing import Any

from metrics_store import clock, sqlite
from metrics_store.errors import InvalidValue, MissingExtra, SourceError
from metrics_store.executions.foreign import aware

_FETCHED = 1000
#: Rows of one query: DuckDB holds all that a query gives in memory.
_AT_ONCE = 4000
#: Nothing is fetched from elsewhere, whatever a view in the file says.
_CONFIG = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "512MB",
    "threads": "2",
}


def is_one(path: str) -> bool:
    """Whether a file is a DuckDB database, by its first bytes.

    Raises:
        SourceError: it cannot be read, or it is an SQLite database, perhaps a store.
    """
    try:
        # To open and close a store's file would drop this process's locks on it.
        with sqlite.without_connection(path) as free:
            head = b""
            if free:
                with open(path, "rb") as file:
                    head = file.read(16)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}", hint="Name a file that you may read.") from error
    if not free or head.startswith(b"SQLite format 3"):
        raise SourceError(
            f"{path} is an SQLite database", hint="Name a DuckDB file, or lines of JSON."
        )
    return head[8:12] == b"DUCK"


class DuckdbFile:
    """An open file."""

    def __init__(self, connection: Any, path: str, error: type[Exception]) -> None:
        self._connection, self._path, self._error = connection, path, error

    def rows(self) -> Iterator[tuple[str, Mapping[str, object] | str]]:
        """Each row of the table ``executions`` with its place.

        Raises:
            SourceError: there is none, or it cannot be read.
        """
        columns = self._columns("executions")
        if not columns:
            raise SourceError(
                f"{self._path} has no table executions", hint="Name the file that has it."
            )
        chosen = ", ".join(_expression(name, kind) for name, kind in columns)
        names = [name.lower() for name, _ in columns]
        narrow = [at for at, (_, kind) in enumerate(columns) if kind == "FLOAT"]
        for number, row in enumerate(self._rows(f"SELECT {chosen} FROM executions"), 1):
            values = list(row)
            for at in narrow:
                values[at] = None if values[at] is None else float(values[at])
            fields = dict(zip(names, values, strict=True))
            task_id = fields.get("task_id")
            place = f"row {number:,}" + ("" if task_id is None else f" ({task_id})")
            yield place, fields

    def _rows(self, sql: str) -> Iterator[Sequence[Any]]:
        """What a query gives of a table, piece by piece; of a view all at once."""
        tables = "SELECT count(*) FROM duckdb_tables() WHERE lower(table_name) = 'executions'"
        [(is_table,)] = self._read(tables)
        if not is_table:
            yield from self._read(sql)
            return
        [(last,)] = self._read("SELECT max(rowid) FROM executions")
        for start in range(0, -1 if last is None else last + 1, _AT_ONCE):
            yield from self._read(f"{sql} WHERE rowid BETWEEN {start} AND {start + _AT_ONCE - 1}")

    def metadata(self, zone: tzinfo) -> Iterator[tuple[str, str, int]]:
        """Key, value and microseconds since 1970 of each row of the table ``metadata``."""
        names = {name.lower() for name, _ in self._columns("metadata")}
        if not {"key", "value"} <= names:
            return
        moment = "updated_at" if "updated_at" in names else "NULL"
        texts = ", ".join(f"CAST({name} AS VARCHAR)" for name in ("key", "value", moment))
        sql = f"SELECT {texts} FROM metadata"
        for key, value, updated_at in self._read(sql):
            if key and value is not None:
                try:
                    us = (
                        clock.MIN_US
                        if updated_at is None
                        else clock.of_datetime(aware(updated_at, zone))
                    )
                except InvalidValue:
                    us = clock.MIN_US  # older than any other
                yield key, value, us

    def _columns(self, table: str) -> list[tuple[str, str]]:
        """The columns of a table of that name, with their types; none if it is not there."""
        sql = (
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE lower(table_name) = ? AND NOT internal ORDER BY column_index"
        )
        return [(str(name), str(kind)) for name, kind in self._read(sql, (table,))]

    def _read(self, sql: str, values: Sequence[str] = ()) -> Iterator[Sequence[Any]]:
        try:
            cursor = self._connection.cursor().execute(sql, values)
            while some := cursor.fetchmany(_FETCHED):
                yield from some
        except self._error as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceError(f"{self._path}: {first}") from error


@contextmanager
def opened(path: str) -> Iterator[DuckdbFile]:
    """Open a file for the length of the block.

    Raises:
        MissingExtra: the package ``duckdb`` is not installed.
        SourceError: it cannot be opened.
    """
    try:
        duckdb = import_module("duckdb")
    except ImportError as error:
        raise MissingExtra(
            f"{path} is a DuckDB file", hint="pip install 'metrics-store[duckdb]'"
        ) from error
    try:
        connection = duckdb.connect(path, read_only=True, config=_CONFIG)
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SourceError(
            f"{path}: {first}", hint="If a process has it open for writing, stop that first."
        ) from error
    try:
        yield DuckdbFile(connection, path, duckdb.Error)
    finally:
        connection.close()


def _expression(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if kind == "FLOAT":
        # Of 4 bytes: as text it is 0.1, as Python's float of 8 it would be 0.10000000149011612.
        return f"CAST({column} AS VARCHAR)"
    if kind == "TIMESTAMP WITH TIME ZONE":
        # As a Python value it would need the package pytz.
        return f"CAST({column} AT TIME ZONE 'UTC' AS VARCHAR) || '+00:00'"
    # As text, a moment past the year 9999 or at infinity is a row to refuse, and no failed fetch.
    is_moment = kind.startswith(("TIMESTAMP", "DATE"))
    return f"CAST({column} AS VARCHAR)" if is_moment or kind in ("UUID", "JSON") else column
