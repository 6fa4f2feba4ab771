"""The schema's versions: what is applied, what is pending, and going there and back.

Opening a store that is up to date reads ``user_version`` only; yoyo is imported when something is
pending.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from metrics_store import clock, pragmas, sqlite
from metrics_store.connection import Database
from metrics_store.errors import (
    CorruptStore,
    NoMigrations,
    NoSpace,
    SchemaDrift,
    SchemaError,
    SchemaNewer,
    StoreNotWritable,
    UnknownMigration,
)

if TYPE_CHECKING:
    from metrics_store.sqlite import Connection
    from metrics_store.yoyo_backend import MigrationFile


@dataclass(frozen=True, slots=True)
class Applied:
    """A line of the ledger.

    Args:
        version: the migration's number.
        applied_at: UTC text.
        description: the words of its file name.
        checksum: SHA-256 of its file when it was applied.
    """

    version: int
    applied_at: str
    description: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Status:
    """What a database has and what this version of the package would add.

    Args:
        version: the database's ``user_version``.
        latest: the newest migration this package has.
        applied: the ledger, oldest first.
        pending: names of the migrations not applied yet, in their order.
    """

    version: int
    latest: int
    applied: tuple[Applied, ...]
    pending: tuple[str, ...]


def migrations_directory() -> Path:
    """Where the migrations lie: in the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "migrations"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "migrations"


@cache
def latest(directory: Path) -> int:
    """The newest migration of a directory.

    Raises:
        NoMigrations: there is none.
    """
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise NoMigrations(f"{directory}: {error.strerror}") from error
    numbers = [
        int(name[:4])
        for name in names
        if name.endswith(".sql") and not name.endswith(".rollback.sql") and name[:4].isdigit()
    ]
    if not numbers:
        raise NoMigrations(str(directory))
    return max(numbers)


def ensure(database: Database, directory: Path | None = None, found: int | None = None) -> None:
    """Bring a database to the newest schema, and refuse one that is newer.

    Args:
        found: its version, if that was read a moment ago.

    Raises:
        SchemaNewer: it was made by a newer version of the package.
        SchemaDrift, UnknownMigration: its ledger does not agree with the files.
        MigrationFailed: nothing of the failed migration was kept.
    """
    directory = directory or migrations_directory()
    known = latest(directory)
    found = version(database) if found is None else found
    if found > known:
        raise SchemaNewer(f"{database.path} has schema {found}, this version knows {known}")
    if found < known and database.read_only:
        raise SchemaError(
            f"{database.path} has schema {found}, this version {known}",
            hint="Open it once where it can be written: metrics-store schema apply.",
        )
    if found < known:
        apply(database, directory)
    database.schema_version = known


def version(database: Database) -> int:
    """The database's ``user_version``: 0 for a new file."""
    with database.read(check_schema=False) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def status(database: Database, directory: Path | None = None) -> Status:
    """Compare the ledger with the files.

    Raises:
        SchemaNewer, SchemaDrift, UnknownMigration, NoMigrations: as :func:`ensure`.
    """
    directory = directory or migrations_directory()
    files = _files(directory)
    with database.read(check_schema=False) as connection:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        applied = _ledger(connection)
    _compare(files, applied, found, database.path)
    return Status(
        version=found,
        latest=files[-1].version,
        applied=applied,
        pending=tuple(file.name for file in files[len(applied) :]),
    )


def apply(database: Database, directory: Path | None = None) -> tuple[str, ...]:
    """Apply what is pending, all of it in one transaction.

    A database that already has records is backed up first, beside itself.

    Returns:
        The names of the migrations that were applied.

    Raises:
        As :func:`ensure`.
    """
    directory = directory or migrations_directory()
    files = _files(directory)
    # Of one look: between two of them another process may have made the new file a store.
    there = status(database, directory)
    if there.pending and there.version > 0:
        back_up(database)

    def work(connection: Connection) -> tuple[str, ...]:
        # Another process may have been here since: look again under the lock.
        applied = _ledger(connection)
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        _compare(files, applied, found, database.path)
        todo = files[len(applied) :]
        for file in todo:
            file.apply(connection)
            connection.execute(
                "INSERT INTO schema_migrations (version, applied_at, description, checksum) "
                "VALUES (?, ?, ?, ?)",
                (
                    file.version,
                    clock.text(database.clock.now_us()),
                    file.description,
                    file.checksum,
                ),
            )
        if todo:
            _stamp(connection, todo[-1].version)
        return tuple(file.name for file in todo)

    done = database.write(work, check_schema=False)
    database.schema_version = files[-1].version
    database.renew_writer()
    return done


