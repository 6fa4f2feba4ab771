"""What lies at the store's path, and putting other content into it while others use it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from metrics_store import manifest, opening, pragmas, sqlite
from metrics_store.backup.copying import Progress
from metrics_store.backup.restoring_changes import side
from metrics_store.backup.restoring_report import Side, State
from metrics_store.backup.restoring_steps import reached
from metrics_store.backup.transfer import transfer
from metrics_store.checkpoints import Checkpoints
from metrics_store.clock import Clock
from metrics_store.errors import (
    DiskFull,
    MetricsStoreError,
    OutcomeUnknown,
    RestoreFailed,
    RestoreRefused,
    StoreNotWritable,
)
from metrics_store.integrity import access
from metrics_store.integrity.access import Entry, How
from metrics_store.settings import Settings
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.waiting import Patience

#: The copying is told of in as many steps.
_STEPS = 100
#: How long readers of the log are waited for, so that its file can be made empty.
_FOR_READERS_MS = 100
_CORRUPT, _FULL, _NOT_A_DATABASE = 11, 13, 26
_NOT_ALLOWED = (3, 8, 14)  # SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN
#: What every schema of ours has had from the first version on.
_OURS = {"schema_migrations", "store_property", "rollup"}


@dataclass(frozen=True, slots=True)
class Live:
    """What lies at the store's path.

    Args:
        path: absolute, symlinks resolved.
        state: see :data:`State`.
        side: what it tells of itself.
        size: of its files together, in bytes.
        how: it is best opened to be read.
        page_size: in bytes; None if it has no page yet.
        log_lost: what is wrong with its write-ahead log; empty if nothing is.
        remembered: directories with backups that it has noted.
    """

    path: str
    state: State
    side: Side
    size: int
    how: How = "shared"
    page_size: int | None = None
    log_lost: str = ""
    remembered: tuple[str, ...] = ()

    @property
    def can_be_opened(self) -> bool:
        """Whether the content can be put into the file that is there."""
        return self.state in ("store", "damaged", "empty")


def look(settings: Settings, clock: Clock) -> Live:
    """Look at what lies at the store's path; nothing of it is changed.

    Raises:
        RestoreRefused: it is no file, or a database of another program.
        StoreNotWritable, ReadError: this user may not read it, or the disk does not give it.
        StoreBusy: it was locked all the while.
    """
    path = os.path.realpath(settings.database)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return Live(path, "missing", Side(), _size(path))
    except OSError as error:
        raise StoreNotWritable(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(there.st_mode):
        raise RestoreRefused(f"{path} is not a regular file", hint="Name the store's file.")
    if there.st_size == 0 and _size(path):
        # SQLite would delete the log of a file that has no pages.
        return Live(path, "unreadable", Side(), _size(path))
    patience = Patience(settings.busy_timeout, clock)
    try:
        entry = access.look(path)
        return patience.patiently(lambda: _looked_into(path, entry), patience.deadline())
    except OSError as error:
        raise StoreNotWritable(f"{path}: {error.strerror}") from error
    except sqlite.Error as error:
        if sqlite.code(error) in (_CORRUPT, _NOT_A_DATABASE):
            return Live(path, "unreadable", Side(), _size(path))
        waited = settings.busy_timeout
        raise sqlite.translated(error, writing=False, where=path, waited=waited) from error


def connect(path: str, how: How | None = None) -> Connection:
    """A connection to a store that may be damaged.

    Args:
        how: to be read only, and how; None for writing.
    """
    connection = sqlite.connect(
        path, read_only=how is not None, immutable=how == "immutable", alone=how == "alone"
    )
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    if sqlite.json_works_untrusted():
        connection.execute("PRAGMA trusted_schema = OFF")
    # Else a file that was cut off is not opened at all. Nothing is written by this name.
    connection.execute("PRAGMA writable_schema = ON")
    return connection


def _looked_into(path: str, entry: Entry) -> Live:
    # Under whoever has it open the log changes while it is read; and they have what it had.
    alone = entry.how != "shared"
    lost = (entry.log.detail or entry.log.kind) if entry.log.is_lost and alone else ""
    if not lost and os.path.exists(opening.marker(path)):
        lost = f"its log was found lost before: {opening.marker(path)}"
    connection = connect(path, entry.how)
    try:
        ours = connection.execute("PRAGMA application_id").fetchone()[0] == pragmas.APPLICATION_ID
        page_size: int | None = connection.execute("PRAGMA page_size").fetchone()[0]
        try:
            names = {name for (name,) in connection.execute(query("restore.names"))}
            found = side(connection)
            remembered = manifest.remembered(connection)
        except sqlite.Error as error:
            if sqlite.is_busy(error) or not ours:
                raise
            return Live(path, "damaged", Side(), _size(path), entry.how, page_size, lost)
    finally:
        connection.close()
    if not (ours or names >= _OURS) and names:
        raise RestoreRefused(
            f"{path} is a database of another program",
            hint="Name the store with --db; nothing was changed.",
        )
    if not names and not os.stat(path).st_size:
        page_size = None
    state: State = "empty" if not names else "damaged" if lost else "store"
    return Live(path, state, found, _size(path), entry.how, page_size, lost, remembered)


def _size(path: str) -> int:
    total = 0
    for name in (path, f"{path}-wal"):
        with suppress(FileNotFoundError):
            total += os.stat(name).st_size
    return total


def put_into(
    live: Live,
    content: str,
    generation: str,
    settings: Settings,
    clock: Clock,
    save: Callable[[], None],
    progress: Progress | None = None,
) -> float:
    """Put the content of a private copy into the store, in one transaction, while others use it.

    Args:
        content: the private copy; its pages are as large as the store's.
        generation: that it bears, and nothing else ever did.
        save: called once the write lock is held, before anything is written; what it raises
            leaves the store as it was.
        progress: told how far it is.

    Returns:
        For how long nobody could write, in seconds.

    Raises:
        StoreBusy: the lock was not had in time.
        DiskFull, StoreNotWritable, RestoreFailed: the store is as it was.
        OutcomeUnknown: it cannot be read any more.
    """
    with ExitStack() as opened:
        try:
            source = sqlite.connect(content, read_only=True, immutable=True)
            opened.callback(source.close)
            pages = int(source.execute("PRAGMA page_count").fetchone()[0])
            target = connect(live.path)
            opened.callback(target.close)
        except sqlite.Error as error:
            raise _failed(error, live.path) from error  # nothing was begun
        try:
            _make_ready(target, live, settings, clock)
            return _put(source, target, pages, live, settings, clock, save, progress)
        except sqlite.Error as error:
            done = bears(live.path, generation)
            if done is None:
                raise OutcomeUnknown(
                    f"{live.path}: {error}",
                    hint="What was there has been copied. Once the disk works again, see what the "
                    "store has: metrics-store check --deep.",
                ) from error
            if not done:
                raise _failed(error, live.path) from error
            return 0.0  # the disk said no, and yet it was done


def _make_ready(target: Connection, live: Live, settings: Settings, clock: Clock) -> None:
    if live.state == "damaged":
        return  # what needs the schema cannot be asked; SQLite's own default is FULL
    patience = Patience(settings.busy_timeout, clock)

    def as_a_log() -> None:
        if target.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            target.execute("PRAGMA journal_mode = WAL")

    patience.patiently(as_a_log, patience.deadline())
    target.execute("PRAGMA synchronous = FULL")


def _put(
    source: Connection,
    target: Connection,
    pages: int,
    live: Live,
    settings: Settings,
    clock: Clock,
    save: Callable[[], None],
    progress: Progress | None,
) -> float:
    locked_us = 0

    def told(remaining: int, total: int) -> None:
        nonlocal locked_us
        if not locked_us:
            locked_us = clock.monotonic_us()
            reached("locked")
            save()
            reached("saved")
        elif remaining:
            reached("copying")
        if progress is not None:
            progress("restoring", total - remaining, total)

    transfer(
        source,
        target,
        clock=clock,
        patience=settings.busy_timeout,
        # Fewer than there are: between two steps the lock is held, and nothing is committed.
        pages=max(1, min(pages - 1, -(-pages // _STEPS))),
        where=live.path,
        progress=told,
    )
    return (clock.monotonic_us() - locked_us) / 1e6


def bears(path: str, generation: str) -> bool | None:
    """Whether the store is of a generation; None if it cannot be read."""
    try:
        connection = connect(path, "shared")
        try:
            return manifest.property_of(connection, "generation") == generation
        finally:
            connection.close()
    except sqlite.Error:
        return None


def _failed(error: Exception, path: str) -> MetricsStoreError:
    if sqlite.code(error) == _FULL:
        return DiskFull(path, hint="Free some space, then restore again; nothing was changed.")
    if sqlite.code(error) in _NOT_ALLOWED:
        return StoreNotWritable(f"{path}: {error}")
    return RestoreFailed(f"{path}: {error}", hint="Look at the disk, and at its log.")


def fold(path: str, settings: Settings, clock: Clock) -> str:
    """Fold the write-ahead log back, as far as readers let; under the write lock, as ever.

    Returns:
        Why it could not be; empty if it could, or if whoever writes now does it next. Nothing is
        lost by it: the content is in the log, and safe there.
    """
    checkpoints = Checkpoints(path, 0)
    patience = Patience(settings.busy_timeout, clock)
    try:
        writer = sqlite.connect(path)
        try:
            pragmas.for_checkpoints(writer)
            patience.patiently(lambda: checkpoints.fold(writer), patience.deadline())
            if sqlite.has_wal_reset_fix:
                # Where a writer is in the way it folds without the lock, which others lose by.
                checkpoints.restart(_FOR_READERS_MS, truncate=True)
        finally:
            checkpoints.close()
            writer.close()
    except sqlite.Error as error:
        return "" if sqlite.is_busy(error) else f"the log could not be folded back: {error}"
    return ""
