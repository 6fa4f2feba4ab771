"""Making a backup: copied as of one moment, checked in full, and only then given its name."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from metrics_store import clock, manifest, schema, sqlite
from metrics_store.backup import copying, describing, keeping, place
from metrics_store.backup.copying import Progress
from metrics_store.backup.keeping import Keep, Owner, Pruned
from metrics_store.backup.place import Place
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import BackupError, BackupNotWhole, MetricsStoreError
from metrics_store.integrity.findings import CheckReport
from metrics_store.manifest import Manifest
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.waiting import at_most

#: Seconds that noting a directory in the store may wait for its lock.
_PATIENCE = 0.25
_REMEMBERED = 8
#: Of 19: the check of the copy takes a processor, and whoever writes goes first.
_NICE = 10


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made.

    Args:
        path: the file.
        manifest: what lies beside it.
        report: of the check it passed; of a copy for safety, of the check it got.
        seconds: how long all of it took.
        copied_in: how long the store was read, in seconds.
        left_overs: what killed runs had left in the directory, and was removed.
        notes: what somebody should know, in sentences.
        pruned: what the rules let go; None if no rules were given.
    """

    path: Path
    manifest: Manifest
    report: CheckReport
    seconds: float
    copied_in: float
    left_overs: tuple[Path, ...]
    notes: tuple[str, ...]
    pruned: Pruned | None = None


def create(
    database: Database,
    directory: Path | None = None,
    *,
    keep: Keep | None = None,
    reason: str = manifest.ORDINARY,
    gently: bool = False,
    progress: Progress | None = None,
) -> Backup:
    """Back a store up, whatever its schema, while others write.

    Args:
        database: may be open for reading alone.
        directory: made if it is not there; None is the configured one.
        keep: rules by which older ordinary backups in the directory are deleted then; None keeps
            all.
        reason: one of :data:`manifest.REASONS`. A copy for safety is kept even if the check finds
            damage in it; its manifest says how much.
        gently: check the copy with low priority; for a process that does nothing else, which keeps
            it to its end.
        progress: told how far it is.

    Raises:
        BackupNotWhole: the check found damage; nothing was kept.
        NoSpace: there is no room for it.
        BackupError: it cannot be made there.
    """
    began = database.clock.monotonic_us()
    us = database.clock.now_us()
    wanted = database.settings.backups if directory is None else directory
    with place.opened(wanted, us) as there:
        path = there.reserve(database.path, us)
        try:
            copied_in = _copy(database, there, path, progress)
            if gently and hasattr(os, "nice"):
                # Not before: while the store is read, its log grows.
                os.nice(_NICE)
            known = _known(path.name, database.path, reason, us)
            held, report = describing.described(
                place.temporary_of(path), known, database.clock, progress
            )
            if held.findings and reason not in manifest.SAFETY:
                raise _not_whole(database.path, report)
            manifest.write(held, path)
            there.publish(path)
        except BaseException as error:
            with suppress(OSError):  # what stays, the next run removes
                there.discard(path)
            if isinstance(error, OSError):
                raise place.failed(error, path) from error
            raise
    pruned = None
    if keep is not None:
        owner = Owner(held.store_id, held.source)
        pruned = keeping.prune(there.directory, keep, owner, us, execute=True, made=path)
    seconds = (database.clock.monotonic_us() - began) / clock.MICROSECONDS
    notes = (*_notes(held, report, there), *_remember(database, there.directory))
    return Backup(path, held, report, seconds, copied_in, there.left_overs, notes, pruned)


def adopt(
    copy: Path,
    *,
    source: str,
    reason: str,
    made_us: int,
    clock: Clock,
    progress: Progress | None = None,
) -> Manifest:
    """Put a manifest beside a copy of a store that was made elsewhere, once it has been checked.

    Args:
        copy: nobody writes to it any more.
        source: absolute path of the store it is of.
        reason: one of :data:`manifest.REASONS`.
        made_us: when it was made, microseconds since 1970.

    Raises:
        BackupNotWhole: the check found damage; there is no manifest.
        BackupError: it cannot be read, or the manifest not be written.
    """
    known = _known(copy.name, source, reason, made_us)
    held, report = describing.described(copy, known, clock, progress)
    if held.findings and reason not in manifest.SAFETY:
        raise _not_whole(str(copy), report)
    try:
        manifest.write(held, copy)
    except OSError as error:
        raise place.failed(error, manifest.path_of(copy)) from error
    return held


def _copy(database: Database, there: Place, path: Path, progress: Progress | None) -> float:
    began = database.clock.monotonic_us()
    with database.read(check_schema=False) as connection:
        there.require(copying.size_of(connection))
        copying.copy(
            connection,
            place.temporary_of(path),
            database.path,
            clock=database.clock,
            patience=database.settings.busy_timeout,
            progress=progress,
        )
    return (database.clock.monotonic_us() - began) / clock.MICROSECONDS


def _known(name: str, source: str, reason: str, us: int) -> Manifest:
    # The package itself is loaded, for we are inside it.
    package = str(getattr(sys.modules["metrics_store"], "__version__", ""))
    return Manifest(
        file=name,
        sha256="",
        size=0,
        made_at=clock.text(us),
        source=source,
        store_id="",
        generation="",
        reason=reason,
        schema_version=0,
        sqlite_version=sqlite.version,
        package_version=package,
        logs=(),
        in_flight=0,
        findings=0,
    )


def _not_whole(where: str, report: CheckReport) -> BackupNotWhole:
    found = describing.damage(report)
    told = "; ".join(f"{finding.kind}: {finding.detail}" for finding in found[:3])
    more = f"; and {len(found) - 3:,} more" if len(found) > 3 else ""
    return BackupNotWhole(f"{where}: {told}{more}")


def _notes(held: Manifest, report: CheckReport, there: Place) -> tuple[str, ...]:
    notes = []
    if describing.NEWER in report.kinds:
        notes.append(
            "Its schema is newer than this version of metrics_store: only SQLite's own checks "
            "were made of it."
        )
    if held.findings:
        notes.append(f"The check found {held.findings:,} errors in it; it was kept for safety.")
    notes += [f"What a killed run left cannot be removed: {path}" for path in there.stuck]
    return tuple(notes)


def _remember(database: Database, directory: Path) -> tuple[str, ...]:
    """Note in the store that backups lie in another directory; gives why it could not be."""
    if str(directory) == os.path.realpath(database.settings.backups):
        return ()
    try:
        with database.read(check_schema=False) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            before = manifest.remembered(connection)
        if before[:1] == (str(directory),):
            return ()
        if database.read_only or not 0 < version <= schema.latest(schema.migrations_directory()):
            raise BackupError("it is only read")
        others = [text for text in before if text != str(directory)]
        value = json.dumps([str(directory), *others][:_REMEMBERED])

        def note(connection: Connection) -> None:
            connection.execute(query("backup.set_property"), ("backup_directories", value))

        with at_most(_PATIENCE):
            database.write(note, check_schema=False)
    except MetricsStoreError as error:
        return (f"The store did not take note of the directory: {error.detail or error.message}.",)
    return ()