def roll_back(database: Database, to: int, directory: Path | None = None) -> tuple[str, ...]:
    """Take migrations back, newest first, until the schema is at a version.

    Args:
        to: the version to end at; 0 empties the database.

    Returns:
        The names of the migrations that were taken back.

    Raises:
        SchemaError: the version is not below the present one.
        MigrationFailed: nothing was changed.
    """
    directory = directory or migrations_directory()
    files = _files(directory)
    present = status(database, directory).version
    if not 0 <= to <= present:
        raise SchemaError(
            f"cannot go back from {present} to {to}", hint=f"Name a version from 0 to {present}."
        )
    back_up(database)

    def work(connection: Connection) -> tuple[str, ...]:
        applied = _ledger(connection)
        undo = [file for file in reversed(files[: len(applied)]) if file.version > to]
        for file in undo:
            if file.version > 1:
                connection.execute(
                    "DELETE FROM schema_migrations WHERE version = ?", (file.version,)
                )
            file.roll_back(connection)
        if undo:
            _stamp(connection, to)
        return tuple(file.name for file in undo)

    done = database.write(work, check_schema=False)
    database.schema_version = to
    return done


def back_up(database: Database) -> Path:
    """Copy the database beside itself with SQLite's online backup, in one step, and check it.

    Returns:
        The copy: ``NAME.before-schema-change-TIME``.

    Raises:
        NoSpace: the disk has no room for it.
    """
    moment = clock.stamp(database.clock.now_us())
    target = Path(f"{database.path}.before-schema-change-{moment}")
    n = 1
    while target.exists():
        n += 1
        target = Path(f"{database.path}.before-schema-change-{moment}-{n}")
    copy_database(database, target)
    return target


def copy_database(database: Database, target: Path) -> None:
    """Copy a database with SQLite's online backup, in one step, and check the copy.

    Args:
        target: a file that is not there yet; made with mode 0600.

    Raises:
        NoSpace: the disk has no room for it.
        StoreNotWritable: the copy cannot be made.
        CorruptStore: the copy is damaged, and so is the database.
    """
    try:
        size = os.stat(database.path).st_size
        if shutil.disk_usage(target.parent).free < size + (1 << 20):
            raise NoSpace(f"{target} needs {size} bytes", hint="Free some space, then try again.")
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreNotWritable(f"{target}: {error.strerror}") from error
    try:
        copy = sqlite.connect(str(target))
        try:
            _fill(copy, database)
        finally:
            copy.close()
    except sqlite.Error as error:
        target.unlink()
        raise sqlite.translated(error, writing=True, where=str(target)) from error
    except BaseException:
        target.unlink()
        raise


def _fill(copy: Connection, database: Database) -> None:
    with database.read(check_schema=False) as connection:
        try:
            connection.backup(copy, pages=-1)
        except sqlite.Error as error:
            raise _not_copied(database, error) from error
    verdict = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise CorruptStore(f"{database.path}: {verdict}")
    # One file, that needs no -wal beside it.
    copy.execute("PRAGMA journal_mode = DELETE")


def _not_copied(database: Database, error: Exception) -> Exception:
    detail = f"a copy of {database.path}: {error}"
    if sqlite.code(error) in (10, 13):
        return NoSpace(detail, hint="Free some space, then try again.")
    return StoreNotWritable(detail)


def _stamp(connection: Connection, reached: int) -> None:
    connection.execute(f"PRAGMA user_version = {reached:d}")
    connection.execute(f"PRAGMA application_id = {pragmas.APPLICATION_ID if reached else 0:d}")


def _files(directory: Path) -> list[MigrationFile]:
    from metrics_store import yoyo_backend

    latest(directory)
    return yoyo_backend.read(directory)


def _ledger(connection: Connection) -> tuple[Applied, ...]:
    exists = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'"
    ).fetchone()
    if not exists:
        return ()
    rows = connection.execute(
        "SELECT version, applied_at, description, checksum FROM schema_migrations ORDER BY version"
    ).fetchall()
    return tuple(Applied(*row) for row in rows)


def _compare(
    files: Sequence[MigrationFile], applied: Sequence[Applied], found: int, where: str
) -> None:
    if found > files[-1].version:
        raise SchemaNewer(f"{where} has schema {found}, this version knows {files[-1].version}")
    for line, file in zip(applied, files, strict=False):
        if line.version != file.version:
            raise UnknownMigration(f"{line.version:04d} {line.description}")
        if line.checksum != file.checksum:
            raise SchemaDrift(f"{file.name}, applied {line.applied_at}")
    if len(applied) > len(files):
        line = applied[len(files)]
        raise UnknownMigration(f"{line.version:04d} {line.description}")
    if found != len(applied):
        raise SchemaError(
            f"{where}: user_version is {found}, the ledger has {len(applied)} migrations",
            hint="Somebody edited the database by hand; restore the newest backup.",
        )
