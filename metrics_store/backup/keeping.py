"""Which backups stay: the newest ones, one a day, one a week; and deleting the others.

What is not surely a backup of ours of this very store stays. So does what is dated after now: the
clock was wrong then or is wrong now, and either way it must not push others out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from metrics_store import clock, manifest
from metrics_store.backup import place
from metrics_store.errors import InvalidValue
from metrics_store.manifest import Entry

#: Copies for safety that stay although an ordinary backup is newer.
_SAFETY_COPIES = 2


@dataclass(frozen=True, slots=True)
class Keep:
    """How many backups stay; one that any of the three wants does.

    Args:
        last: the newest ones.
        daily: days, of which the newest backup stays; a day (UTC) without one does not count.
        weekly: ISO weeks, likewise.

    Raises:
        InvalidValue: a number is negative.
    """

    last: int = 7
    daily: int = 7
    weekly: int = 4

    def __post_init__(self) -> None:
        for name in ("last", "daily", "weekly"):
            if getattr(self, name) < 0:
                raise InvalidValue(f"keep {name} = {getattr(self, name)}", hint="From 0 up.")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose backups are judged.

    Args:
        store_id: of the store; empty if its schema has none yet.
        source: absolute path of the store.
    """

    store_id: str
    source: str

    def owns(self, found: manifest.Manifest) -> bool:
        """Whether a backup is one of this store."""
        if self.store_id or found.store_id:
            return found.store_id == self.store_id
        return found.source == self.source


@dataclass(frozen=True, slots=True)
class Judged:
    """A backup and what becomes of it.

    Args:
        entry: the backup.
        kept: whether it stays.
        why: in a few words; for one that goes, what it was made for.
    """

    entry: Entry
    kept: bool
    why: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the rules say of one directory, and what was done.

    Args:
        directory: of the backups.
        judged: all of them, newest first.
        executed: whether anything was to be deleted.
        deleted: what was.
        failed: what could not be, with the reason.
    """

    directory: Path
    judged: tuple[Judged, ...]
    executed: bool = False
    deleted: tuple[Entry, ...] = ()
    failed: tuple[tuple[Path, str], ...] = ()

    @property
    def due(self) -> tuple[Entry, ...]:
        """What the rules let go."""
        return tuple(item.entry for item in self.judged if not item.kept)

    @property
    def freed(self) -> int:
        """Bytes of what was deleted, or would be."""
        return sum(entry.size for entry in (self.deleted if self.executed else self.due))


def plan(entries: Iterable[Entry], keep: Keep, owner: Owner, now: str) -> tuple[Judged, ...]:
    """Say of each backup whether it stays, newest first.

    Args:
        entries: the backups of one directory.
        owner: of which store they are to be.
        now: UTC text.
    """
    ordered = sorted(entries, key=manifest.order, reverse=True)
    reasons = {entry.path: _untouched(entry, owner, now) for entry in ordered}
    ours = [entry for entry in ordered if not reasons[entry.path]]
    ordinary = [entry for entry in ours if _reason(entry) == manifest.ORDINARY]
    safety = [entry for entry in ours if _reason(entry) in manifest.SAFETY]
    for entry, why in (*_by_rules(ordinary, keep), *_for_safety(safety, ordinary)):
        reasons[entry.path] = why
    return tuple(
        Judged(entry, bool(why), why or _reason(entry))
        for entry in ordered
        for why in (reasons[entry.path],)
    )


def prune(
    directory: Path,
    keep: Keep,
    owner: Owner,
    us: int,
    *,
    execute: bool = False,
    made: Path | None = None,
) -> Pruned:
    """Delete the backups of a directory that the rules let go.

    Args:
        directory: one that is not there has none.
        us: the present, microseconds since 1970.
        execute: False only says what would be deleted.
        made: the backup that was just made: it stays, whatever the clock says, and so does every
            copy for safety; None if this is no part of making one.

    Raises:
        BackupError: the directory cannot be read or written.
    """
    try:
        judged = plan(manifest.of_directory(directory), keep, owner, clock.text(us))
    except OSError as error:
        raise place.failed(error, directory) from error
    if made is not None:
        judged = tuple(_spared(item, made) for item in judged)
    found = Pruned(directory, judged, execute)
    if not execute or not found.due:
        return found
    deleted: list[Entry] = []
    failed: list[tuple[Path, str]] = []
    with place.opened(directory, us, make=False) as there:
        for entry in reversed(found.due):
            try:
                there.delete(entry.path)
            except OSError as error:
                failed.append((entry.path, str(error.strerror or error)))
            else:
                deleted.append(entry)
    return Pruned(directory, judged, True, tuple(deleted), tuple(failed))


def _spared(item: Judged, made: Path) -> Judged:
    if item.entry.path == made:
        return Judged(item.entry, True, item.why if item.kept else "made just now")
    if not item.kept and _reason(item.entry) in manifest.SAFETY:
        return Judged(item.entry, True, item.why)
    return item


def _reason(entry: Entry) -> str:
    return "" if entry.manifest is None else entry.manifest.reason


def _untouched(entry: Entry, owner: Owner, now: str) -> str:
    """Why the rules are not for a backup; empty if they are."""
    found = entry.manifest
    if found is None or entry.problem:
        return entry.problem
    if not owner.owns(found):
        return "of another store"
    if found.reason not in (manifest.ORDINARY, *manifest.SAFETY):
        return found.reason
    if found.reason == manifest.ORDINARY and found.findings:
        return "not whole when it was made"
    return "dated after now" if found.made_at > now else ""


def _by_rules(ordered: Sequence[Entry], keep: Keep) -> list[tuple[Entry, str]]:
    days: set[str] = set()
    weeks: set[str] = set()
    judged = []
    for i, entry in enumerate(ordered):
        day = entry.made_at[:10]
        year, number, _ = date.fromisoformat(day).isocalendar()
        week = f"{year}-W{number:02d}"
        why = "the newest" if i == 0 else ""
        if i and i < keep.last:
            why = f"of the last {keep.last}"
        if day not in days and len(days) < keep.daily:
            why = why or f"of {day}"
        if week not in weeks and len(weeks) < keep.weekly:
            why = why or f"of {week}"
        days.add(day)
        weeks.add(week)
        judged.append((entry, why))
    return judged


def _for_safety(ordered: Sequence[Entry], ordinary: Sequence[Entry]) -> list[tuple[Entry, str]]:
    since = ordinary[0].made_at if ordinary else ""
    newer = [entry for entry in ordered if entry.made_at >= since]
    older = [entry for entry in ordered if entry.made_at < since]
    judged = [(entry, f"{_reason(entry)}, no backup since") for entry in newer]
    judged += [(entry, _reason(entry)) for entry in older[:_SAFETY_COPIES]]
    return judged + [(entry, "") for entry in older[_SAFETY_COPIES:]]
