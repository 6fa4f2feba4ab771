"""The full-text index, held against what it is of."""

from __future__ import annotations

from metrics_store import sqlite
from metrics_store.integrity.expected import Expected, is_virtual
from metrics_store.integrity.looking import Looking
from metrics_store.integrity.scratch import scratch
from metrics_store.sql import query
from metrics_store.sqlite import Connection

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
            wrong = _differs_from_a_new_one(own, name)
        except sqlite.DatabaseError as error:
            if sqlite.code(error) in (10, 13):
                raise
            wrong = str(error)
        if wrong:
            detail = f"the full-text index is not that of {content}: {wrong}"
            looking.derived("search_index", detail, table=name)
    return count


def _differs_from_a_new_one(own: Connection, name: str) -> str:
    """How an index differs from one made anew of the same texts; empty if it does not.

    FTS5 compares the sum of all entries with the sum of what the texts come to. A flipped bit in
    the places by which it jumps to a word passes, and then nothing is found by that word.
    """
    own.execute(query("integrity.words").format(table=name))
    _keep(own, name, "there")
    own.execute(query("integrity.rebuild_search").format(table=name))
    _keep(own, name, "anew")
    for one, other in (("there", "anew"), ("anew", "there")):
        sql = query("integrity.first_difference").format(one=one, other=other)
        if found := own.execute(sql).fetchone():
            return f"it says other things of the word {found[0]!r:.60}"
    return ""


def _keep(own: Connection, name: str, kept: str) -> None:
    """Write down what an index says: where every word is, and what is found by it."""
    own.execute(query("integrity.keep_places").format(kept=kept))
    words = [word for (word,) in own.execute(query("integrity.kept_words").format(kept=kept))]
    keep = query("integrity.keep_found").format(kept=kept, table=name)
    for word in words:
        quoted = word.replace('"', '""')
        own.execute(keep, (word, f'"{quoted}"'))


def indexes(due: Expected) -> tuple[tuple[str, str], ...]:
    """The full-text indexes of a schema, each with the table that it is of."""
    return tuple(
        (o.name, o.name.removesuffix("_fts"))
        for o in due.objects.values()
        if is_virtual(o.sql) and o.name.endswith("_fts")
    )
