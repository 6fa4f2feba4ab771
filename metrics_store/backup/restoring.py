"""Restoring a backup: looked at first, then put into the store while others use it, and undone.

The file is never put in the place of the store's: a process that has the store open would go on
with the log of the one and the pages of the other. SQLite's backup writes into the live file, as
one transaction; while its write lock is held, before anything is written, what is there is copied.
So whatever was acknowledged is in that copy, or was recorded afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path

from metrics_store import forking, location, sqlite
from metrics_store.backup import (
    candidate,
    describing,
    restoring_aside,
    restoring_fitting,
    restoring_forks,
    restoring_live,
    restoring_room,
    restoring_safety,
    restoring_undoing,
)
from metrics_store.backup.copying import Progress
from metrics_store.backup.restoring_changes import compared, side
from metrics_store.backup.restoring_live import Live
from metrics_store.backup.restoring_outcome import Order, Seen, told
from metrics_store.backup.restoring_place import COPY, forget, place_of
from metrics_store.backup.restoring_report import LogChange, Restored, Side
from metrics_store.backup.restoring_safety import Safety
from metrics_store.backup.restoring_steps import reached
from metrics_store.clock import Clock
from metrics_store.errors import RestoreRefused, UnsafeFilesystem
from metrics_store.settings import Settings


def plan(
    file: str | os.PathLike[str],
    settings: Settings,
    clock: Clock,
    *,
    other_store: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Tell what restoring a file would change; nothing of the store is.

    Args:
        file: a backup.
        settings: of the store.
        other_store: accept the backup of another store.
        progress: told the stage, how much of it is done, and how much it is in all.

    Raises:
        BackupNotFound: there is no such file.
        RestoreRefused: it may not be restored.
        NoSpace: there is no room for it.
        StoreBusy, StoreNotWritable, ReadError: the store or its directory cannot be used.
    """
    return _run(Order(Path(file), settings, clock, other_store=other_store, progress=progress))


