"""A view of a store to look at, which leaves no trace: nothing is written, made or folded back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from metrics_store import forking, location, opening, pragmas, sqlite, write_ahead_log
from metrics_store.connection import Database
from metrics_store.errors import LogLost, MetricsStoreError
from metrics_store.integrity import access
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection
from metrics_store.waiting import Patience
from metrics_store.write_ahead_log import Committed

T = TypeVar("T")

#: Seconds that a fork waits for a view to end.
_FORK_PATIENCE = 5.0
#: While nobody has the store open: looks that somebody may spoil by opening it.
_QUIET_LOOKS = 3


@dataclass(frozen=True, slots=True)
class View:
    """An open view.

    Args:
        connection: reads it; a transaction is open.
        quiet: nobody else has the store open, and this process holds no lock on it.
        log: the frames of the log and those of them that were folded back, as far as known.
    """

    connection: Connection
    quiet: bool
    log: tuple[int, int] | None


def locate(settings: Settings) -> str:
    """The store's file, symlinks resolved.

    Raises:
        StoreNotFound, OpenError: there is none to look at.
    """
    with location.OPENING:
        forking.refuse_inherited(settings.database)
        return location.prepare(
            settings.database, create=False, allow_network=settings.allow_network_filesystem
        )


def look(
    store: Database | str, settings: Settings, patience: Patience, work: Callable[[View], T]
) -> T:
    """Do something with a view of a store, perhaps more than once.

    Args:
        store: an open database, or the path of one.
        work: gets the view; what it last gave counts.

    Raises:
        LogLost: commits are lost; it was not opened, for that would destroy the evidence.
        OpenError, ReadError, StoreBusy: it cannot be read.
    """
    if isinstance(store, Database):
        # Within it no fork gets in between.
        with store.read(check_schema=False) as connection:
            _begin(connection, patience)
            return work(View(connection, False, _frames_beside(store, patience)))
    for _ in range(_QUIET_LOOKS):
        state = _state(store)
        if state.how == "shared":
            break
        result = _quiet_look(store, state, settings, patience, work)
        if result is not None:
            return result[0]
    state = _state(store)
    with _opened(store, "shared", settings, patience) as (connection, alone):
        log = None if alone else _frames(connection, state.committed, patience)
        _begin(connection, patience)
        return work(View(connection, alone, log))


@dataclass(frozen=True, slots=True)
class _State:
    """How a store is best looked at now: see :data:`access.How`."""

    how: access.How
    committed: Committed | None
    seen: tuple[tuple[int, ...], ...]


def _state(path: str) -> _State:
    with sqlite.without_connection(path) as free:
        # Before it is opened by anybody: SQLite takes a log that is cut off for one that ends.
        if not free or os.path.exists(opening.marker(path)):
            return _State("shared", None, ())
        seen = opening.fingerprint(path)
        committed, lost = write_ahead_log.evidence(path)
        if lost is not None:
            raise LogLost(f"{path}: {lost.detail}")
        unfit = os.path.lexists(f"{path}-journal") or not os.access(path, os.R_OK)
        if unfit or access.is_attached(path):
            return _State("shared", committed, seen)
        # Nobody has it open: it can be read without a lock and without making a -shm. With a log
        # not: a connection without locks reads it, and at its end may delete it under a writer
        # that has come meanwhile.
        return _State("shared" if _has_log(path) else "immutable", committed, seen)


def _has_log(path: str) -> bool:
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except FileNotFoundError:
        return False


def _quiet_look(
    path: str, state: _State, settings: Settings, patience: Patience, work: Callable[[View], T]
) -> tuple[T] | None:
    """What the work gave; None if somebody came and wrote meanwhile."""
    try:
        with _opened(path, state.how, settings, patience) as (connection, _):
            result = work(View(connection, True, (0, 0)))
    except MetricsStoreError:
        if opening.fingerprint(path) == state.seen:
            raise
        return None
    return (result,) if opening.fingerprint(path) == state.seen else None


def _frames_beside(database: Database, patience: Patience) -> tuple[int, int] | None:
    if not sqlite.tells_frames or database.read_only:
        return None
    connection = sqlite.connect(database.path, read_only=True)
    try:
        pragmas.for_reading(connection, database.settings)
        return _frames(connection, None, patience)
    finally:
        connection.close()


def _frames(
    connection: Connection, committed: Committed | None, patience: Patience
) -> tuple[int, int] | None:
    """The frames of the log, and those that were folded back; no transaction may be open."""
    if sqlite.tells_frames:
        _first_read(connection, patience)
        _, frames, folded = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        return max(frames, 0), max(folded, 0)
    return None if committed is None else (committed.frames, committed.folded)


def _begin(connection: Connection, patience: Patience) -> None:
    if not connection.in_transaction:
        connection.execute("BEGIN")
    _first_read(connection, patience)  # with it the view begins


def _first_read(connection: Connection, patience: Patience) -> None:
    # Somebody may be mending the log, or folding it back for good.
    patience.patiently(
        lambda: connection.execute("PRAGMA user_version").fetchone(), patience.deadline()
    )


@contextmanager
def _opened(
    path: str, how: access.How, settings: Settings, patience: Patience
) -> Iterator[tuple[Connection, bool]]:
    """A connection, and whether it takes no locks."""
    held = _Held(path)
    with held.lock:
        forking.register(held)
        if how == "shared":
            connection, alone = opening.only_reader(path, settings, patience)
        else:
            connection, alone = _quiet(path, settings, patience), True
        held.connection = connection
        try:
            yield connection, alone
        except sqlite.Error as error:
            raise sqlite.translated(
                error, writing=False, where=path, waited=patience.seconds
            ) from error
        finally:
            if os.getpid() == held.pid:
                connection.close()
            held.closed = True


def _quiet(path: str, settings: Settings, patience: Patience) -> Connection:
    connection = None
    try:
        connection = sqlite.connect(path, read_only=True, immutable=True)
        pragmas.recognise(connection, path)
        pragmas.for_reading(connection, settings)
        _begin(connection, patience)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite.Error):
            raise sqlite.translated(
                error, writing=False, where=path, waited=patience.seconds
            ) from error
        raise
    return connection


class _Held:
    """A connection of a moment; a fork waits until it is closed (see :mod:`forking`)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        self.closed = False
        self.lock = threading.Lock()
        self.connection: Connection | None = None

    def before_fork(self) -> bool:
        return self.lock.acquire(timeout=_FORK_PATIENCE)

    def after_fork(self) -> None:
        self.pid = os.getpid()
        self.lock.release()

    def keep_for_ever(self) -> None:
        if self.connection is not None:
            sqlite.keep_for_ever(self.connection)
