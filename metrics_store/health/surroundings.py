"""What can be said of a store without opening it: its files, its disk, its backups."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import NamedTuple

from metrics_store import clock, manifest
from metrics_store.manifest import Entry
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection


class Room(NamedTuple):
    """A disk, in bytes; what :func:`shutil.disk_usage` gives."""

    total: int
    used: int
    free: int


def room_of(directory: str) -> Room:
    """The room on the disk of a directory, for this user."""
    return Room(*shutil.disk_usage(directory))


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a store.

    Args:
        database: bytes.
        log: bytes of its write-ahead log, 0 if there is none.
        folded_us: when the database file was last written: beside a log only a checkpoint does.
    """

    database: int
    log: int
    folded_us: int


def files(path: str) -> Files:
    """Look at the files of a store, without opening any.

    Raises:
        OSError: the database is not there, or cannot be looked at.
    """
    there = os.stat(path)
    try:
        log = os.stat(f"{path}-wal").st_size
    except FileNotFoundError:
        log = 0
    return Files(there.st_size, log, there.st_mtime_ns // 1000)


@dataclass(frozen=True, slots=True)
class Backups:
    """The backups of a store.

    Args:
        whole: how many were whole when made, and still have the size they had.
        damaged: how many were not, or have not.
        newest: the newest that is whole.
        unread: directories that could not be read, with the reason.
    """

    whole: int
    damaged: int
    newest: Entry | None
    unread: tuple[str, ...]

    @property
    def made_us(self) -> int | None:
        """When the newest was made."""
        return None if self.newest is None else clock.parse(self.newest.made_at)


def backups(settings: Settings, path: str, connection: Connection | None) -> Backups:
    """Find the backups of a store, of whichever generation.

    Args:
        path: the store.
        connection: to it; None if it cannot be read: then those made at this path are its own.
    """
    store_id = None if connection is None else manifest.property_of(connection, "store_id")
    whole, damaged, unread = [], 0, []
    for directory in manifest.directories(settings, connection):
        try:
            entries = manifest.of_directory(directory)
        except OSError as error:
            unread.append(f"{directory}: {error.strerror or error}")
            continue
        for entry in entries:
            found = entry.manifest
            if found is None or not _is_ours(found.store_id, found.source, store_id, path):
                continue
            if entry.problem or found.findings:
                damaged += bool(entry.problem)
            else:
                whole.append(entry)
    newest = max(whole, key=lambda entry: entry.made_at, default=None)
    return Backups(len(whole), damaged, newest, tuple(unread))


def _is_ours(its_id: str, source: str, store_id: str | None, path: str) -> bool:
    return its_id == store_id if store_id else source == path
