"""One look at a store: part by part, so that what is wrong in one hides no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from metrics_store import clock, schema, sqlite
from metrics_store.clock import MICROSECONDS
from metrics_store.errors import (
    CorruptStore,
    ForeignDatabase,
    LogLost,
    MetricsStoreError,
    StoreBusy,
    StoreNotFound,
)
from metrics_store.health import counting, surroundings
from metrics_store.health.growth import reckon
from metrics_store.health.log_readers import LogReaders
from metrics_store.health.metrics import Metrics
from metrics_store.health.report import Finding, Level
from metrics_store.health.surroundings import Room
from metrics_store.health.viewing import View
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection

_MIB = 1024 * 1024
#: The schema versions that brought the tables of runs, and that of slow calls.
_RUNS_SINCE, _SLOW_SINCE = 2, 5


@dataclass(slots=True)
class Observation:
    """One look at a store: what was measured, and what could not be."""

    path: str
    settings: Settings
    now_us: int
    metrics: Metrics = field(default_factory=Metrics)
    troubles: list[Finding] = field(default_factory=list)
    room: Room | None = None
    newer: bool = False

    # Around it

    def files(self, room: Callable[[str], Room]) -> None:
        try:
            found = surroundings.files(self.path)
        except FileNotFoundError:
            raise StoreNotFound(self.path) from None
        latest = schema.latest(schema.migrations_directory())
        self.metrics = replace(
            self.metrics,
            database_mb=_mib(found.database),
            wal_mb=_mib(found.log),
            last_checkpoint_at=clock.text(found.folded_us),
            checkpoint_age_s=self._age_s(found.folded_us),
            durability=self.settings.durability,
            sqlite_version=sqlite.version,
            sqlite_has_wal_reset_fix=sqlite.has_wal_reset_fix,
            sqlite_without_fix=int(not sqlite.has_wal_reset_fix),
            schema_latest=latest,
        )
        try:
            self.room = room(os.path.dirname(self.path))
        except OSError as error:
            self._trouble(
                "WARNING",
                "disk",
                f"Its room is not known: {error.strerror or error}.",
                "See what `df` says of it, and the kernel's messages.",
            )
            return
        self.metrics = replace(
            self.metrics, disk_free_mb=_mib(self.room.free), disk_total_mb=_mib(self.room.total)
        )

    def cannot_be_read(self, error: MetricsStoreError) -> None:
        level: Level = "ERROR" if isinstance(error, StoreBusy) else "CRITICAL"
        kind = "log" if isinstance(error, LogLost) else "store"
        hint = error.hint or "See what is the matter with `metrics-store check`."
        if isinstance(error, ForeignDatabase):
            hint = f"If it was a metrics store: {CorruptStore.default_hint}"
        self._trouble(level, kind, f"{error}.", hint)
        with self._part():
            self._backups(None)

    # In it

    def inside(self, view: View, readers: LogReaders, own_view: float | None) -> None:
        connection = view.connection
        with self._part():
            self._schema(connection)
        self._log(view)
        version = self.metrics.schema_version or 0
        rows: counting.Log | None = None
        pages: counting.Pages | None = None
        moments: list[int | None] = []
        with self._part():
            pages = counting.pages(connection)
            self.metrics = replace(self.metrics, reclaimable_mb=_mib(pages.free))
        if version >= _RUNS_SINCE:
            with self._part():
                self._runs(connection)
            with self._part():
                rows = counting.log(connection)
                moments.append(rows.last_us)
            with self._part():
                self._in_flight(connection)
        if version >= _SLOW_SINCE:
            with self._part():
                moments.append(self._slow(connection))
        with self._part():
            moments.append(self._backups(connection))
        self._moments(rows, moments)
        self._growth(rows, pages)
        self._readers(view, readers, own_view)

    @contextmanager
    def _part(self) -> Iterator[None]:
        """A part of the look: what is wrong there is said, once, and the rest goes on."""
        try:
            yield
        except (sqlite.Error, ValueError) as error:
            if isinstance(error, sqlite.Error):
                told: Exception = sqlite.translated(error, writing=False, where=self.path)
            else:
                told = CorruptStore(f"{self.path}: {error}")
            hint = told.hint if isinstance(told, MetricsStoreError) else ""
            # A newer schema may have other tables; that it is newer is said.
            level: Level = "ERROR" if self.newer or isinstance(told, StoreBusy) else "CRITICAL"
            self._trouble(level, "store", f"{told}.", hint)

    def _trouble(self, level: Level, kind: str, detail: str, hint: str = "") -> None:
        finding = Finding(level, kind, "", None, None, detail, hint)
        if finding not in self.troubles:
            self.troubles.append(finding)

    def _schema(self, connection: Connection) -> None:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        latest = self.metrics.schema_latest or 0
        self.newer = version > latest
        self.metrics = replace(
            self.metrics,
            schema_version=version,
            schema_pending=max(0, latest - version),
            schema_ahead=max(0, version - latest),
        )
        if version == 0:
            self._trouble(
                "ERROR",
                "schema",
                "There is nothing in the file: it is empty, and no store yet.",
                "If it ought to have something in it, restore the newest backup; else record "
                "something first.",
            )

    def _log(self, view: View) -> None:
        if view.log is not None:
            frames, folded = view.log
            self.metrics = replace(
                self.metrics, wal_frames=frames, wal_unfolded_frames=max(0, frames - folded)
            )

    def _runs(self, connection: Connection) -> None:
        runs = counting.runs(connection, self.now_us)
        total_rate = 100 * runs.total_completed / runs.total if runs.total else None
        self.metrics = replace(
            self.metrics,
            invocations_total=runs.total,
            invocations_hour=runs.hour,
            invocations_day=runs.day,
            invocations_week=runs.week,
            success_rate_percent=_rounded(runs.rate),
            success_rate_total_percent=_rounded(total_rate),
        )

    def _in_flight(self, connection: Connection) -> None:
        found = counting.in_flight(connection)
        self.metrics = replace(
            self.metrics, in_flight=found.all, in_flight_without_process=found.without_process
        )

    def _slow(self, connection: Connection) -> int | None:
        found = counting.slow_calls(connection, self.now_us)
        self.metrics = replace(
            self.metrics,
            slow_calls_day=sum(slow.calls for slow in found.by_name),
            slowest_ms=max((slow.slowest_ms for slow in found.by_name), default=None),
            slow_calls_by_name=found.by_name,
        )
        return found.newest_us

    def _backups(self, connection: Connection | None) -> int | None:
        found = surroundings.backups(self.settings, self.path, connection)
        for unread in found.unread:
            self._trouble(
                "WARNING",
                "backup",
                f"A directory of backups cannot be looked at: {unread}.",
                "Look at its owner and mode; backups in it are not counted.",
            )
        age_s = self._age_s(found.made_us)
        self.metrics = replace(
            self.metrics,
            backups=found.whole,
            backups_damaged=found.damaged,
            last_backup=None if found.newest is None else str(found.newest.path),
            last_backup_at=None if found.newest is None else found.newest.made_at,
            backup_age_hours=None if age_s is None else round(age_s / 3600, 3),
        )
        return found.made_us

    def _moments(self, rows: counting.Log | None, moments: list[int | None]) -> None:
        last = None if rows is None else rows.last_us
        known = [us for us in moments if us is not None]
        ahead = max([0, *(us - self.now_us for us in known)])
        self.metrics = replace(
            self.metrics,
            newest_at=None if last is None else clock.text(last),
            newest_age_s=self._age_s(last),
            clock_ahead_s=round(ahead / MICROSECONDS, 3),
        )

    def _growth(self, rows: counting.Log | None, pages: counting.Pages | None) -> None:
        growth = reckon(
            None if pages is None else pages.used,
            # Counted runs are as many, but for what retention deleted.
            None if rows is None else min(rows.rows, self.metrics.invocations_total or 0),
            self.metrics.invocations_week,
            self._age_s(None if rows is None else rows.first_us),
            None if self.room is None else self.room.free,
        )
        self.metrics = replace(
            self.metrics,
            bytes_per_row=_rounded(growth.bytes_per_row),
            rows_per_day=_rounded(growth.rows_per_day),
            growth_mb_per_day=_rounded(growth.mb_per_day),
            disk_days_left=_rounded(growth.days_left),
        )

    def _readers(self, view: View, readers: LogReaders, own_view: float | None) -> None:
        if view.quiet:
            self.metrics = replace(self.metrics, attached_processes=0, readers=0)
            return
        found = readers.look()
        own = f"this process (pid {os.getpid()})"
        oldest, age = (None, None) if own_view is None else (own, own_view)
        if found is not None and found.readers and found.readers[0].held_s >= (age or 0):
            oldest, age = str(found.readers[0]), found.readers[0].held_s
        self.metrics = replace(
            self.metrics,
            attached_processes=None if found is None else found.attached,
            readers=None if found is None else len(found.readers) + (own_view is not None),
            oldest_reader=oldest,
            oldest_reader_s=_rounded(age),
            writing_process=None if found is None or found.writer is None else str(found.writer),
        )

    def _age_s(self, us: int | None) -> float | None:
        return None if us is None else round((self.now_us - us) / MICROSECONDS, 3)


def _mib(size: int) -> float:
    return round(size / _MIB, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
