"""Making a private copy fit to go live: verified in full, of this version's schema, and marked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics_store import manifest, pragmas, schema, sqlite
from metrics_store.backup import describing
from metrics_store.backup.candidate import ANOTHER, MAGIC, Copied, as_one_file, no_space
from metrics_store.backup.copying import Progress
from metrics_store.backup.restoring_changes import side
from metrics_store.backup.restoring_report import Side
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import OpenError, ReadError, RestoreRefused, SchemaError, WriteError
from metrics_store.integrity.findings import CheckReport, Finding
from metrics_store.settings import Settings
from metrics_store.sql import query

_HEADER = 100
_FULL = 13  # SQLITE_FULL
#: Findings that are named in a refusal.
_NAMED = 3
_OF_COURSE = ("in_flight_without_process", "schema_older")
#: Directories of backups that a store remembers.
_REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Verified:
    """A private copy that may go live.

    Args:
        side: what it tells of itself, as it was in the file.
        findings: what the check found, in words: warnings, and errors where they were accepted.
    """

    side: Side
    findings: tuple[str, ...]


def verify(
    copied: Copied, clock: Clock, *, as_it_was: bool, progress: Progress | None = None
) -> Verified:
    """Check a private copy in full.

    Args:
        as_it_was: accept damage: the file is what was there before a restore, whatever it was.

    Raises:
        RestoreRefused: it is no store, one of a newer schema, damaged, or not as the migrations
            make it.
    """
    _require_a_store(copied)
    as_one_file(copied.path)
    report = describing.checked(copied.path, clock, progress)
    if report.errors and not as_it_was:
        raise _refused(copied.source, report)
    try:
        with describing.reading(copied.path) as connection:
            found = side(connection)
    except sqlite.Error as error:
        if not as_it_was:
            raise RestoreRefused(f"{copied.source}: {error}", hint=ANOTHER) from error
        found = Side()
    # That nobody works on what a copy has in flight goes without saying.
    notes = [finding for finding in report.findings if finding.kind not in _OF_COURSE]
    return Verified(found, tuple(named(finding) for finding in notes))


def _require_a_store(copied: Copied) -> None:
    """Refuse what is told at a glance, with a better word than a check has for it."""
    source = copied.source
    with copied.path.open("rb") as file:
        header = file.read(_HEADER)
    if not header.startswith(MAGIC) or len(header) < _HEADER:
        raise RestoreRefused(f"{source} is not an SQLite database", hint=ANOTHER)
    size = copied.path.stat().st_size
    page = int.from_bytes(header[16:18], "big")
    due = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
    # The number of pages counts if whoever wrote the header last knew of it.
    if header[24:28] == header[92:96] and size < due:
        raise RestoreRefused(f"{source} is cut off: it has {size:,} bytes of {due:,}", hint=ANOTHER)
    if int.from_bytes(header[68:72], "big") != pragmas.APPLICATION_ID:
        raise RestoreRefused(f"{source} is not a metrics store", hint=ANOTHER)
    version = int.from_bytes(header[60:64], "big")
    known = schema.latest(schema.migrations_directory())
    if version > known:
        raise RestoreRefused(
            f"{source} has schema {version}, this version knows {known}",
            hint="Upgrade the package: pip install -U metrics-store.",
        )
    if version == 0:
        raise RestoreRefused(f"{source} has no schema: it is a store without content", hint=ANOTHER)


def _refused(source: Path, report: CheckReport) -> RestoreRefused:
    errors = report.errors
    told = "; ".join(named(finding) for finding in errors[:_NAMED])
    more = len(errors) + sum(report.further.values()) - _NAMED
    return RestoreRefused(
        f"{source} is not whole: {told}{f'; and {more:,} more' if more > 0 else ''}",
        hint=f"{ANOTHER} Everything that is wrong with it: `metrics-store backup verify FILE`.",
    )


def named(finding: Finding) -> str:
    """A finding in one line."""
    about = " ".join(filter(None, (finding.table, finding.row)))
    return f"{finding.kind}{f' ({about})' if about else ''}: {finding.detail}"


def bring_up(
    copied: Copied,
    found: Side,
    clock: Clock,
    *,
    as_it_was: bool,
    progress: Progress | None = None,
) -> None:
    """Bring a private copy to this version's schema.

    Raises:
        RestoreRefused: its migrations do not agree with ours, or fail on it.
        NoSpace: there is no room for it.
    """
    known = schema.latest(schema.migrations_directory())
    if found.schema_version == known:
        return
    private = Settings(database=copied.path, durability="normal", allow_network_filesystem=True)
    try:
        database = Database(private, clock, create=False)
        try:
            schema.ensure(database)
        finally:
            database.close()
    except (SchemaError, OpenError, WriteError, ReadError) as error:
        raise RestoreRefused(
            f"{copied.source} cannot be brought to schema {known}: {error}",
            hint=error.hint or ANOTHER,
        ) from error
    # It makes a copy before it changes anything; here it is one of a copy.
    for left in copied.path.parent.glob(f"{copied.path.name}.before-schema-change-*"):
        left.unlink()
    as_one_file(copied.path)
    report = describing.checked(copied.path, clock, progress)
    if report.errors and not as_it_was:
        raise _refused(copied.source, report)


def mark(
    copied: Copied, properties: Mapping[str, str], page_size: int | None, remembered: Sequence[str]
) -> None:
    """Tell a private copy what it becomes.

    Args:
        properties: names and values to be noted.
        page_size: that its pages are to have; None leaves them as they are.
        remembered: directories with backups that the store had noted until now.

    Raises:
        RestoreRefused: it is too damaged even for that.
    """
    try:
        connection = sqlite.connect(str(copied.path))
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            found = int(connection.execute("PRAGMA page_size").fetchone()[0])
            connection.execute("BEGIN IMMEDIATE")
            known = [*dict.fromkeys((*remembered, *manifest.remembered(connection)))]
            directories = {"backup_directories": json.dumps(known[:_REMEMBERED])} if known else {}
            for name, value in {**properties, **directories}.items():
                connection.execute(query("restore.set_property"), (name, value))
            connection.execute("COMMIT")
            if page_size is not None and page_size != found:
                connection.execute(f"PRAGMA page_size = {page_size:d}")
                connection.execute("VACUUM")
        finally:
            connection.close()
    except sqlite.Error as error:
        if sqlite.code(error) == _FULL:
            raise no_space(copied.path, copied.size) from error
        raise RestoreRefused(f"{copied.source} is too damaged: {error}", hint=ANOTHER) from error
