"""What is measured of a store: one flat value, its names those of ``--metric`` and of JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class SlowCalls:
    """The calls of one name that took longer than the setting ``slow_ms``.

    Args:
        name: which call.
        calls: how many in the last day.
        slowest_ms: the longest of them.
    """

    name: str
    calls: int
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """The state of a store at one moment.

    None stands for what is not known: nothing ran, the system does not tell, the store could not
    be read. Moments are UTC text, ``_mb`` is MiB of 1,048,576 bytes. Ages are negative for what
    comes from the future.

    Args:
        database_mb: the database file.
        wal_mb: its write-ahead log, as a file: it keeps its length when it begins anew.
        wal_frames: pages that the log holds.
        wal_unfolded_frames: of these, not yet folded back into the database file.
        reclaimable_mb: free pages within the database file; ``vacuum`` gives them back.
        last_checkpoint_at: when pages were last folded back, by the file's time.
        checkpoint_age_s: seconds since then.
        durability: ``full`` or ``normal``, as this process is set.
        sqlite_version: of the library that this process uses.
        sqlite_has_wal_reset_fix: False up to 3.51.2, which could lose a commit.
        sqlite_without_fix: 1 if it has not, else 0; for a threshold.
        attached_processes: other processes that have the store open.
        readers: processes that hold a view of it, this one's open views included.
        oldest_reader: the process that has held one longest.
        oldest_reader_s: seconds that it has held it; of another process at least.
        writing_process: the process that holds the write lock.
        backups: whole backups of this store that were found.
        backups_damaged: others, that have not the size they had or not their own manifest.
        last_backup: the file of the newest.
        last_backup_at: when it was made.
        backup_age_hours: hours since then.
        schema_version: of the file.
        schema_latest: the newest that this version of the package knows.
        schema_pending: migrations that the file lacks.
        schema_ahead: migrations that it has and this version of the package does not know.
        invocations_total: runs ever counted, those that retention deleted too.
        invocations_hour: runs that began within the last hour.
        invocations_day: within the last 24 hours.
        invocations_week: within the last 7 days.
        success_rate_percent: completed runs of the last day, in whole hours, of all of it.
        success_rate_total_percent: completed runs of all that were ever counted.
        in_flight: runs that have not ended.
        in_flight_without_process: of these, runs whose process on this machine has.
        newest_at: the latest moment at which a run began.
        newest_age_s: seconds since then.
        slow_calls_day: slow calls of the last day.
        slowest_ms: the longest of them.
        slow_calls_by_name: the same by name, the most frequent first.
        disk_free_mb: room on the disk for this user.
        disk_total_mb: the disk.
        bytes_per_row: of the database file, see :mod:`metrics_store.health.growth`.
        rows_per_day: of the last 7 days.
        growth_mb_per_day: what a day adds.
        disk_days_left: how long the disk lasts at that.
        clock_ahead_s: how far the newest run, slow call or backup lies in the future; 0 if none.
    """

    database_mb: float | None = None
    wal_mb: float | None = None
    wal_frames: int | None = None
    wal_unfolded_frames: int | None = None
    reclaimable_mb: float | None = None
    last_checkpoint_at: str | None = None
    checkpoint_age_s: float | None = None
    durability: str | None = None
    sqlite_version: str | None = None
    sqlite_has_wal_reset_fix: bool | None = None
    sqlite_without_fix: int | None = None
    attached_processes: int | None = None
    readers: int | None = None
    oldest_reader: str | None = None
    oldest_reader_s: float | None = None
    writing_process: str | None = None
    backups: int | None = None
    backups_damaged: int | None = None
    last_backup: str | None = None
    last_backup_at: str | None = None
    backup_age_hours: float | None = None
    schema_version: int | None = None
    schema_latest: int | None = None
    schema_pending: int | None = None
    schema_ahead: int | None = None
    invocations_total: int | None = None
    invocations_hour: int | None = None
    invocations_day: int | None = None
    invocations_week: int | None = None
    success_rate_percent: float | None = None
    success_rate_total_percent: float | None = None
    in_flight: int | None = None
    in_flight_without_process: int | None = None
    newest_at: str | None = None
    newest_age_s: float | None = None
    slow_calls_day: int | None = None
    slowest_ms: float | None = None
    slow_calls_by_name: tuple[SlowCalls, ...] = ()
    disk_free_mb: float | None = None
    disk_total_mb: float | None = None
    bytes_per_row: float | None = None
    rows_per_day: float | None = None
    growth_mb_per_day: float | None = None
    disk_days_left: float | None = None
    clock_ahead_s: float | None = None

    def number(self, name: str) -> float | None:
        """The number of a metric that is measured in numbers; None if it is not known."""
        value = getattr(self, name)
        return float(value) if isinstance(value, (int, float)) else None


#: Every metric, in the order of the value above.
NAMES = tuple(field.name for field in fields(Metrics))
