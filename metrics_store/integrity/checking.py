"""Checking a store: everything that can be told of it without writing to it.

All of it is seen in one view, so that it goes together whoever writes meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from metrics_store import opening, sqlite
from metrics_store.clock import Clock
from metrics_store.errors import ReadError
from metrics_store.integrity import (
    access,
    contents,
    derived,
    expected,
    marks,
    objects,
    pages,
    rollups,
    search,
)
from metrics_store.integrity.access import How
from metrics_store.integrity.expected import Expected
from metrics_store.integrity.faults import FAULTS, NOT_A_DATABASE, cannot_open, lossless
from metrics_store.integrity.findings import CheckReport, Level
from metrics_store.integrity.looking import KEEP, Looking, Progress
from metrics_store.manifest import Manifest
from metrics_store.pragmas import APPLICATION_ID
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.write_ahead_log import State


def check_file(
    path: str | os.PathLike[str],
    *,
    level: Level = "standard",
    immutable: bool = False,
    manifests: Sequence[Manifest] = (),
    log_state: State | None = None,
    now_us: int | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a database file; it, its log and its folder are afterwards as they were.

    Args:
        path: the file.
        level: ``quick``, ``standard`` (all that SQL can do) or ``deep`` (the rows' digests too).
        immutable: it is a finished copy that nobody writes and that has no log.
        manifests: of backups that the log may be held against.
        log_state: what became of the log, if that is known; by default it is looked at.
        now_us: microseconds since 1970; by default now.
        progress: called with what is looked at, how far it is, and how far it goes.

    Raises:
        StoreNotFound, OpenError: it is no file.
        ReadError: it cannot be read, which says nothing about what is in it.
    """
    found = access.resolved(path)
    tell, now = progress or _silence, Clock().now_us() if now_us is None else now_us

    def once(how: How, log: State | None) -> CheckReport:
        # Where others may write there is more in the log than in the file.
        short = access.missing_end(found) if how == "immutable" else ""
        try:
            with access.reading(found, how) as connection:
                looking = Looking(connection, found, level, now, tell)
                return _run(looking, manifests, log, short)
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=False, where=found) from error

    try:
        if immutable:
            return once("immutable", log_state)
        entry = access.look(found)
        report = once(entry.how, log_state or entry.log)
        if entry.how != "shared" and opening.fingerprint(found) != entry.seen:
            return once("shared", log_state or entry.log)  # somebody wrote meanwhile
    except OSError as error:
        raise ReadError(f"{found}: {error.strerror or error}") from error
    return report


def check(
    connection: Connection,
    path: str,
    *,
    level: Level = "standard",
    manifests: Sequence[Manifest] = (),
    log_state: State | None = None,
    now_us: int | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a database on a connection; nothing is written.

    Args:
        connection: a reading one. Unless it is in a transaction, one is begun and ended.
        path: of the database, for the report.
        level, manifests, log_state, now_us, progress: as :func:`check_file`.

    Raises:
        Error: of SQLite, if the database cannot be read, which says nothing about what is in it.
    """
    now = Clock().now_us() if now_us is None else now_us
    return _run(Looking(connection, path, level, now, progress or _silence), manifests, log_state)


def _silence(what: str, done: int, total: int) -> None:
    pass


def _run(
    looking: Looking, manifests: Sequence[Manifest], log: State | None, short: str = ""
) -> CheckReport:
    connection = looking.connection
    own = not connection.in_transaction
    version, factory = None, connection.text_factory
    connection.text_factory = lossless
    try:
        if short:
            looking.error("page_damage", short, action=KEEP)
        version = _head(looking, begin=own)
        marks.log_state(looking, log)
        if version is not None:
            _parts(looking, version, manifests)
    finally:
        connection.text_factory = factory
        connection.execute("PRAGMA writable_schema = OFF")
        if own and connection.in_transaction:
            connection.execute("ROLLBACK")
    return CheckReport(
        looking.path,
        looking.level,
        version,
        looking.rows,
        looking.found.sorted(),
        tuple(looking.looked_at),
        looking.found.further(),
    )


def _head(looking: Looking, *, begin: bool) -> int | None:
    """Whose the file is, and its schema version; None if it is not to be read at all."""
    connection = looking.connection
    for again in (False, True):
        try:
            if again:
                # So that what can be read is read although the file is too short, or a part of the
                # schema cannot be understood. Nothing is written on this connection.
                connection.execute("PRAGMA writable_schema = ON")
            if begin and not connection.in_transaction:
                connection.execute("BEGIN")
            count = connection.execute(query("integrity.count_objects")).fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            encoding = connection.execute("PRAGMA encoding").fetchone()[0]
        except FAULTS as error:
            if not cannot_open(error):
                raise
            pages.unopenable(looking, error)
            if again or sqlite.code(error) == NOT_A_DATABASE:
                return None
        else:
            break
    if encoding != "UTF-8":
        looking.error("page_damage", f"the header says that texts are {encoding}", row="page 1")
    if application == APPLICATION_ID:
        return version
    said = f"its application id is {application}, ours is {APPLICATION_ID}"
    if not count:
        said = "it is empty"
    looking.error("not_a_store", said, action=f"Name another file, or: {KEEP}")
    ours = connection.execute(query("integrity.has_ledger")).fetchone()
    return version if ours else None


def _parts(looking: Looking, version: int, manifests: Sequence[Manifest]) -> None:
    with looking.part("schema", "objects") as part:
        known = objects.ledger(looking, version)
        if 0 < known <= expected.newest():
            looking.expected = expected.objects(known)
            part.count = objects.compare(looking, looking.expected)
    pages.check(looking)
    due = looking.expected
    if due is None:
        return
    with looking.part("rows of the logs", "rows") as part:
        part.count = looking.rows = contents.count(looking, due)
    with looking.part("backups' marks", "backups") as part:
        part.count = marks.high_water(looking, due, manifests)
    with looking.part("left-overs") as part:
        part.count = contents.left_over(looking, due)
    if looking.level != "quick":
        _derived(looking, due)


def _derived(looking: Looking, due: Expected) -> None:
    with looking.part("foreign keys") as part:
        part.count = contents.foreign_keys(looking)
    if due.has("bucket_bound"):
        with looking.part("bucket bounds", "bounds") as part:
            part.count = contents.bounds(looking, due)
    for family in due.families():
        if due.has(contents.inflight_table(family)):
            with looking.part(f"in flight: {family.name}", "invocations") as part:
                part.count = contents.in_flight(looking, due, family)
        if looking.level == "deep":
            with looking.part(f"digests: {family.table}", "rows", of_use=True) as part:
                part.count = contents.digests(looking, due, family)
        elif family.table in looking.broken:
            with looking.part(f"readable rows: {family.table}", "rows", of_use=True) as part:
                part.count = contents.readable(looking, due, family)
        with looking.part(f"rollups: {family.name}", "numbers", of_use=True) as part:
            part.count = rollups.compare(looking, due, family)
        for table in family.derived:
            with looking.part(f"derived: {table.table}", "rows", of_use=True) as part:
                part.count = derived.compare(looking, table)
    with looking.part("rollups of no family") as part:
        part.count = rollups.strangers(looking)
    for name, content in search.indexes(due):
        with looking.part(f"search: {content}", "texts") as part:
            part.count = search.index(looking, due, name, content)
