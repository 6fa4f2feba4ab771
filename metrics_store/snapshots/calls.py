"""The calls of a store for snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from metrics_store.connection import Database
from metrics_store.errors import SnapshotNotFound
from metrics_store.rows import Moment

if TYPE_CHECKING:
    from metrics_store.snapshots.reading import Which
    from metrics_store.snapshots.results import (
        Found,
        Imported,
        Quarantined,
        Recorded,
        Snapshot,
        SnapshotDiff,
        Trend,
    )
    from metrics_store.snapshots.trends import Per

Span = str | float | timedelta


class Snapshots:
    """Recording a status over time, and reading it."""

    # What they need is imported when it is called: a runner that records skills never needs it.

    _database: Database

    def record_snapshot(
        self,
        payload: Mapping[str, object] | str | bytes,
        at: Moment = None,
        min_interval: Span | None = None,
        *,
        zone: str | None = None,
    ) -> Recorded:
        """Record what a status tool says.

        Args:
            payload: a mapping that JSON can hold, or JSON text; the long names and the short
                ones of docs/snapshots.md. What is not known stays in ``payload_json``.
            at: its moment; by default what the payload says itself, else now.
            min_interval: skip it if another snapshot is less than this away, before or after:
                seconds, a timedelta, or text such as ``"5 minutes"``.
            zone: whose local time a moment without an offset is; by default this machine's.

        Raises:
            InvalidValue: the payload cannot be recorded.
            WriteError: it was not recorded.
        """
        from metrics_store.snapshots import recording

        return recording.record(self._database, payload, at, min_interval, zone)

    def import_snapshots(
        self,
        *files: str | os.PathLike[str],
        zone: str | None = None,
    ) -> Imported:
        """Take in files of JSON lines, compressed by gzip or not; a second time adds nothing.

        A line that cannot be a snapshot goes into quarantine; a last line that is not whole is
        left for the next time.

        Args:
            files: of a sink, of an export, or lines as a tool printed them.
            zone: whose local time moments without an offset are; by default this machine's.

        Raises:
            SourceError: a file cannot be read; files before it may have been taken in.
            WriteError: what was taken in before stays; take it in again.
        """
        from metrics_store.snapshots import importing

        return importing.import_files(self._database, files, zone)

    def snapshots(
        self, window: Span | None = None, *, limit: int | None = None, now: Moment = None
    ) -> tuple[Snapshot, ...]:
        """Snapshots, oldest first.

        Args:
            window: how far back from now, such as ``"24h"``, or seconds; None is all of them.
            limit: only the newest so many.
            now: the end, by default the present.

        Raises:
            InvalidQuery: an argument is not usable.
        """
        return tuple(self.each_snapshot(window, limit=limit, now=now))

    def each_snapshot(
        self, window: Span | None = None, *, limit: int | None = None, now: Moment = None
    ) -> Iterator[Snapshot]:
        """As :meth:`snapshots`, a page at a time, for more than the memory holds.

        Args:
            window, limit, now: as there.
        """
        from metrics_store.snapshots import reading

        return reading.each(self._database, window, limit, now)

    def snapshot(self, which: Which = "latest") -> Found | None:
        """One snapshot; None if there is none.

        Args:
            which: an id, a number (``seq``), ``"latest"``, or a moment, whose nearest snapshot is
                meant: an aware datetime, or ISO 8601 text with an offset.
        """
        from metrics_store.snapshots import reading

        with self._database.read() as connection:
            return reading.one(connection, which)

    def snapshot_diff(self, before: Which, after: Which = "latest") -> SnapshotDiff:
        """What became of every value between two snapshots.

        Args:
            before, after: as for :meth:`snapshot`.

        Raises:
            SnapshotNotFound: there is none of them.
        """
        from metrics_store.snapshots import comparing, reading

        with self._database.read() as connection:
            found = [(which, reading.one(connection, which)) for which in (before, after)]
        for which, one in found:
            if one is None:
                raise SnapshotNotFound(f"{which}")
        (_, first), (_, second) = found
        assert first is not None
        assert second is not None
        return comparing.diff(first, second)

    def snapshot_trend(
        self,
        field: str,
        per: Per = "day",
        window: Span | None = None,
        *,
        project: str | None = None,
        now: Moment = None,
    ) -> Trend:
        """The course of one number, oldest bucket first, with empty buckets where nothing was said.

        Args:
            field: a column with numbers, such as ``files_indexed``.
            per: ``day`` or ``hour``, in UTC. Days are exact also after retention has deleted their
                snapshots; hours are then gone.
            window: how far back from now; by default 30 days, or 48 hours.
            project: whose ``file_count``, ``files_indexed``, ``chunk_count`` or
                ``vectorized_chunks`` it is; None for the status of all.
            now: the end, by default the present.

        Raises:
            InvalidQuery: an argument is not usable.
        """
        from metrics_store.snapshots import reading, trends

        now_us = reading.end_us(self._database, now)
        with self._database.read() as connection:
            return trends.trend(connection, field, per, window, project, now_us)

    def snapshot_quarantine(self, limit: int = 1000) -> Sequence[Quarantined]:
        """Lines that imports could not take in, in the order they came.

        Args:
            limit: at most so many.
        """
        from metrics_store.snapshots import reading

        with self._database.read() as connection:
            return reading.quarantined(connection, limit)
