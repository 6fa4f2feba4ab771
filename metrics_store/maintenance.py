"""Keeping the file in shape: giving space back, statistics for the planner, folding the log."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from metrics_store import asked, families, sqlite
from metrics_store.connection import Database
from metrics_store.errors import NoSpace
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: How long a writer may have to wait for a step, in seconds; pages of the first one, and the most.
_STEP_SECONDS, _FIRST_PAGES, _MOST_PAGES = 0.02, 64, 1024
#: Rows per index that are looked at for the statistics: enough to tell indexes apart.
_ANALYSED = 1000
_INCREMENTAL = 2


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What giving space back did.

    Args:
        kind: ``incremental``, ``full``, or ``none``: the file cannot be shortened piece by piece.
        free_before, free_after: pages of the file that hold nothing.
        bytes_before, bytes_after: of the file.
        steps: transactions it took.
        longest_step: seconds of the longest of them: so long a writer waited at most.
        seconds: of all of it.
    """

    kind: str
    free_before: int
    free_after: int
    bytes_before: int
    bytes_after: int
    steps: int
    longest_step: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """What folding the log did.

    Args:
        frames: pages in the log; folded: those that are in the store's own file now.
        truncated: whether the log's file was made empty.
        bytes_before, bytes_after: of the log's file.
    """

    frames: int
    folded: int
    truncated: bool
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class LogSize:
    """How much a log table holds."""

    table: str
    rows: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Info:
    """What a store is.

    Args:
        restored: what the last restore noted, as JSON text; None if there was none.
        page_size, pages, free_pages: of the file.
        gives_space_back: whether :func:`vacuum` can shorten it beside writers.
        logs: every log table.
    """

    path: str
    bytes: int
    log_bytes: int
    schema_version: int
    store_id: str
    generation: str
    restored: str | None
    journal_mode: str
    page_size: int
    pages: int
    free_pages: int
    gives_space_back: bool
    sqlite_version: str
    sqlite_binding: str
    has_wal_reset_fix: bool
    durability: str
    busy_timeout: float
    backups: str
    logs: tuple[LogSize, ...]
    in_flight: int


