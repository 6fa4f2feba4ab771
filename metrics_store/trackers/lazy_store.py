"""The store of a tracker: opened when a phase first needs it, and asked what it knows."""

from __future__ import annotations

import logging
import os
import threading

from metrics_store.clock import Clock
from metrics_store.errors import ControlUnreadable, MetricsStoreError, OtherMigration
from metrics_store.legacy import control
from metrics_store.legacy.control import ControlReader, Phase
from metrics_store.sql import query
from metrics_store.store import MetricsStore

log = logging.getLogger("metrics_store")


class LazyStore:
    """Gives a store.

    Args:
        db: the store, its file, or None for the one that the control file names, else the
            configured one.
        reader: follows the control file.
        json_file: the legacy file, symlinks resolved.
        now: source of time.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | MetricsStore | None,
        reader: ControlReader,
        json_file: str,
        now: Clock,
    ) -> None:
        self._given = db if isinstance(db, MetricsStore) else None
        self._path = None if db is None or isinstance(db, MetricsStore) else os.fspath(db)
        self._reader = reader
        self._json_file = json_file
        self._clock = now
        self._store: MetricsStore | None = None
        self._opening = threading.Lock()

    def __call__(self) -> MetricsStore:
        """The store, opened once.

        Raises:
            OpenError, SchemaError: it cannot be opened.
            OtherMigration: the control file names another one.
            ControlError: the control file cannot be read.
        """
        with self._opening:
            there = self._reader.current()
            if self._given is not None:
                if there is not None and self._given.path != there.database:
                    raise OtherMigration(f"the control file names {there.database}")
                return self._given
            if self._store is None:
                path = self._path
                if there is not None:
                    if path is not None and control.resolved(path) != there.database:
                        raise OtherMigration(f"the control file names {there.database}")
                    path = there.database
                # A migration has made its store; one that is missing must not be made anew, empty.
                self._store = MetricsStore(path, create=there is None, clock=self._clock)
            return self._store

    def knows_of_no_migration(self) -> bool:
        """Ask the store whether a control file that is not there should be.

        Returns:
            Whether it was asked, or there is none to ask.

        Raises:
            ControlUnreadable: it should.
        """
        if self._given is None and (self._path is None or not os.path.exists(self._path)):
            return True
        try:
            with self().database.read() as connection:
                found = connection.execute(query("phases.mirrored")).fetchone()
        except MetricsStoreError as error:
            log.warning("the store was not asked for its phase: %s", error)
            return False
        if found and found[1] == self._json_file and found[3] != Phase.LEGACY:
            path = control.control_path(self._json_file)
            raise ControlUnreadable(f"{path} is gone; the store is in {found[3]}")
        return True

    def close(self) -> None:
        """Close the store, if it was opened here."""
        with self._opening:
            if self._store is not None:
                self._store.close()
                self._store = None
