"""The steps of a repair, each of which makes one thing anew within the repair's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from metrics_store import families, sqlite
from metrics_store.families import Family
from metrics_store.integrity import contents, expected, rollups, search
from metrics_store.integrity.expected import Expected, Object, is_derived
from metrics_store.integrity.looking import Progress
from metrics_store.integrity.scratch import scratch
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_AT_ONCE = 2000

Objects = dict[tuple[str, str], Object]


@dataclass(frozen=True, slots=True)
class Mended(Result):
    """One thing that was made anew.

    Args:
        what: what was done.
        table: the table, index, view or trigger.
        count: rows that it has now, or that were taken out; 0 where nothing is counted.
        was: the SQL of what was dropped; empty if nothing was.
    """

    what: str
    table: str
    count: int = 0
    was: str = ""


@dataclass(slots=True)
class Mending:
    """A repair under way.

    Args:
        connection: in the repair's transaction.
        due: what the migrations make.
        tell: called with how far it is.
        remade: tables that were made anew and are empty still.
    """

    connection: Connection
    due: Expected
    tell: Progress
    remade: set[str] = field(default_factory=set)

    def run(self, named: str, /, *values: object, **names: str) -> int:
        """Run a named query, names in it quoted; gives how many rows it changed."""
        quoted = {key: f'"{value.replace(chr(34), chr(34) * 2)}"' for key, value in names.items()}
        return self.connection.execute(
            query(f"integrity.{named}").format(**quoted), values
        ).rowcount


def forgotten(mending: Mending, names: Iterable[str]) -> Iterator[Mended]:
    """Take out of the schema what cannot be read, and so not be dropped, to be made anew.

    Its pages belong to nothing until the file is written anew.
    """
    due = mending.due
    for name in names:
        virtual = [
            o.name
            for o in due.objects.values()
            if expected.is_virtual(o.sql) and name in due.shadows and name.startswith(f"{o.name}_")
        ]
        together = [name, *virtual]
        together += [s for table in virtual for s in due.shadows if s.startswith(f"{table}_")]
        with _writable_schema(mending.connection):
            for one in together:
                mending.run("forget", one)
        yield Mended("given up what could not be read", name)


@contextmanager
def _writable_schema(connection: Connection) -> Iterator[None]:
    connection.execute("PRAGMA writable_schema = ON")
    try:
        yield
    finally:
        connection.execute("PRAGMA writable_schema = RESET")
    # So that every connection reads the schema anew.
    number = connection.execute("PRAGMA schema_version").fetchone()[0]
    connection.execute(f"PRAGMA schema_version = {number + 1:d}")


def schema(mending: Mending) -> Iterator[Mended]:
    """Drop triggers and views that no migration makes, make anew what is missing or altered."""
    before = expected.read(mending.connection)
    due = mending.due.objects
    for key, found in before.items():
        # An index that is none of ours is somebody's; one without SQL is part of its table.
        ours = found.type in ("trigger", "view") or (key in due and found.sql)
        if found.type != "table" and ours and found != due.get(key):
            mending.run(f"drop_{found.type}", name=found.name)
            if key not in due:
                yield Mended(f"dropped the {found.type}", found.name, was=found.sql)
    for wanted in due.values():
        if is_derived(wanted.name) and not _is_whole(mending.due, wanted, before):
            _drop_table(mending, wanted.name, before)
            mending.remade.add(wanted.name)
    now = expected.read(mending.connection)
    for key, wanted in due.items():
        if key in now or wanted.name in mending.due.shadows or not wanted.sql:
            continue
        holds_data = wanted.type == "table" and not is_derived(wanted.name)
        homes = [("table", wanted.table), ("view", wanted.table)]
        homeless = wanted.type in ("index", "trigger") and not any(home in now for home in homes)
        if holds_data or homeless:
            continue  # what was in a table cannot be made anew
        mending.connection.execute(wanted.sql)
        now[key] = wanted
        was = before[key].sql if key in before and before[key] != wanted else ""
        yield Mended(f"made the {wanted.type} anew", wanted.name, was=was)


def _is_whole(due: Expected, wanted: Object, there: Objects) -> bool:
    if wanted.type != "table":
        return True
    names = [wanted.name, *(name for name in due.shadows if name.startswith(f"{wanted.name}_"))]
    return all(there.get(("table", name)) == due.objects["table", name] for name in names)


def _drop_table(mending: Mending, name: str, there: Objects) -> None:
    shadows = [o for o in mending.due.shadows if o.startswith(f"{name}_") and ("table", o) in there]
    is_virtual = expected.is_virtual(mending.due.objects["table", name].sql)
    if ("table", name) in there:
        try:
            mending.run("drop_table", name=name)
        except sqlite.DatabaseError:
            if not is_virtual:
                raise
            # A virtual table without all its tables cannot be opened, and so not be dropped. Its
            # line in the schema has no pages.
            with _writable_schema(mending.connection):
                mending.run("forget_virtual", name)
    for shadow in shadows if is_virtual else ():
        mending.run("drop_table_if_there", name=shadow)


def version(mending: Mending) -> Iterator[Mended]:
    """Let ``user_version`` say what the ledger says."""
    mending.connection.execute(f"PRAGMA user_version = {mending.due.version:d}")
    yield Mended(f"set user_version to {mending.due.version}", "schema_migrations")


def left_overs(mending: Mending) -> Iterator[Mended]:
    """Take out what should have lasted no longer than a transaction."""
    for table in contents.PASSING:
        if mending.due.has(table) and (count := mending.run("empty", table=table)):
            yield Mended("taken out what was left over", table, count)


def bounds(mending: Mending) -> Iterator[Mended]:
    """Make the buckets' bounds anew."""
    mending.run("empty", table="bucket_bound")
    mending.connection.executemany(query("integrity.add_bound"), mending.due.bounds)
    yield Mended("made anew", "bucket_bound", len(mending.due.bounds))


