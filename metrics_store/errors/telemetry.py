"""Errors of the sibling families: services, snapshots, executions, agents, alerts, retention."""

from __future__ import annotations

from metrics_store.errors.general import MetricsStoreError, UsageError


class MissingExtra(UsageError):
    """An optional package is needed for this."""


class SourceError(MetricsStoreError):
    """What is to be imported cannot be read."""


class CommandFailed(MetricsStoreError):
    """A command that was run for its output failed."""

    exit_code = 3


class SnapshotNotFound(UsageError):
    """There is no such snapshot."""


class AlertNotFound(UsageError):
    """There is no such alert."""


class InvalidRules(UsageError):
    """The rules cannot be used."""


class RetentionRefused(UsageError):
    """Retention was refused, and nothing was deleted."""
