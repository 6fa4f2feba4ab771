"""Every metric with its unit and its limits: the one table, which `health --stats` shows.

A limit is passed *above* or *below* it, the limit itself is still fine. What has no limits here may
get some from a file of thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from metrics_store.health.report import Level

Side = Literal["above", "below"]
#: From the first to fire to the last.
LEVELS: tuple[Level, ...] = ("WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Limits:
    """Where each level begins; None switches it off."""

    warning: float | None = None
    error: float | None = None
    critical: float | None = None

    def of(self, level: Level) -> float | None:
        """The limit of a level."""
        value: float | None = getattr(self, level.lower())
        return value


@dataclass(frozen=True, slots=True)
class Rule:
    """A metric and when it asks for a person.

    Args:
        metric: its name.
        unit: ``MiB``, ``s``, ``h``, ``ms``, ``days``, ``%``, ``bytes``, ``count``, ``number``,
            ``moment`` or ``text``.
        bad: on which side of a limit it is bad; None if it has no limits.
        limits: the defaults.
        kind: one word for findings of it.
        sentence: a finding in words, with ``{value}`` and ``{threshold}``.
        hint: what to do.
        only_if: another metric and the least it must be.
        group: the part of the page it stands in.
    """

    metric: str
    unit: str
    bad: Side | None = None
    limits: Limits = Limits()
    kind: str = ""
    sentence: str = ""
    hint: str = ""
    only_if: tuple[str, float] | None = None
    group: str = ""


def _grouped(group: str, *rules: Rule) -> tuple[Rule, ...]:
    return tuple(replace(rule, group=group, kind=rule.kind or group) for rule in rules)


_STORE = _grouped(
    "store",
    Rule(
        "database_mb", "MiB", "above", Limits(warning=500),
        sentence="The database has {value}, more than {threshold}.",
        hint="See what is in it with `metrics-store info`; if it may be that large, raise the "
        "limit database_mb in a file of thresholds.",
    ),
    Rule("reclaimable_mb", "MiB", "above",
         hint="Give it back to the disk: `metrics-store vacuum`."),
    Rule("schema_version", "count"),
    Rule("schema_latest", "count"),
    Rule(
        "schema_pending", "count", "above", Limits(warning=0), kind="schema",
        sentence="The schema lacks {value} of the migrations that this version knows.",
        hint="They are applied when the store is next opened, or by `metrics-store schema apply`.",
    ),
    Rule(
        "schema_ahead", "count", "above", Limits(error=0), kind="schema",
        sentence="The schema is newer by {value} than this version of metrics-store knows.",
        hint="Upgrade this installation: pip install -U metrics-store.",
    ),
    Rule("durability", "text"),
    Rule("sqlite_version", "text"),
    Rule("sqlite_has_wal_reset_fix", "text"),
    Rule(
        "sqlite_without_fix", "count", "above", Limits(warning=0),
        kind="sqlite",
        sentence="This SQLite has the WAL-reset bug, which can lose a commit.",
        hint="Install pysqlite3 0.6.1 or newer, or a Python with SQLite 3.51.3 or newer. Until "
        "then let no other program run a checkpoint on the store.",
    ),
)  # fmt: skip

_LOG = _grouped(
    "log",
    Rule(
        "wal_mb", "MiB", "above", Limits(warning=64, error=256), kind="wal",
        sentence="The write-ahead log has {value}, more than {threshold}.",
        hint="Something keeps it from being folded back, as a rule a reader that does not end: "
        "end it, then `metrics-store checkpoint`.",
    ),
    Rule("wal_frames", "count"),
    Rule("wal_unfolded_frames", "count", "above", kind="wal"),
    Rule("last_checkpoint_at", "moment"),
    Rule("checkpoint_age_s", "s", "above", kind="wal",
         hint="Fold the log back: `metrics-store checkpoint`."),
)  # fmt: skip

_READERS = _grouped(
    "readers",
    Rule("attached_processes", "count", "above"),
    Rule("readers", "count", "above"),
    Rule("oldest_reader", "text"),
    Rule(
        "oldest_reader_s", "s", "above", Limits(warning=60, error=600),
        sentence="A view of the store has been held for {value}, longer than {threshold}.",
        hint="It keeps the write-ahead log from being folded back: end it.",
    ),
    Rule("writing_process", "text"),
)  # fmt: skip

_BACKUP = _grouped(
    "backup",
    Rule(
        "backups", "count", "below", Limits(warning=1),
        sentence="There is no backup of this store.",
        hint="Make one: `metrics-store backup create`.",
        only_if=("invocations_total", 1001),
    ),
    Rule(
        "backups_damaged", "count", "above", Limits(warning=0),
        sentence="Damaged backups: {value}.",
        hint="See which with `metrics-store backup list`, and make a new one.",
    ),
    Rule("last_backup", "text"),
    Rule("last_backup_at", "moment"),
    Rule(
        "backup_age_hours", "h", "above", Limits(warning=36, error=168),
        sentence="The newest backup is {value} old, older than {threshold}.",
        hint="Make one: `metrics-store backup create`; scripts/backup.sh has a line for cron.",
    ),
)  # fmt: skip

_RUNS = _grouped(
    "runs",
    Rule("invocations_total", "count", "above"),
    Rule("invocations_hour", "count", "below"),
    Rule("invocations_day", "count", "below"),
    Rule("invocations_week", "count", "below"),
    Rule(
        "success_rate_percent", "%", "below",
        Limits(warning=85, error=70), kind="success",
        sentence="Of the last day's runs {value} completed, fewer than {threshold}.",
        hint="See which and why: `metrics-store skills list --sort completion`, "
        "`metrics-store invocations --outcome failed`.",
        only_if=("invocations_day", 20),
    ),
    Rule("success_rate_total_percent", "%", "below", kind="success"),
    Rule("newest_at", "moment"),
    Rule("newest_age_s", "s", "above"),
    Rule("in_flight", "count", "above"),
    Rule(
        "in_flight_without_process", "count", "above",
        Limits(warning=0), kind="in_flight",
        sentence="In flight although their process has ended: {value}.",
        hint="Close them as abandoned: `metrics-store reap`.",
    ),
)  # fmt: skip

_SLOW = _grouped(
    "slow",
    Rule(
        "slow_calls_day", "count", "above", Limits(warning=10),
        sentence="Slow calls of the store in the last day: {value}, more than {threshold}.",
        hint="See which: `metrics-store health --stats`. Waiting for the lock comes from other "
        "writers, the rest from the disk.",
    ),
    Rule("slowest_ms", "ms", "above"),
)  # fmt: skip

_DISK = _grouped(
    "disk",
    Rule(
        "disk_free_mb", "MiB", "below", Limits(warning=1024, critical=100),
        sentence="The disk has {value} left, less than {threshold}.",
        hint="Free some space. `metrics-store backup prune` deletes old backups, "
        "`metrics-store vacuum` gives free pages back.",
    ),
    Rule("disk_total_mb", "MiB"),
    Rule("bytes_per_row", "bytes"),
    Rule("rows_per_day", "number", "above"),
    Rule("growth_mb_per_day", "MiB", "above"),
    Rule(
        "disk_days_left", "days", "below",
        Limits(warning=30, error=7, critical=2),
        sentence="At the last week's growth the disk is full in {value}, less than {threshold}.",
        hint="Move the store, or free some space.",
    ),
)  # fmt: skip

_CLOCK = _grouped(
    "clock",
    Rule(
        "clock_ahead_s", "s", "above", Limits(warning=60),
        sentence="Something in the store is from {value} in the future.",
        hint="Set this machine's clock; what was recorded keeps its moment, and the order of the "
        "log is right all the same.",
    ),
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    *_STORE, *_LOG, *_READERS, *_BACKUP, *_RUNS, *_SLOW, *_DISK, *_CLOCK,
)  # fmt: skip
BY_METRIC = {rule.metric: rule for rule in RULES}
