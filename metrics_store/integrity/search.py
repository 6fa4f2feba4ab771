"""The full-text index, held against what it is of."""

from __future__ import annotations

from metrics_store import sqlite
from metrics_store.integrity.expected import Expected, is_virtual
from metrics_store.integrity.looking import Looking
from metrics_store.integrity.scratch import scratch
from metrics_store.sql import query

_FETCHED = 1000


def index(looking: Looking, due: Expected, name: str, content: str) -> int:
    """Let FTS5 check a full-text index, on a copy: its check is a statement that writes.

    Args:
        name: of the virtual table.
        content: the table whose texts it holds.
    """
    shadows = [table for table in due.shadows if table.startswith(f"{name}_")]
    count = 0
    with scratch(due, content, name) as own:
        for table in (content, *shadows):
            columns = ", ".join(due.columns[table])
            marks = ", ".join("?" * len(due.columns[table]))
            own.execute(query("integrity.empty").format(table=table))
            rows = looking.connection.execute(
                query("integrity.whole_table").format(table=table, columns=columns)
            )
            fill = query("integrity.fill").format(table=table, columns=columns, marks=marks)
            try:
                while some := rows.fetchmany(_FETCHED):
                    own.executemany(fill, some)
                    count += len(some) if table == content else 0
            except UnicodeEncodeError:
                looking.derived("search_index", "it holds what is no text", table=table)
                return count
        try:
            own.execute(query("integrity.check_search").format(table=name))
        except sqlite.DatabaseError as error:
            if sqlite.code(error) in (10, 13):
                raise
            detail = f"the full-text index is not that of {content}: {error}"
            looking.derived("search_index", detail, table=name)
    return count


def indexes(due: Expected) -> tuple[tuple[str, str], ...]:
    """The full-text indexes of a schema, each with the table that it is of."""
    return tuple(
        (o.name, o.name.removesuffix("_fts"))
        for o in due.objects.values()
        if is_virtual(o.sql) and o.name.endswith("_fts")
    )
