"""Where a store's backups lie and what is there, also if the store itself cannot be opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from metrics_store import manifest, opening, sqlite
from metrics_store.backup.keeping import Owner
from metrics_store.connection import Database
from metrics_store.errors import ReadError
from metrics_store.integrity import access
from metrics_store.manifest import Entry
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class Shelf:
    """A directory and the backups in it.

    Args:
        directory: absolute; it need not be there.
        entries: newest first.
        problem: why it cannot be read; empty if it can.
    """

    directory: Path
    entries: tuple[Entry, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What a store tells of its backups.

    Args:
        owner: by what they are known.
        directories: where some may lie.
    """

    owner: Owner
    directories: tuple[Path, ...]


def asked(settings: Settings) -> Known:
    """Ask a store for its backups; it and its folder are afterwards as they were.

    Raises:
        StoreNotFound, OpenError, ReadError, StoreBusy: it cannot be asked.
    """
    path = access.resolved(settings.database)
    try:
        entry = access.look(path)
        found = _asked(path, entry.how, settings)
        if entry.how != "shared" and opening.fingerprint(path) != entry.seen:
            return _asked(path, "shared", settings)  # somebody wrote meanwhile
    except sqlite.Error as error:
        raise sqlite.translated(error, writing=False, where=path) from error
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror or error}") from error
    return found


def of(database: Database) -> Known:
    """What a store that is open tells of its backups."""
    with database.read(check_schema=False) as connection:
        return _known(connection, database.path, database.settings)


def _asked(path: str, how: access.How, settings: Settings) -> Known:
    with access.reading(path, how) as connection:
        return _known(connection, path, settings)


def _known(connection: Connection, path: str, settings: Settings) -> Known:
    store_id = manifest.property_of(connection, "store_id") or ""
    return Known(Owner(store_id, path), manifest.directories(settings, connection))


def shelves(directories: Iterable[Path]) -> tuple[Shelf, ...]:
    """What is in some directories; those that are not there have nothing in them."""
    found = []
    for directory in directories:
        try:
            found.append(Shelf(directory, manifest.of_directory(directory)))
        except OSError as error:
            found.append(Shelf(directory, (), error.strerror or str(error)))
    return tuple(found)


def newest(shelves: Iterable[Shelf], owner: Owner | None) -> Entry | None:
    """The backup made last of those that are whole, as far as can be seen at a glance.

    Args:
        owner: of which store; None of any.
    """
    found = [
        entry
        for shelf in shelves
        for entry in shelf.entries
        if entry.manifest is not None and not (entry.problem or entry.manifest.findings)
        if owner is None or owner.owns(entry.manifest)
    ]
    return max(found, key=manifest.order, default=None)
