"""Whether a backup is still what it was: its SHA-256 and size, and everything a check looks at."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from metrics_store import manifest, sqlite
from metrics_store.backup import describing
from metrics_store.backup.copying import Progress
from metrics_store.clock import Clock
from metrics_store.errors import BackupDamaged, BackupNotFound
from metrics_store.integrity.findings import CheckReport
from metrics_store.manifest import Manifest

_LIVE = "Check a store itself with `metrics-store check`; a backup has no -wal and no -journal."


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a backup.

    Args:
        path: the file.
        size: in bytes.
        sha256: in hex.
        manifest: None if there is none, or none that can be read.
        problems: what is wrong with the file or its manifest, in sentences.
        notes: what somebody should know all the same.
        report: of the check of its content.
    """

    path: Path
    size: int
    sha256: str
    manifest: Manifest | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    report: CheckReport

    @property
    def ok(self) -> bool:
        """Whether it can be relied on."""
        return not self.problems and not describing.damage(self.report)


def verify(file: Path, *, clock: Clock | None = None, progress: Progress | None = None) -> Verified:
    """Verify a backup, with its manifest if it has one. Nothing is written.

    Args:
        file: symlinks are resolved once; the manifest lies beside what they lead to.
        progress: told how far it is.

    Raises:
        BackupNotFound: there is no such file, or it is none that could be a backup.
        BackupError: it cannot be read.
    """
    path = Path(os.path.realpath(file))
    _look_at(path)
    problems: list[str] = []
    notes: list[str] = []
    known: Manifest | None = None
    try:
        known = manifest.find(path)
    except BackupDamaged as error:
        problems.append(f"{error.detail}.")
    else:
        if known is None:
            notes.append("It has no manifest: whether it is what it was cannot be told.")
    sha256, size = describing.digest(path, progress)
    if known is not None:
        _compare(path, size, sha256, known, problems, notes)
    report = describing.checked(path, clock or Clock(), progress)
    if describing.NEWER in report.kinds:
        notes.append(
            "Its schema is newer than this version of metrics_store: only SQLite's own checks "
            "were made of it."
        )
    return Verified(path, size, sha256, known, tuple(problems), tuple(notes), report)


def _look_at(path: Path) -> None:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        raise BackupNotFound(str(path)) from None
    except OSError as error:
        raise BackupNotFound(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISREG(there.st_mode):
        raise BackupNotFound(f"{path} is not a regular file", hint="Name the backup itself.")
    # Reading a live store raw would drop this process's locks on it, and miss what is in its log.
    for side in ("-wal", "-journal"):
        if os.path.lexists(f"{path}{side}"):
            raise BackupNotFound(f"{path} is in use: there is a {path.name}{side}", hint=_LIVE)
    with sqlite.without_connection(str(path)) as alone:
        if not alone:
            raise BackupNotFound(f"{path} is open in this process", hint=_LIVE)


def _compare(
    path: Path,
    size: int,
    sha256: str,
    known: Manifest,
    problems: list[str],
    notes: list[str],
) -> None:
    if sha256 == known.sha256 and size == known.size:
        if known.file != path.name:
            notes.append(f"It was called {known.file} when it was made.")
        if known.findings:
            notes.append(
                f"It is a copy made {known.reason}, of a store in which the check had found "
                f"{known.findings:,} errors."
            )
    elif known.file != path.name:
        problems.append(f"Its manifest is that of {known.file}.")
    elif size != known.size:
        problems.append(f"It has {size:,} bytes; it had {known.size:,} when it was made.")
    else:
        problems.append(f"Its content has changed: its SHA-256 is no longer {known.sha256}.")
