"""The directories that backups lie in, and what is there.

A backup and its manifest are found by their names within one directory alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metrics_store import clock
from metrics_store.errors import BackupDamaged
from metrics_store.manifest.document import REASONS, Manifest, find
from metrics_store.manifest.store import property_of
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection

_NAMED_BY_US = re.compile(r".*-\d{8}T\d{12}(-\d+)?\.db", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a directory of backups.

    Args:
        path: the file.
        size: of the file, in bytes.
        made_at: what its manifest says, else when it was last written; UTC text.
        manifest: None if there is none, or none that can be read.
        problem: what is wrong with it, at a glance; empty if nothing is.
    """

    path: Path
    size: int
    made_at: str
    manifest: Manifest | None
    problem: str


def of_directory(directory: Path) -> tuple[Entry, ...]:
    """The backups in a directory, newest first; none if it is not there.

    A file counts if it has a manifest, or bears a name as ours do. Symlinks do not count.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        with os.scandir(directory) as found:
            names = {item.name for item in found if item.is_file(follow_symlinks=False)}
    except FileNotFoundError:
        return ()
    entries = [
        entry
        for name in names
        if not name.startswith(".") and (f"{name}.json" in names or _NAMED_BY_US.fullmatch(name))
        if (entry := _entry(directory / name)) is not None
    ]
    return tuple(sorted(entries, key=order, reverse=True))


def order(entry: Entry) -> tuple[str, int, str]:
    """What entries are sorted by: of one moment ``NAME-10.db`` is newer than ``NAME-2.db``."""
    return entry.made_at, len(entry.path.name), entry.path.name


def directories(settings: Settings, connection: Connection | None = None) -> tuple[Path, ...]:
    """Where backups of a store may lie, whether or not anything is there.

    Args:
        settings: of the store.
        connection: to the store, to ask for the other directories that it remembers; None if it
            cannot be opened.
    """
    database = os.path.realpath(settings.database)
    known = [settings.backups, Path(f"{database}.legacy") / "backups"]
    known += [Path(text) for text in remembered(connection)] if connection is not None else []
    return tuple(dict.fromkeys(Path(os.path.realpath(path)) for path in known))


def remembered(connection: Connection) -> tuple[str, ...]:
    """The other directories that backups of this store were put into, newest first."""
    try:
        named = json.loads(property_of(connection, "backup_directories") or "[]")
    except (ValueError, RecursionError):
        return ()  # edited by hand; the next backup writes it anew
    if not isinstance(named, list):
        return ()
    return tuple(
        text for text in named if isinstance(text, str) and os.path.isabs(text) and "\0" not in text
    )


def newest(
    directories: Iterable[Path],
    store_id: str,
    generation: str | None = None,
    *,
    reasons: Collection[str] = REASONS,
) -> Manifest | None:
    """The manifest of the backup that has seen most of a store.

    Only backups count that were whole when they were made, and still have the size they had.

    Args:
        directories: where to look; one that cannot be read has none.
        store_id: of the store.
        generation: of the store; None for any, and then the one made last is the newest.
        reasons: which were made for.
    """
    found = [
        manifest
        for manifest in whole(directories)
        if manifest.store_id == store_id and manifest.reason in reasons
        if generation is None or manifest.generation == generation
    ]
    if generation is None:
        return max(found, key=lambda manifest: manifest.made_at, default=None)
    # By the log, not by the clock: that may have been set back since.
    return max(found, key=lambda manifest: (manifest.position, manifest.made_at), default=None)


def whole(directories: Iterable[Path]) -> Iterator[Manifest]:
    """The manifests of the backups that were whole, and still have the size they had."""
    for directory in directories:
        try:
            entries = of_directory(directory)
        except OSError:
            continue  # such as a disk that is not mounted now
        for entry in entries:
            if entry.manifest is not None and not (entry.problem or entry.manifest.findings):
                yield entry.manifest


def _entry(path: Path) -> Entry | None:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None  # pruned meanwhile
    written = clock.text(min(max(there.st_mtime_ns // 1000, clock.MIN_US), clock.MAX_US))
    try:
        manifest = find(path)
    except BackupDamaged as error:
        return Entry(path, there.st_size, written, None, error.detail)
    if manifest is None:
        return Entry(path, there.st_size, written, None, "it has no manifest")
    problem = ""
    if manifest.file != path.name:
        problem = f"its manifest is that of {manifest.file}"
    elif manifest.size != there.st_size:
        problem = f"it has {there.st_size:,} bytes, not {manifest.size:,}"
    return Entry(path, there.st_size, manifest.made_at, manifest, problem)
