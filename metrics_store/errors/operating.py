"""The errors of operating a store: backups, restoring, checking, health."""

from __future__ import annotations

from metrics_store.errors.general import MetricsStoreError, OpenError, UsageError


class LogLost(OpenError):
    """The store's write-ahead log is missing or damaged, and what was recorded last with it."""

    default_hint = (
        "If you have the -wal file, put it back. Else see what is lost with `metrics-store check`, "
        "and accept it with `metrics-store check --accept-loss`."
    )


# When a backup is made or looked at -----------------------------------------------------------


class BackupError(MetricsStoreError):
    """The backup could not be made."""


class BackupNotWhole(BackupError):
    """The copy did not pass its check, and was not kept."""

    default_hint = (
        "The store itself is damaged: see `metrics-store check`. To have a copy of it as it is: "
        "`metrics-store backup create --as-it-is`."
    )
    exit_code = 1


class BackupNotFound(UsageError):
    """There is no such backup."""

    default_hint = "See what there is with `metrics-store backup list`."


class BackupDamaged(BackupError):
    """The backup is damaged."""

    default_hint = "Use another one: `metrics-store backup list`."
    exit_code = 1


# When one is restored -------------------------------------------------------------------------


class RestoreRefused(MetricsStoreError):
    """The file cannot be restored, and nothing was changed."""

    exit_code = 2


class RestoreFailed(MetricsStoreError):
    """Restoring failed; the store is as it was."""


class NothingToUndo(UsageError):
    """There is no restore to take back."""


# When health is judged ------------------------------------------------------------------------


class InvalidThresholds(UsageError, ValueError):
    """The thresholds cannot be used."""

    default_hint = "`metrics-store health --stats` lists every metric with its thresholds."
