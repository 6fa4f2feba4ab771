"""Directories of backups, and stores to be backed up."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from metrics_store import MetricsStore
from metrics_store.manifest import Manifest

NOW = "20260310T120000000000"

_MADE = Manifest(
    file="",
    sha256="0" * 64,
    size=4,
    made_at="2026-03-10T12:00:00.000000Z",
    source="/s/m.db",
    store_id="s",
    generation="g",
    reason="manual",
    schema_version=5,
    sqlite_version="3.40.0",
    package_version="0.1.0",
    logs=(),
    in_flight=0,
    findings=0,
)


def made(file: str, **members: object) -> Manifest:
    """A manifest of a file of four bytes, with some members of it given."""
    return replace(_MADE, file=file, **members)  # type: ignore[arg-type]


def names(directory: Path) -> list[str]:
    """What is in a directory of backups but its lock."""
    return sorted(name for name in os.listdir(directory) if name != ".backups.lock")


def filled(store: MetricsStore, count: int = 300) -> MetricsStore:
    """The store, with some records and one in flight."""
    store.record_invocations(
        {
            "skill_name": f"skill-{n % 7}",
            "duration_seconds": n / 10,
            "workflow_path": f"path {n % 5}",
            "session_id": f"s{n % 3}",
            "follow_up_actions": ["a"],
        }
        for n in range(count)
    )
    store.track_invocation("open")
    return store
