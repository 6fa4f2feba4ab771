"""The document beside a backup: of which store it is, how far its logs go, and its SHA-256.

It is somebody's file: whatever stands in it is checked, and no path in it is followed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from metrics_store import clock
from metrics_store.errors import BackupDamaged
from metrics_store.replacing import replace_text

T = TypeVar("T")

FORMAT = 1
#: Why a backup was made. One that somebody asked for is an ordinary one.
ORDINARY = "manual"
#: What was there before something replaced it; it may have been damaged then.
SAFETY = ("before restore", "before repair")
REASONS = (ORDINARY, *SAFETY, "before schema change", "cutover", "rollback")

_LARGEST = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LogMark:
    """How far a log goes.

    Args:
        table: its table.
        rows: how many rows it has.
        last_seq: of its last row; 0 if it has none.
        last_id: of its last row.
        last_digest: of its last row, in hex.
    """

    table: str
    rows: int
    last_seq: int
    last_id: str
    last_digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of one backup.

    Args:
        file: the backup's name.
        sha256: of the file, in hex.
        size: of the file, in bytes.
        made_at: when it was made, UTC text.
        source: absolute path of the store it is of.
        store_id: of that store; empty if its schema had none yet.
        generation: of that store; each restore begins another.
        reason: one of :data:`REASONS`.
        schema_version: of the copy.
        sqlite_version: that made the copy.
        package_version: that made the copy.
        logs: how far each log goes.
        in_flight: invocations that had not ended.
        findings: how many errors the check of the copy found; 0 means that it is whole.
        format: of the manifest.
    """

    file: str
    sha256: str
    size: int
    made_at: str
    source: str
    store_id: str
    generation: str
    reason: str
    schema_version: int
    sqlite_version: str
    package_version: str
    logs: tuple[LogMark, ...]
    in_flight: int
    findings: int
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """The rows of all logs."""
        return sum(mark.rows for mark in self.logs)

    @property
    def position(self) -> int:
        """How far all logs go; within one generation of a store it only grows."""
        return sum(mark.last_seq for mark in self.logs)


def path_of(backup: Path) -> Path:
    """Where the manifest of a backup lies."""
    return backup.with_name(f"{backup.name}.json")


def read(backup: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        BackupDamaged: there is none, or it is torn, foreign or cannot be read.
    """
    found = find(backup)
    if found is None:
        raise BackupDamaged(f"{backup} has no manifest")
    return found


def find(backup: Path) -> Manifest | None:
    """The manifest of a backup; None if there is none.

    Raises:
        BackupDamaged: it is torn, foreign or cannot be read.
    """
    path = path_of(backup)
    try:
        text = _text(path)
        document = json.loads(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackupDamaged(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BackupDamaged(f"{path} is not a whole manifest") from error
    try:
        return _of_document(document)
    except (ValueError, TypeError, OverflowError) as error:
        raise BackupDamaged(f"{path} is not a manifest of ours: {error}") from error


def write(manifest: Manifest, backup: Path) -> None:
    """Put a manifest beside its backup.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    # Letters beyond ASCII as escapes: the name of a file may be no text at all.
    replace_text(path_of(backup), json.dumps(asdict(manifest), indent=2) + "\n", mode=0o600)


def _text(path: Path) -> str:
    # Neither a symlink nor a pipe, which would lead elsewhere or wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise ValueError("it is too large")
    return raw.decode("utf-8")


def _of_document(document: object) -> Manifest:
    if (found := _member(document, "format", int)) != FORMAT:
        raise ValueError(f"its format is {found}, this version knows {FORMAT}")
    logs = tuple(LogMark(**_members(item, LogMark)) for item in _member(document, "logs", list))
    manifest = Manifest(**_members(document, Manifest), logs=logs)
    if not _SHA256.fullmatch(manifest.sha256):
        raise ValueError("sha256 is not one")
    if os.path.basename(manifest.file) != manifest.file or manifest.file in ("", ".", ".."):
        raise ValueError("file is not a plain name")
    if manifest.reason not in REASONS:
        raise ValueError(f"reason is {manifest.reason[:40]!r}")
    if clock.text(clock.parse(manifest.made_at)) != manifest.made_at:
        raise ValueError("made_at is not a moment in UTC")
    return manifest


def _members(document: object, of: type[LogMark] | type[Manifest]) -> dict[str, Any]:
    kinds = {"str": str, "int": int}
    return {
        field.name: _member(document, field.name, kinds[str(field.type)])
        for field in fields(of)
        if field.type in kinds
    }


def _member(document: object, name: str, kind: type[T]) -> T:
    if not isinstance(document, dict):
        raise TypeError("it is not an object")
    value = document.get(name)
    # type() and not isinstance(): true is no number here.
    if type(value) is not kind or (isinstance(value, int) and value < 0):
        raise ValueError(f"{name} is {str(value)[:40]!r}")
    return value
