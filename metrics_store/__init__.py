"""metrics_store: an embedded, durable store for what skills, tasks and agents do."""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from metrics_store.errors import MetricsStoreError
from metrics_store.records import BatchResult
from metrics_store.settings import Settings
from metrics_store.store import MetricsStore
from metrics_store.tracking import OpenInvocation

if TYPE_CHECKING:
    from metrics_store.live.state import LiveState
    from metrics_store.snapshots.sink import SnapshotSink
    from metrics_store.trackers.dual import DualReadMetricsTracker, DualWriteMetricsTracker
    from metrics_store.trackers.json_tracker import JsonMetricsTracker
    from metrics_store.trackers.phased import PhasedTracker

__version__ = "0.1.0"
__all__ = [
    "BatchResult",
    "DualReadMetricsTracker",
    "DualWriteMetricsTracker",
    "JsonMetricsTracker",
    "LiveState",
    "MetricsStore",
    "MetricsStoreError",
    "OpenInvocation",
    "Settings",
    "SkillMetricsStore",
    "SnapshotSink",
    "get_store",
    "open_tracker",
    "track_skill",
]

#: The classic name of the same class.
SkillMetricsStore = MetricsStore

_stores: dict[str, MetricsStore] = {}
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A lock that another thread held at the fork would stay locked in the child.
    os.register_at_fork(after_in_child=lambda: globals().__setitem__("_lock", threading.Lock()))


def get_store(database: str | os.PathLike[str] | None = None) -> MetricsStore:
    """The process's store for a database, opened at the first call and shared from then on.

    Args:
        database: the file; None for the configured one (see :class:`Settings`).

    Raises:
        OpenError, SchemaError: as :class:`MetricsStore`.
    """
    settings = Settings.load(database)
    key = os.path.realpath(settings.database)
    with _lock:
        store = _stores.get(key)
        if store is None or store.database.closed:
            store = _stores[key] = MetricsStore(settings=settings)
        return store


def track_skill(
    skill_name: str,
    workflow_path: str | None = None,
    session_id: str | None = None,
    project_path: str | os.PathLike[str] | None = None,
    attributes: dict[str, object] | None = None,
) -> OpenInvocation:
    """Start an invocation in the process's own store; as :meth:`MetricsStore.track_invocation`."""
    return get_store().track_invocation(
        skill_name, workflow_path, session_id, project_path, attributes
    )


def open_tracker(
    json_file: str | os.PathLike[str],
    db: str | os.PathLike[str] | MetricsStore | None = None,
    on_error: Literal["log", "raise"] = "log",
) -> PhasedTracker:
    """A tracker with the classic calls that follows the migration off a legacy JSON file.

    Before a migration it writes the JSON file, locked and merged; afterwards the store; between
    the two both, as the phase says, also while that changes.

    Args:
        json_file: the legacy file.
        db: the store; by default the one that the migration names.
        on_error: ``log`` keeps failures from the caller, and the record waits in a spill file;
            ``raise`` raises those of the side that decides.
    """
    from metrics_store.trackers.phased import PhasedTracker

    return PhasedTracker(json_file, db, on_error)


#: Loaded when first asked for, with the legacy side.
_LAZY = {
    "DataMigrator": "metrics_store.classic",
    "DualReadMetricsTracker": "metrics_store.trackers.dual",
    "DualWriteMetricsTracker": "metrics_store.trackers.dual",
    "JsonMetricsTracker": "metrics_store.trackers.json_tracker",
    "LiveState": "metrics_store.live.state",
    "MigrationRunner": "metrics_store.classic",
    "SnapshotSink": "metrics_store.snapshots.sink",
    "check_database_health": "metrics_store.classic",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
