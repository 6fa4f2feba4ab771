"""Saying what a finished copy is: checked in full, hashed, and with the ends of its logs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from metrics_store import manifest, sqlite
from metrics_store.backup.copying import Progress
from metrics_store.clock import Clock
from metrics_store.errors import BackupError
from metrics_store.integrity.findings import CheckReport, Finding
from metrics_store.manifest import Manifest
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_CHUNK = 1 << 20
_UNREADABLE = "Look at its owner and mode, and at the disk."
#: A schema that only a newer version of this package knows is no damage.
NEWER = "schema_newer"


def described(
    file: Path, known: Manifest, clock: Clock, progress: Progress | None = None
) -> tuple[Manifest, CheckReport]:
    """Check a finished copy, hash it, and complete its manifest.

    Args:
        file: the copy; nobody writes to it.
        known: its name, source, moment and reason.

    Raises:
        BackupError: it cannot be read.
    """
    report = checked(file, clock, progress)
    found = len(damage(report))
    sha256, size = digest(file, progress)
    held = replace(known, sha256=sha256, size=size, findings=found)
    try:
        with reading(file) as connection:
            held = replace(held, schema_version=_schema_version(connection))
            held = replace(
                held,
                store_id=manifest.property_of(connection, "store_id") or "",
                generation=manifest.property_of(connection, "generation") or "",
            )
            held = replace(held, logs=manifest.marks(connection), in_flight=_in_flight(connection))
    except sqlite.Error as error:
        # Of a damaged copy that is kept for safety as much is said as can be read.
        if not found:
            raise BackupError(f"{file}: {error}", hint=_UNREADABLE) from error
    return held, report


def checked(file: Path, clock: Clock, progress: Progress | None = None) -> CheckReport:
    """Everything there is to check of a file that nobody writes to."""
    from metrics_store.integrity.checking import check_file

    return check_file(file, level="deep", immutable=True, now_us=clock.now_us(), progress=progress)


def damage(report: CheckReport) -> tuple[Finding, ...]:
    """What speaks against a copy."""
    return tuple(finding for finding in report.errors if finding.kind != NEWER)


def digest(file: Path, progress: Progress | None = None) -> tuple[str, int]:
    """The SHA-256 of a file that is no live database, in hex, and its size in bytes.

    Raises:
        BackupError: it cannot be read.
    """
    sha256, done = hashlib.sha256(), 0
    try:
        total = file.stat().st_size
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                sha256.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress("hashing", min(done, total), total)
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror or error}", hint=_UNREADABLE) from error
    return sha256.hexdigest(), done


@contextmanager
def reading(file: Path) -> Iterator[Connection]:
    """A connection to a file that nobody writes to."""
    connection = sqlite.connect(str(file), read_only=True, immutable=True)
    try:
        yield connection
    finally:
        connection.close()


def _schema_version(connection: Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _in_flight(connection: Connection) -> int:
    if not connection.execute(query("backup.has_table"), ("skill_inflight",)).fetchone():
        return 0
    return int(connection.execute(query("backup.in_flight")).fetchone()[0])
