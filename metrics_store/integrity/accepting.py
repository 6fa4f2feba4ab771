"""Going on with a store that has lost the end of its log."""

from __future__ import annotations

from collections.abc import Sequence

from metrics_store import opening
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.integrity.checking import check_file
from metrics_store.manifest import Manifest
from metrics_store.settings import Settings
from metrics_store.sql import query


def accept(
    path: str, settings: Settings, clock: Clock, manifests: Sequence[Manifest]
) -> tuple[str, ...]:
    """Let a store whose log was lost be opened again, with what is left.

    Where a backup has seen more than is left, the store begins another generation: what is lost is
    not missed any more.

    Args:
        path: the database, symlinks resolved.
        manifests: of its backups.

    Returns:
        What was done, in words.

    Raises:
        StoreBusy: a process has the store open.
        OpenError: it cannot be opened.
    """
    done = opening.accept_loss(path, clock.now_us())
    report = check_file(path, level="quick", manifests=manifests, now_us=clock.now_us())
    if "lost_records" not in report.kinds:
        return done
    database = Database(settings, clock, create=False)
    try:
        database.write(
            lambda connection: connection.execute(query("integrity.begin_generation")),
            check_schema=False,
        )
    finally:
        database.close()
    lost = [finding for finding in report.findings if finding.kind == "lost_records"]
    return (*done, *(f"no longer missed: {finding.detail}" for finding in lost))
