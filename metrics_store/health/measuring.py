"""Measuring a store, and judging what was measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from metrics_store.clock import Clock, text
from metrics_store.connection import Database
from metrics_store.errors import (
    ForeignDatabase,
    ForkedInUse,
    MetricsStoreError,
    StoreClosed,
    StoreNotFound,
)
from metrics_store.health import judging, viewing
from metrics_store.health.log_readers import LogReaders
from metrics_store.health.metrics import Metrics
from metrics_store.health.observation import Observation
from metrics_store.health.report import Finding, HealthReport, worst
from metrics_store.health.surroundings import Room, room_of
from metrics_store.health.thresholds import DEFAULTS, Thresholds
from metrics_store.health.viewing import View
from metrics_store.settings import Settings
from metrics_store.waiting import Patience

#: There is no store to look at, or not for this process; any other error is something to say of it.
_NO_STORE = (StoreNotFound, StoreClosed, ForkedInUse)
#: Longest wait for somebody who holds all of the store: a look should not hang.
_LONGEST_WAIT = 5.0


def measure(
    store: Database | str | os.PathLike[str],
    settings: Settings | None = None,
    clock: Clock | None = None,
    *,
    thresholds: Thresholds = DEFAULTS,
    log_readers: LogReaders | None = None,
    room: Callable[[str], Room] = room_of,
) -> HealthReport:
    """Look at a store, without changing anything, and say how it is.

    It may be read-only, of an older or a newer schema, or damaged: what can be said is said, and
    the rest is a finding.

    Args:
        store: an open database, or the path of one.
        settings: as it is opened; by default the database's, else the configured ones.
        clock: source of time; by default the database's.
        thresholds: what is past them is a finding.
        log_readers: kept from one call to the next, it knows for how long views have been held.
        room: gives the room on the disk of a directory.

    Raises:
        StoreNotFound, ForeignDatabase, OpenError: there is no store to look at.
    """
    if isinstance(store, Database):
        settings, time = settings or store.settings, clock or store.clock
        path, own_view = store.path, store.oldest_view_age()
    else:
        settings, time = settings or Settings.load(store), clock or Clock()
        path, own_view = viewing.locate(settings), None
    seen = Observation(path, settings, time.now_us())
    seen.files(room)
    patience = Patience(min(settings.busy_timeout, _LONGEST_WAIT), time)
    readers = log_readers or LogReaders(path, time)

    def inside(view: View) -> Observation:
        # Anew each time: only the last look counts.
        fresh = replace(seen, troubles=list(seen.troubles))
        fresh.inside(view, readers, own_view)
        return fresh

    try:
        seen = viewing.look(
            store if isinstance(store, Database) else path, settings, patience, inside
        )
    except _NO_STORE:
        raise
    except MetricsStoreError as error:
        if isinstance(error, ForeignDatabase) and error.__cause__ is None:
            raise  # a database, and another program's
        seen.cannot_be_read(error)
    findings = judging.judge(seen.metrics, seen.troubles, thresholds)
    moment = text(seen.now_us)
    return HealthReport(path, moment, worst(findings), findings, seen.metrics)


def vanished(before: HealthReport, error: MetricsStoreError, clock: Clock) -> HealthReport:
    """The report on a store that was there a moment ago, and cannot be looked at any more.

    Args:
        before: the last report.
        error: what :func:`measure` raised.
        clock: source of time.
    """
    finding = Finding("CRITICAL", "store", "", None, None, f"{error}.", error.hint)
    moment = text(clock.now_us())
    return HealthReport(before.database, moment, "CRITICAL", (finding,), Metrics())
