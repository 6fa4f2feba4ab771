"""Opening a store to look at it, so that it and its folder are afterwards as they were.

A connection that only reads still makes a ``-shm`` where there is none, and begins one anew that a
crash left behind, although it tells what was committed. So while nobody has the store open it is
read without locks and without a ``-shm``; should somebody have written meanwhile, once more.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from metrics_store import location, opening, pragmas, sqlite, write_ahead_log
from metrics_store.integrity.faults import FAULTS, cannot_open
from metrics_store.opening import is_attached as is_attached
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection
from metrics_store.write_ahead_log import State

How = Literal["shared", "alone", "immutable"]

_MAGIC, _HEADER = b"SQLite format 3\0", 100


@dataclass(frozen=True, slots=True)
class Entry:
    """How a database is best opened now.

    Args:
        how: ``shared``: others may have it open, SQLite's locks are taken; ``alone``: nobody has,
            and its log is read; ``immutable``: nobody has, and there is no log to read.
        log: what became of its write-ahead log.
        seen: what its files looked like.
    """

    how: How
    log: State
    seen: tuple[tuple[int, ...], ...]


def look(path: str) -> Entry:
    """How a database is best opened.

    Args:
        path: the database, symlinks resolved.
    """
    with sqlite.without_connection(path) as free:
        seen = opening.fingerprint(path)
        if not free:
            return Entry("shared", State("unknown"), seen)
        if _has_journal(path):
            return Entry("shared", State("none"), seen)
        log = None if opening.is_attached(path) else write_ahead_log.examine(path)
        if log is None or opening.is_attached(path):
            # Read whole while others write, a log that is begun anew looks damaged.
            _, lost = write_ahead_log.evidence(path)
            return Entry("shared", lost or State("unknown"), seen)
        return Entry("alone" if log.found else "immutable", log, seen)


def missing_end(path: str) -> str:
    """What a file that needs no log lacks of what its header says, in words; empty if nothing."""
    with sqlite.without_connection(path) as free:
        if not free:
            return ""
        with open(path, "rb") as file:
            header = file.read(_HEADER)
            size = os.fstat(file.fileno()).st_size
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        return ""  # SQLite says that it is no database
    (page,) = struct.unpack(">H", header[16:18])
    page = 65536 if page == 1 else page
    changed, pages, valid_for = struct.unpack(">2I60xI", header[24:96])
    if changed != valid_for or not page:
        pages = 0  # written by an SQLite before 3.7.0, which left the number of pages as it was
    if size < pages * page:
        return f"the file ends after {size:,} bytes; by its header it has {pages * page:,}"
    if page and size % page:
        return f"the file ends in the midst of a page, after {size:,} bytes"
    return ""


def _has_journal(path: str) -> bool:
    """Whether it is written with a rollback journal: then only locks tell who writes."""
    with open(path, "rb") as file:
        return file.read(20)[18:20] == b"\1\1"


@contextmanager
def reading(path: str, how: How) -> Iterator[Connection]:
    """A connection to look at a database with.

    Raises:
        Error: of SQLite.
    """
    connection = sqlite.connect(
        path, read_only=True, immutable=how == "immutable", alone=how == "alone"
    )
    try:
        try:
            pragmas.for_reading(connection, Settings())
        except FAULTS as error:
            if not cannot_open(error):
                raise
            # Some of them read the schema; what is the matter with it is for the check to say.
            with suppress(*FAULTS):
                connection.execute("PRAGMA writable_schema = ON")
                pragmas.for_reading(connection, Settings())
            with suppress(*FAULTS):
                connection.execute("PRAGMA writable_schema = RESET")
        yield connection
    except UnicodeDecodeError as error:
        raise sqlite.DatabaseError(f"its schema is damaged: {error}") from error
    finally:
        connection.close()


def resolved(path: str | os.PathLike[str]) -> str:
    """The database's path, symlinks resolved.

    Raises:
        StoreNotFound, OpenError: there is no such file, or it is not a regular one.
    """
    from pathlib import Path

    return location.prepare(Path(path), create=False, allow_network=True)