def vacuum(
    database: Database,
    *,
    seconds: float | None = None,
    full: bool = False,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Vacuumed:
    """Give free pages back to the file system.

    In short steps beside writers; a store made before schema 5 has to be rewritten once (``full``),
    during which nobody can write.

    Args:
        seconds: give up after as long; the rest is for the next time.
        full: rewrite the whole file.
        tell: called with the pages given back and their number.

    Raises:
        InvalidQuery: the seconds are no number from 0 on.
        StoreBusy, StoreNotWritable: it cannot be written.
        NoSpace: rewriting needs as much space again, twice.
    """
    most = asked.seconds_or_ever("seconds", seconds)
    database.require_writable()
    began = time.perf_counter()
    before, size = _free(database), _size(database.path)
    kind, steps = "none", list[float]()
    if full:
        kind = "full"
        _rewrite(database, size)
        steps = [time.perf_counter() - began]
    elif _is_incremental(database):
        kind = "incremental"
        steps = _in_steps(database, before, began, most, tell)
    if steps:
        database.checkpoint()
    return Vacuumed(
        kind,
        before,
        _free(database),
        size,
        _size(database.path),
        len(steps),
        max(steps, default=0.0),
        time.perf_counter() - began,
    )


def _in_steps(
    database: Database,
    free: int,
    began: float,
    seconds: float | None,
    tell: Callable[[int, int], None],
) -> list[float]:
    pages, done, steps = _FIRST_PAGES, 0, list[float]()
    while done < free and (seconds is None or time.perf_counter() - began < seconds):
        step = min(pages, free - done)
        start = time.perf_counter()
        database.run_alone(f"PRAGMA incremental_vacuum({step:d})")
        took = time.perf_counter() - start
        steps.append(took)
        done += step
        tell(done, free)
        # Who waits would else lose the lock to the next step, again and again.
        time.sleep(min(took, _STEP_SECONDS))
        # As many pages as go into the time that a writer may wait.
        pages = max(8, min(2 * pages, _MOST_PAGES, round(step * _STEP_SECONDS / max(took, 1e-4))))
    return steps


def _rewrite(database: Database, size: int) -> None:
    # A temporary copy, and the log with all of it.
    for directory in {os.path.dirname(database.path), _temporary_directory()}:
        if shutil.disk_usage(directory).free < 2 * size + (1 << 20):
            raise NoSpace(f"{directory} needs {2 * size} bytes", hint="Free some space first.")
    database.run_alone(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    database.run_alone("VACUUM")


def _temporary_directory() -> str:
    named = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    places = (*named, "/var/tmp", "/usr/tmp", "/tmp", ".")  # where SQLite looks, in this order
    return next(place for place in places if place and os.path.isdir(place))


def analyze(database: Database) -> float:
    """Renew the statistics by which SQLite chooses indexes; gives the seconds it took.

    It reads a sample, so it takes milliseconds however large the store is.

    Raises:
        StoreBusy, StoreNotWritable: it cannot be written.
    """

    def work(connection: Connection) -> float:
        began = time.perf_counter()
        connection.execute(f"PRAGMA analysis_limit = {_ANALYSED}")
        connection.execute("ANALYZE")
        return time.perf_counter() - began

    return database.write(work, check_schema=False)


def checkpoint(database: Database, *, truncate: bool = False) -> Checkpointed:
    """Fold the write-ahead log back into the store's own file.

    Args:
        truncate: and make the log's file empty; it waits for whoever still reads from it.

    Raises:
        StoreBusy: others wrote all the time.
    """
    log = f"{database.path}-wal"
    before = _size(log)
    frames, folded, truncated = database.checkpoint(truncate=truncate)
    return Checkpointed(frames, folded, truncated, before, _size(log))


def info(database: Database) -> Info:
    """Tell what a store is, whatever version its schema has."""
    with database.read(check_schema=False) as connection:
        one = _pragmas(connection)
        properties = dict(connection.execute(query("maintenance.properties")).fetchall())
        tables = {name for (name,) in connection.execute(query("maintenance.tables"))}
        logs = tuple(
            LogSize(family.table, *_log_size(connection, family.table))
            for family in families.FAMILIES
            if family.table in tables
        )
        in_flight = 0
        if "skill_inflight" in tables:
            (in_flight,) = connection.execute(query("maintenance.in_flight")).fetchone()
    settings = database.settings
    return Info(
        path=database.path,
        bytes=_size(database.path),
        log_bytes=_size(f"{database.path}-wal"),
        schema_version=int(one["user_version"]),
        store_id=properties.get("store_id", ""),
        generation=properties.get("generation", ""),
        restored=properties.get("restored"),
        journal_mode=str(one["journal_mode"]),
        page_size=int(one["page_size"]),
        pages=int(one["page_count"]),
        free_pages=int(one["freelist_count"]),
        gives_space_back=int(one["auto_vacuum"]) == _INCREMENTAL,
        sqlite_version=sqlite.version,
        sqlite_binding=sqlite.binding.__name__.partition(".")[0],
        has_wal_reset_fix=sqlite.has_wal_reset_fix,
        durability=settings.durability,
        busy_timeout=settings.busy_timeout,
        backups=str(settings.backups),
        logs=logs,
        in_flight=in_flight,
    )


def _pragmas(connection: Connection) -> dict[str, str | int]:
    names = (
        *("user_version", "journal_mode", "page_size", "page_count"),
        *("freelist_count", "auto_vacuum"),
    )
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}


def _log_size(connection: Connection, table: str) -> tuple[int, int]:
    sql = query("maintenance.log_size").replace("log_table", table)
    rows, last = connection.execute(sql).fetchone()
    return int(rows), int(last)


def _is_incremental(database: Database) -> bool:
    with database.read(check_schema=False) as connection:
        return bool(connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL)


def _free(database: Database) -> int:
    with database.read(check_schema=False) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _size(path: str) -> int:
    with suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0
