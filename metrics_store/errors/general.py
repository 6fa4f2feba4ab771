"""The tree of errors: its root, and the errors of the store.

The docstring of a class is its message; the constructor adds the detail of this case and a hint,
which says what the person can do now. Grouped by when they happen.
"""

from __future__ import annotations

from typing import ClassVar


class MetricsStoreError(Exception):
    """Something went wrong in the metrics store."""

    default_hint: ClassVar[str] = ""
    exit_code: ClassVar[int] = 3

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint or self.default_hint

    @property
    def message(self) -> str:
        """The first line of the docstring, without its full stop."""
        return (type(self).__doc__ or "").strip().splitlines()[0].rstrip(".")

    def __str__(self) -> str:
        return f"{self.message}: {self.detail}" if self.detail else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process pools; the default would call the class without its keywords.
        return (_rebuild, (type(self), self.detail, self.hint, self.__dict__))


def _rebuild(
    kind: type[MetricsStoreError], detail: str, hint: str, state: dict[str, object]
) -> MetricsStoreError:
    error = kind.__new__(kind)
    Exception.__init__(error, detail)
    error.__dict__.update(state, detail=detail, hint=hint)
    return error


# When the caller's words are off --------------------------------------------------------------


class UsageError(MetricsStoreError):
    """The call cannot be understood."""

    exit_code = 2


class InvalidValue(UsageError, ValueError):
    """A value cannot be recorded."""


class InvalidSetting(UsageError, ValueError):
    """A setting is not usable."""


class InvalidQuery(UsageError, ValueError):
    """The query is not usable."""


# When a store is opened -----------------------------------------------------------------------


class OpenError(MetricsStoreError):
    """The store cannot be opened."""


class StoreNotFound(OpenError):
    """There is no store here."""

    default_hint = "Name the file with --db or METRICS_STORE_DB, or record something first."


class ForeignDatabase(OpenError):
    """The file is not a metrics store."""

    default_hint = "Name another file with --db; this one was left as it is."


class CorruptStore(OpenError):
    """The database file is damaged."""

    default_hint = "Keep a copy of the file with its -wal, then restore the newest backup."


class StoreNotWritable(OpenError):
    """The store cannot be written."""

    default_hint = "Look at the owner and mode of the file and of its directory."


class DiskFailed(OpenError):
    """The disk reported an error while the store was opened."""

    default_hint = "Look at the disk (dmesg); nothing was recorded, and the file is as it was."


class UnsafeFilesystem(OpenError):
    """The file is on a network file system, where SQLite's locks cannot be trusted."""

    default_hint = (
        "Use a local disk, or set allow_network_filesystem=true if only one host uses it."
    )


class ForkedInUse(OpenError):
    """This process was forked while the store was in use, and cannot use it safely."""

    default_hint = (
        "Start it with exec (subprocess, multiprocessing's spawn), or fork while nobody writes."
    )


class StoreClosed(MetricsStoreError):
    """The store was closed."""

    default_hint = "Open a new MetricsStore; a closed one is not opened again."


# When the schema is looked at -----------------------------------------------------------------


class SchemaError(MetricsStoreError):
    """The schema is not as it should be."""


class SchemaNewer(SchemaError):
    """The database was made by a newer version of metrics_store."""

    default_hint = "Upgrade the package: pip install -U metrics-store."


class SchemaDrift(SchemaError):
    """A migration was changed after it had been applied."""

    default_hint = "Restore the migration's file; put the change into a migration of its own."


class UnknownMigration(SchemaError):
    """The database has a migration that this version does not know."""

    default_hint = "Use the version of metrics_store that made it, or a newer one."


class NoMigrations(SchemaError):
    """No migration files were found."""

    default_hint = "The installation is not whole: pip install --force-reinstall metrics-store."


class MigrationFailed(SchemaError):
    """A migration failed, and nothing of it was kept."""


# When the store is written or read ------------------------------------------------------------


class WriteError(MetricsStoreError):
    """The record was not written."""


class StoreBusy(WriteError):
    """Another process held the store's lock until the time limit."""

    default_hint = "See which process holds it (fuser FILE), or raise busy_timeout."


class DiskFull(WriteError):
    """There is no space left for the store."""

    default_hint = "Free some space; nothing that was acknowledged is lost, and reading goes on."


class OutcomeUnknown(WriteError):
    """The disk reported an error, and whether the record was kept is unknown."""

    default_hint = "Look the id up, then record it again under the same id: it is counted once."


class AlreadyEnded(WriteError):
    """The invocation has already ended."""

    default_hint = "An invocation ends once; the first ending was kept."


class InvocationNotFound(WriteError):
    """There is no such invocation in flight."""


class DuplicateRecord(WriteError):
    """Another record with this id is already in the log."""

    default_hint = "Use a new id for a new record; the log is never changed."


class ReadError(MetricsStoreError):
    """The store could not be read."""

    default_hint = "Try again; if it stays so, look at the disk (dmesg) and at the file's mode."


class ExportFailed(ReadError):
    """The file could not be written; what was there is as it was."""