def restore(
    file: str | os.PathLike[str],
    settings: Settings,
    clock: Clock,
    *,
    other_store: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Restore a file into the store; processes that have it open go on working.

    What is there is copied first; :func:`undo` restores that.

    Args:
        As :func:`plan`.

    Raises:
        As :func:`plan`; then nothing was changed.
        DiskFull, RestoreFailed: nothing was changed either.
        OutcomeUnknown: the disk failed, and the store cannot be read.
    """
    return _run(
        Order(Path(file), settings, clock, True, other_store=other_store, progress=progress)
    )


def undo(
    settings: Settings, clock: Clock, *, execute: bool, progress: Progress | None = None
) -> Restored:
    """Take the last restore back, or tell what that would change: restore what was there before.

    It is a restore itself: taking it back brings back what it replaced.

    Args:
        As :func:`plan`.

    Raises:
        NothingToUndo: there was no restore, or what was there before it is gone.
        As :func:`restore`.
    """
    file = restoring_undoing.file_of(settings)
    return _run(Order(file, settings, clock, execute, undo=True, progress=progress))


def _run(order: Order) -> Restored:
    database = _reachable(order.settings)
    with restoring_forks.held(database), place_of(database, make=order.execute) as folder:
        restoring_safety.end_what_was_cut_short(folder, database, order.clock, order.progress)
        live = restoring_live.look(order.settings, order.clock)
        restoring_room.require(_needs(order, live, folder))
        seen = _looked_at(order, live, folder)
        if not order.execute:
            return _planned(seen)
        if live.can_be_opened:
            return _put_into(seen, folder)
        return _put_new(seen)


def _reachable(settings: Settings) -> str:
    """The store's path, symlinks resolved, if this process may use it."""
    database = os.path.realpath(settings.database)
    forking.refuse_inherited(settings.database)
    kind = location.network_filesystem(database)
    if kind and not settings.allow_network_filesystem:
        raise UnsafeFilesystem(f"{database} ({kind})")
    return database


def _needs(order: Order, live: Live, folder: Path) -> dict[Path, int]:
    """Bytes that are written below each directory."""
    size = 0
    for name in (order.file, f"{order.file}-wal"):
        try:
            size += os.lstat(name).st_size
        except (OSError, ValueError):
            continue  # it is refused when it is copied
    if not (order.execute and live.can_be_opened):
        return {folder: size}
    # The copy, and the write-ahead log through which it goes; each page there has 24 bytes more.
    return {folder: 2 * size + size // 20, order.settings.backups: live.size}


def _looked_at(order: Order, live: Live, folder: Path) -> Seen:
    """Take a private copy, verify it and bring it to this version's schema."""
    copied = candidate.copy(
        order.file,
        live.path,
        folder / COPY,
        clock=order.clock,
        patience=order.settings.busy_timeout,
        progress=order.progress,
    )
    reached("copied")
    found = restoring_fitting.verify(
        copied, order.clock, as_it_was=order.undo, progress=order.progress
    )
    reached("verified")
    here, there = live.side.store_id, found.side.store_id
    same = here == there if here and there else None
    if same is False and not (order.other_store or order.undo):
        raise RestoreRefused(
            f"{copied.source} is of another store: {there}, not {here}",
            hint="To put it here all the same, add --other-store.",
        )
    restoring_fitting.bring_up(
        copied, found.side, order.clock, as_it_was=order.undo, progress=order.progress
    )
    return Seen(order, live, copied, found, same)


def _planned(seen: Seen) -> Restored:
    live, order = seen.live, seen.order
    aside: tuple[str, ...] = ()
    if live.can_be_opened:
        here = restoring_live.connect(live.path, live.how)
    else:
        here = sqlite.connect(":memory:")
        names = restoring_aside.names(live.path, order.clock.now_us())
        aside = tuple(sorted(names.values()))
    return told(seen, live.side, compared(here, str(seen.copied.path)), moved_aside=aside)


def _put_into(seen: Seen, folder: Path) -> Restored:
    """Into the file that is there, under its lock."""
    order, live, copied = seen.order, seen.live, seen.copied
    clock = order.clock
    at = clock.now_us()
    generation = os.urandom(16).hex()
    with restoring_safety.prepared(live, order.settings, clock, at) as safety:
        restoring_fitting.mark(
            copied, seen.properties(at, generation, safety.path), live.page_size, live.remembered
        )
        reached("fitted")
        with (
            restoring_safety.log_accepted(live, clock),
            restoring_safety.intended(folder, live, safety, generation, at),
        ):
            seconds = restoring_live.put_into(
                live,
                str(copied.path),
                generation,
                order.settings,
                clock,
                safety.take,
                order.progress,
            )
        reached("committed")
        unfolded = restoring_live.fold(live.path, order.settings, clock)
        reached("folded")
        findings, unnoted = restoring_safety.adopted(safety, live.path, at, clock, order.progress)
        reached("noted")
    forget(folder)
    before, logs, unmeasured = _measured(seen, safety)
    problems = (*filter(None, (unfolded, unnoted, unmeasured)), *seen.checked())
    reached("done")
    return told(
        seen,
        before,
        logs,
        generation=generation,
        safety=None if safety.path is None else str(safety.path),
        safety_findings=findings,
        locked_seconds=seconds,
        problems=problems,
    )


def _measured(seen: Seen, safety: Safety) -> tuple[Side, tuple[LogChange, ...], str]:
    """What was there when the lock was had, what became of it, and why that cannot be told."""
    try:
        return (*_account(seen, safety), "")
    except sqlite.Error as error:
        # The restore is done: that the copies cannot be read now is no reason to call it failed.
        return Side(), (), f"what was lost and gained cannot be told: {error}"


def _account(seen: Seen, safety: Safety) -> tuple[Side, tuple[LogChange, ...]]:
    if safety.path is None:
        return Side(), compared(sqlite.connect(":memory:"), str(seen.copied.path))
    try:
        with describing.reading(safety.path) as connection:
            before = side(connection)
    except sqlite.Error:
        before = Side()  # it is damaged, and its manifest says so
    here = restoring_live.connect(str(safety.path), "immutable")
    return before, compared(here, str(seen.copied.path))


def _put_new(seen: Seen) -> Restored:
    """As a new file, where what is there cannot be opened."""
    order, live, copied = seen.order, seen.live, seen.copied
    restoring_aside.require_unused(live.path)
    at = order.clock.now_us()
    generation = os.urandom(16).hex()
    names = restoring_aside.names(live.path, at)
    aside = tuple(sorted(names.values()))
    restoring_fitting.mark(copied, seen.properties(at, generation, None, aside), None, ())
    reached("fitted")
    logs = compared(sqlite.connect(":memory:"), str(copied.path))
    restoring_aside.put_new(copied.path, live.path, names)
    problems = seen.checked()
    reached("done")
    return told(seen, live.side, logs, generation=generation, moved_aside=aside, problems=problems)
