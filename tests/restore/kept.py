"""A store with a backup of it, and what was recorded before and since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from settable_clock import SettableClock

from metrics_store import MetricsStore, Settings
from metrics_store.backup import restoring
from metrics_store.backup.restoring_report import Restored

FIRST = [f"old-{n}" for n in range(20)]
SINCE = [f"new-{n}" for n in range(7)]


@dataclass
class Kept:
    """A store with a backup, and what was recorded before and since."""

    store: MetricsStore
    backup: Path
    settings: Settings
    clock: SettableClock

    @property
    def path(self) -> Path:
        return self.settings.database

    def plan(self, file: Path | None = None, **more: bool) -> Restored:
        return restoring.plan(file or self.backup, self.settings, self.clock, **more)

    def restore(self, file: Path | None = None, **more: bool) -> Restored:
        return restoring.restore(file or self.backup, self.settings, self.clock, **more)

    def undo(self, *, execute: bool = True) -> Restored:
        return restoring.undo(self.settings, self.clock, execute=execute)
