"""What an operator does with a store that is open: backups, checks, health, keeping it in shape.

Restoring is not here: it works on the file, whoever has it open
(:func:`metrics_store.backup.restoring.restore`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from metrics_store import location
from metrics_store.connection import Database

if TYPE_CHECKING:
    from metrics_store.backup.creating import Backup
    from metrics_store.backup.keeping import Keep
    from metrics_store.health.report import HealthReport
    from metrics_store.integrity.findings import CheckReport, Level
    from metrics_store.integrity.repairing import RepairReport
    from metrics_store.maintenance import Checkpointed, Info, Vacuumed


class Operations:
    """The operator's calls; each is a command too."""

    # What they need is imported when it is called: a runner that records never needs it.

    _database: Database

    def back_up(
        self, directory: str | os.PathLike[str] | None = None, *, keep: Keep | None = None
    ) -> Backup:
        """Copy the store while others write, check the copy in full, and keep it.

        Args:
            directory: made if it is not there; by default the setting ``backup_directory``, else
                ``NAME.backups`` beside the store.
            keep: rules by which older backups there are deleted then; None keeps all.

        Raises:
            BackupError: it could not be made, or the copy is not whole; nothing was kept.
            NoSpace: there is no room for it.
        """
        from metrics_store.backup import creating

        where = None if directory is None else Path(location.named(directory))
        return creating.create(self._database, where, keep=keep)

    def check(self, level: Level = "standard") -> CheckReport:
        """Look for damage; nothing is changed.

        Args:
            level: ``quick``, ``standard``, or ``deep``, which recomputes every row's digest.

        Raises:
            ReadError: the file cannot be read.
        """
        from metrics_store import integrity, manifest

        database = self._database
        with database.read(check_schema=False) as connection:
            directories = manifest.directories(database.settings, connection)
        return integrity.check_file(
            database.path,
            level=level,
            manifests=tuple(manifest.whole(directories)),
            now_us=database.clock.now_us(),
        )

    def repair(self) -> RepairReport:
        """Make anew what follows from the logs, in one transaction, after a copy was made.

        Raises:
            WriteError: nothing was changed.
            BackupError: there is no copy, so nothing was changed.
        """
        from metrics_store.backup import creating
        from metrics_store.integrity import repairing

        creating.create(self._database, reason="before repair")
        return repairing.repair(self._database)

    def health(self, thresholds: str | os.PathLike[str] | None = None) -> HealthReport:
        """Measure the store, and judge it.

        Args:
            thresholds: a YAML file; what it does not name, and all without it, is by default.

        Raises:
            InvalidThresholds: the file cannot be read, or something in it makes no sense.
        """
        from metrics_store import health

        if thresholds is None:
            return health.measure(self._database)
        from metrics_store.health.thresholds import load

        return health.measure(self._database, thresholds=load(thresholds))

    def vacuum(self, *, seconds: float | None = None, full: bool = False) -> Vacuumed:
        """Give free pages back to the file system; see :func:`metrics_store.maintenance.vacuum`."""
        from metrics_store import maintenance

        return maintenance.vacuum(self._database, seconds=seconds, full=full)

    def analyze(self) -> float:
        """Renew the statistics by which SQLite chooses indexes; gives the seconds it took."""
        from metrics_store import maintenance

        return maintenance.analyze(self._database)

    def checkpoint(self, *, truncate: bool = False) -> Checkpointed:
        """Fold the write-ahead log back; see :func:`metrics_store.maintenance.checkpoint`."""
        from metrics_store import maintenance

        return maintenance.checkpoint(self._database, truncate=truncate)

    def info(self) -> Info:
        """Tell what the store is: its ids, its size, its logs, how it is kept."""
        from metrics_store import maintenance

        return maintenance.info(self._database)
