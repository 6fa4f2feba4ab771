"""Paths that nothing can have: every call that takes one refuses it, and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from metrics_store import DataMigrator, JsonMetricsTracker, MetricsStore, open_tracker
from metrics_store.errors import ExportFailed, InvalidValue, SourceError, UsageError

CALLS: dict[str, Callable[[MetricsStore, Any], object]] = {
    "services": lambda store, path: store.import_services(path),
    "agents": lambda store, path: store.import_agents(path),
    "alerts": lambda store, path: store.import_alerts(path),
    "executions": lambda store, path: store.import_executions(path),
    "snapshots": lambda store, path: store.import_snapshots(path),
    "board": lambda store, path: store.take_board(path),
    "commits": lambda store, path: store.take_commits(path),
    "backup": lambda store, path: store.back_up(path),
    "legacy": lambda store, path: store.export_legacy(path),
    "health": lambda store, path: store.health(path),
    "store": lambda _, path: MetricsStore(path),
    "tracker": lambda _, path: open_tracker(path),
    "classic tracker": lambda _, path: JsonMetricsTracker(path),
    "migrator": lambda store, path: DataMigrator(path, store),
}
NO_PATHS = ("a\0b", "half \ud800", 5, b"x", ["x"])


@pytest.mark.parametrize("call", CALLS)
def test_what_can_be_no_path_is_refused(store: MetricsStore, call: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for path in NO_PATHS:
        with pytest.raises(UsageError) as refused:
            CALLS[call](store, path)
        assert refused.value.hint
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", ["x" * 5000, "a/" * 3000])
def test_a_path_that_is_too_long_is_refused(store: MetricsStore, path: str) -> None:
    for call, take in CALLS.items():
        if call != "store":  # opening says it in its own words
            with pytest.raises(UsageError, match="too long"):
                take(store, path)


def test_a_target_that_cannot_be_written_is_refused(store: MetricsStore) -> None:
    with pytest.raises(InvalidValue, match="neither file nor path"):
        store.export_legacy(None)  # type: ignore[arg-type]
    closed = StringIO()
    closed.close()
    for target in (BytesIO(), closed):
        with pytest.raises(ExportFailed):
            store.export_legacy(target)  # type: ignore[arg-type]


@pytest.mark.parametrize("branch", ["half \ud800", "a\0b"])
def test_a_branch_that_git_cannot_be_asked_for_is_refused(
    store: MetricsStore, tmp_path: Path, branch: str
) -> None:
    with pytest.raises(SourceError, match="git cannot be asked"):
        store.take_commits(tmp_path, branch=branch)


@pytest.mark.parametrize("timeout", ["soon", 0, -1, float("nan"), None, 10**30])
def test_what_is_no_time_for_git_is_refused(
    store: MetricsStore, tmp_path: Path, timeout: Any
) -> None:
    with pytest.raises(UsageError):
        store.take_commits(tmp_path, timeout=timeout)
