"""What a restore comes to, or would: frozen results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metrics_store.results import Result

#: What is at the live path. ``damaged``: SQLite opens it, and not all of it can be read;
#: ``unreadable``: not even that; ``empty``: a file without a schema; ``missing``: no file.
State = Literal["store", "damaged", "unreadable", "empty", "missing"]
#: How the content gets there: into the file that is there, under its lock; or as a new file.
Way = Literal["in_place", "new_file"]


@dataclass(frozen=True, slots=True)
class LogChange(Result):
    """What becomes of one log.

    Args:
        table: its table.
        before, after: rows of what is there and of what takes its place; None if they cannot be
            counted.
        lost: rows whose id and digest the restored log has not; None if what is there cannot be
            read, and then nothing can be said.
        lost_first_at, lost_last_at: the first and last moment of those, UTC text.
        gained: rows that are there afterwards and are not now.
        gained_first_at, gained_last_at: the first and last moment of those, UTC text.
    """

    table: str
    before: int | None
    after: int | None
    lost: int | None
    lost_first_at: str | None
    lost_last_at: str | None
    gained: int | None
    gained_first_at: str | None
    gained_last_at: str | None


@dataclass(frozen=True, slots=True)
class Staged(Result):
    """How far the staged migration off a legacy file is, as a database tells.

    Args:
        path: the legacy file.
        phase, epoch: as the control file bears them too.
    """

    path: str
    phase: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Side(Result):
    """A database, as far as it tells of itself.

    Args:
        schema_version: None if it cannot be read.
        store_id, generation: None if its schema has none.
        in_flight: invocations that have not ended; None if they cannot be counted.
        staged: the migrations that it mirrors.
    """

    schema_version: int | None = None
    store_id: str | None = None
    generation: str | None = None
    in_flight: int | None = None
    staged: tuple[Staged, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored(Result):
    """What a restore came to, or would.

    Args:
        executed: whether it was done.
        undo: whether it takes an earlier restore back.
        file: what is restored.
        database: the store.
        state: what is at the store's path; see :data:`State`.
        way: how the content gets there; see :data:`Way`.
        size: of the file, in bytes.
        sha256: of the file, in hex; None if its write-ahead log was read with it.
        reason, made_at: what its manifest says; None without one.
        age_seconds: since it was made, or else last written.
        here: what is there, before.
        there: what the file holds.
        schema_version: of the store afterwards.
        same_store: whether both are of one store; None if one of them does not tell.
        logs: what becomes of each log.
        resume_needed: whether the migration must be told: ``legacy resume``.
        findings: warnings about the file; of a safety copy, errors too.
        generation: of the store from now on; None if nothing was done.
        safety: the copy of what was there; None if nothing was done or nothing was there.
        safety_findings: how many errors the check of that copy found.
        moved_aside: where what could not be opened lies now, or would be.
        locked_seconds: for how long nobody could write.
        problems: what the check of the restored store found.
    """

    executed: bool
    undo: bool
    file: str
    database: str
    state: State
    way: Way
    size: int
    sha256: str | None
    reason: str | None
    made_at: str | None
    age_seconds: float
    here: Side
    there: Side
    schema_version: int
    same_store: bool | None
    logs: tuple[LogChange, ...]
    resume_needed: bool
    findings: tuple[str, ...] = ()
    generation: str | None = None
    safety: str | None = None
    safety_findings: int | None = None
    moved_aside: tuple[str, ...] = ()
    locked_seconds: float = 0.0
    problems: tuple[str, ...] = ()

    @property
    def lost(self) -> int | None:
        """Rows of all logs that are not there afterwards; None if it cannot be told."""
        counts = [log.lost for log in self.logs]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def gained(self) -> int | None:
        """Rows of all logs that were not there before; None if it cannot be told."""
        counts = [log.gained for log in self.logs]
        return None if None in counts else sum(count or 0 for count in counts)
