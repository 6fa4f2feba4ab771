"""The classic helpers, in the shape that code written for them expects."""

from __future__ import annotations

import os
from pathlib import Path

from metrics_store import location, schema
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import SchemaError
from metrics_store.legacy.importing import take_in
from metrics_store.settings import Settings
from metrics_store.store import MetricsStore


class DataMigrator:
    """Takes a legacy file into a store.

    Args:
        json_path: the legacy file.
        db_store: the store.
        batch_size: kept for code that gives it; batches are of the store's own size.
    """

    def __init__(
        self, json_path: str | os.PathLike[str], db_store: MetricsStore, batch_size: int = 1000
    ) -> None:
        self.json_path = Path(location.named(json_path))
        self.db_store = db_store
        self.batch_size = batch_size

    def migrate_all_data(self) -> dict[str, int]:
        """Take everything in; a second time nothing is added.

        Returns:
            ``invocations_migrated`` (new or newly ended rows), ``metrics_migrated`` (skills of the
            file), ``validation_errors`` (differences that nothing explains, 0 if all is well),
            and ``quarantined`` (records kept as text, for they cannot be rows).

        Raises:
            LegacyFileError: as :func:`metrics_store.legacy.importing.take_in`.
        """
        report = take_in(self.db_store, self.json_path)
        return {
            "invocations_migrated": report.inserted + report.upgraded,
            "metrics_migrated": report.skills,
            "validation_errors": sum(report.comparison.unexplained.values()),
            "quarantined": report.quarantined,
        }


class MigrationRunner:
    """Runs schema migrations.

    Args:
        db_path: the database; made if it is missing.
        migrations_dir: the migrations; by default the package's own.
    """

    def __init__(
        self,
        db_path: str | os.PathLike[str],
        migrations_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.db_path = Path(db_path)
        self.migrations_dir = (
            schema.migrations_directory() if migrations_dir is None else Path(migrations_dir)
        )

    def run_migrations(self) -> tuple[str, ...]:
        """Apply what is pending, all of it or nothing; gives the names.

        Raises:
            SchemaError: see :mod:`metrics_store.schema`.
        """
        database = self._open()
        try:
            return schema.apply(database, self.migrations_dir)
        finally:
            database.close()

    def rollback_migration(self, version: int) -> tuple[str, ...]:
        """Take a migration back, and every newer one; gives the names, newest first.

        Raises:
            SchemaError: it is not applied.
        """
        if version < 1:
            raise SchemaError(f"there is no migration {version}", hint="They count from 1.")
        database = self._open()
        try:
            return schema.roll_back(database, version - 1, self.migrations_dir)
        finally:
            database.close()

    def _open(self) -> Database:
        return Database(Settings.load(self.db_path), Clock())


def check_database_health(store: MetricsStore) -> dict[str, float | int]:
    """The classic four numbers: ``database_size_mb``, ``total_invocations``, ``total_skills`` and
    ``schema_version``. The size is that of the file with its write-ahead log, in MiB."""
    summary = store.get_summary()
    return {
        "database_size_mb": sum(
            os.stat(store.path + suffix).st_size
            for suffix in ("", "-wal")
            if os.path.exists(store.path + suffix)
        )
        / (1024 * 1024),
        "total_invocations": summary.total_invocations,
        "total_skills": summary.total_skills,
        "schema_version": schema.version(store.database),
    }