def properties(mending: Mending) -> Iterator[Mended]:
    """Give the store an id and a generation, whichever is missing."""
    if count := mending.run("add_properties"):
        yield Mended("given the store a new identity", "store_property", count)


def indexes(mending: Mending, names: Iterable[str]) -> Iterator[Mended]:
    """Build indexes anew from their tables."""
    for name in names:
        mending.tell(f"index {name}", 0, 0)
        mending.run("reindex", name=name)
        yield Mended("built the index anew", name)


def in_flight(mending: Mending, family: Family) -> Iterator[Mended]:
    """Take out of flight what has ended."""
    table = contents.inflight_table(family)
    if mending.due.has(table) and (count := mending.run("land", table=table, log=family.table)):
        yield Mended("taken out of flight what has ended", table, count)


def numbers(mending: Mending, family: Family, *, paths: bool) -> Iterator[Mended]:
    """Add a family's log up anew, into its rollups and, if asked, the paths that are searched."""
    if not paths and not rollups.is_used(mending.connection, mending.due, family):
        return
    with scratch(mending.due, "rollup", "workflow_path") as own:
        rollups.recompute(mending.connection, mending.due, family, own, mending.tell)
        count = 0
        for scope in family.scopes():
            mending.run("drop_scope", scope)
            with rollups.in_order(own, scope) as rows:
                while some := list(islice(rows, _AT_ONCE)):
                    rollups.add(mending.connection, some)
                    count += len(some)
        yield Mended(f"added up anew: {family.name}", "rollup", count)
        if paths:
            own.execute(query("integrity.fill_paths"))
            mending.run("empty", table="workflow_path")
            with rollups.as_bytes(own):
                found = own.execute(query("integrity.paths")).fetchall()
            mending.connection.executemany(query("integrity.add_path"), found)
            yield Mended("made anew from the log", "workflow_path", len(found))


def derived(mending: Mending, family: Family) -> Iterator[Mended]:
    """Make a family's further tables anew."""
    for table in family.derived:
        for statement in table.rebuild:
            mending.connection.execute(statement)
        sql = query("integrity.count").format(table=table.table)
        count = mending.connection.execute(sql).fetchone()[0]
        yield Mended("made anew from the log", table.table, count)


def strangers(mending: Mending) -> Iterator[Mended]:
    """Take out rollups that are of no family."""
    scopes = [scope for family in families.FAMILIES for scope in family.scopes()]
    if count := mending.run("drop_strangers", json.dumps(scopes)):
        yield Mended("taken out what is of no family", "rollup", count)


def search_indexes(mending: Mending) -> Iterator[Mended]:
    """Build the full-text indexes anew."""
    for name, content in search.indexes(mending.due):
        mending.run("rebuild_search", table=name)
        count = mending.connection.execute(
            query("integrity.count").format(table=content)
        ).fetchone()[0]
        yield Mended("built the full-text index anew", name, count)
