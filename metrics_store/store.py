"""The store: every write of it, and by inheritance every read (:mod:`metrics_store.reports`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TextIO, TypeVar, Unpack
from weakref import WeakSet

from metrics_store import bulk, clock, liveness, location, logs, reaping, retrying, schema
from metrics_store.buffer import Buffer
from metrics_store.clock import Clock
from metrics_store.closing import Closing
from metrics_store.connection import Database
from metrics_store.errors import (
    AlreadyEnded,
    DuplicateRecord,
    InvalidValue,
    InvocationNotFound,
    OpenError,
    OutcomeUnknown,
    ReadError,
)
from metrics_store.legacy_format import exporting
from metrics_store.legacy_format.exporting import ExportReport
from metrics_store.operations import Operations
from metrics_store.reaping import Reaped
from metrics_store.records import BatchResult, Record, Started, row_of, row_of_mapping
from metrics_store.reports import Reports
from metrics_store.rows import Duration, JsonObject, Row
from metrics_store.settings import Durability, Settings
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.telemetry import Telemetry
from metrics_store.tracking import OpenInvocation, track_calls

F = TypeVar("F", bound=Callable[..., object])


class MetricsStore(Closing, Operations, Telemetry, Reports):
    """The metrics store in one SQLite file, safe to use from any thread and any forked child.

    Args:
        database: the file; by default ``METRICS_STORE_DB``, the TOML file's, or
            ``.session-buddy/skill_metrics.db`` under the working directory.
        config: a TOML file with settings.
        durability: ``full`` (the default) or ``normal``.
        busy_timeout: seconds to wait for another process's lock.
        create: make the file if there is none.
        read_only: open it for reading alone, also where this user may not write; its schema has
            to be this version's.
        clock: source of time; tests give their own.
        settings: everything at once, instead of the above.

    Raises:
        OpenError: the file cannot be opened or is not a metrics store.
        SchemaError: its schema is newer, or not as the migrations made it.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        durability: Durability | None = None,
        busy_timeout: float | None = None,
        create: bool = True,
        read_only: bool = False,
        clock: Clock | None = None,
        settings: Settings | None = None,
    ) -> None:
        if settings is None:
            settings = Settings.load(
                database, config=config, durability=durability, busy_timeout=busy_timeout
            )
        opened = Database(settings, clock or Clock(), create=create, read_only=read_only)
        try:
            schema.ensure(opened, found=opened.found_version)
        except BaseException:
            opened.close()
            raise
        super().__init__(opened)
        self._buffers: WeakSet[Buffer] = WeakSet()

    # Tracking one invocation

    def track_invocation(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | os.PathLike[str] | None = None,
        attributes: JsonObject | None = None,
    ) -> OpenInvocation:
        """Start an invocation.

        Args:
            skill_name: which skill runs.
            workflow_path: which of its ways it takes.
            session_id: the session it belongs to.
            project_path: the project it works on.
            attributes: anything else worth keeping; a mapping that JSON can hold.

        Returns:
            The invocation in flight: call ``complete`` on it, or use it in a ``with`` block.

        Raises:
            InvalidValue: a value cannot be recorded.
            WriteError: it could not be put in flight.
        """
        started = Started.now(
            self._database.clock, skill_name, workflow_path, session_id, project_path, attributes
        )
        values = (*started.in_flight(liveness.identity()), self._database.schema_version)
        # The end's commit carries the start to the disk.
        self._require(
            self._database.write_one(query("skills.start_invocation"), values, flush=False)
        )

        def end(
            *,
            completed: bool,
            follow_up_actions: Sequence[str] | None,
            error_type: str | None,
            duration_seconds: Duration,
        ) -> None:
            row = started.ended(
                self._database.clock, completed, follow_up_actions, error_type, duration_seconds
            )
            try:
                self._record(row)
            except DuplicateRecord:
                raise AlreadyEnded(started.id) from None

        return OpenInvocation(started.id, end, self._beat)

    #: The classic name: every call is safe from any thread.
    track_invocation_concurrent = track_invocation

    def tracked(
        self,
        skill_name: str,
        workflow_path: str | None = None,
        session_id: str | None = None,
        project_path: str | os.PathLike[str] | None = None,
        attributes: JsonObject | None = None,
    ) -> Callable[[F], F]:
        """Decorate a function, coroutine function or generator: each call is an invocation.

        Args:
            As :meth:`track_invocation`.
        """

        def start() -> OpenInvocation:
            return self.track_invocation(
                skill_name, workflow_path, session_id, project_path, attributes
            )

        return lambda function: track_calls(function, start)

    def _beat(self, invocation_id: str) -> None:
        database = self._database
        values = (clock.text(database.clock.now_us()), invocation_id, database.schema_version)
        if database.write_one(query("skills.heartbeat"), values, flush=False):
            return
        with database.read() as connection:
            if connection.execute(query("skills.is_ended"), (invocation_id,)).fetchone():
                raise AlreadyEnded(invocation_id)
        raise InvocationNotFound(invocation_id)

    # Recording what has ended

    def record_invocation(
        self, skill_name: str, completed: bool = True, **fields: Unpack[Record]
    ) -> str:
        """Record an invocation that has ended.

        Args:
            skill_name: which skill ran.
            completed: False if it failed.
            fields: see :class:`metrics_store.records.Record`; without ``invoked_at`` it ended now.

        Returns:
            Its id. Recording the same again under the same id changes nothing.

        Raises:
            InvalidValue: a value cannot be recorded.
            DuplicateRecord: the id belongs to another record.
            WriteError: it was not written.
        """
        row = row_of(self._database.clock.now_us(), skill_name, completed, fields)
        try:
            self._record(row)
        except DuplicateRecord:
            try:
                with self._database.read() as connection:
                    found = connection.execute(query("skills.digest_of"), (row.id,)).fetchone()
            except (ReadError, OpenError) as error:
                # It is there, and perhaps the very same.
                raise OutcomeUnknown(f"{self.path}: {error}") from error
            if found is None or found[0] != row.digest:
                raise
        return row.id

    def record_invocations(
        self, records: Iterable[Mapping[str, object]], *, batch_size: int | None = None
    ) -> BatchResult:
        """Record many invocations that have ended.

        Args:
            records: mappings with ``skill_name``, ``completed`` and the other arguments of
                :meth:`record_invocation`. A record whose id the log has already is passed over.
            batch_size: records per transaction, each batch all or nothing; None makes all of
                them one batch.

        Raises:
            InvalidValue: a record cannot be recorded; nothing of its batch was kept.
            WriteError: nothing of this batch was kept.
        """
        now = self._database.clock.now_us()
        ids: list[str] = []
        inserted = 0
        rows = (row_of_mapping(now, one) for one in logs.several("records", records))
        for batch in logs.batches(rows, batch_size):
            inserted += self.record_rows(batch)
            ids += [row.id for row in batch]
        return BatchResult(inserted, len(ids) - inserted, tuple(ids))

    def record_rows(
        self, batch: Sequence[Row], also: Callable[[Connection], None] | None = None
    ) -> int:
        """Write checked rows, and whatever belongs to them, in one transaction.

        Args:
            batch: rows of :func:`metrics_store.rows.row`; those whose id is there are passed over.
            also: further statements of the same transaction.

        Returns:
            How many rows were new.

        Raises:
            WriteError: nothing was kept.
        """
        if not batch and also is None:
            return 0

        def work(connection: Connection) -> int:
            inserted = 0
            if batch:
                connection.execute(query("skills.defer_rollups"))
                inserted = bulk.insert(connection, batch)
                connection.execute(query("skills.fold_rollups"))
            if also is not None:
                also(connection)
            return inserted

        return self._database.write(work, rows=len(batch))

    def buffered(self, *, max_delay: float = 0.1, max_pending: int = 50_000) -> Buffer:
        """A writer that commits groups from a thread of its own.

        ``flush()`` and leaving its ``with`` block lose nothing; a crash loses what was recorded
        within the last ``max_delay`` seconds and the group being written.

        Args:
            max_delay: seconds until a record is written at the latest.
            max_pending: records that may wait; past that, recording waits.
        """
        buffer = Buffer(self.record_rows, self._database.clock, max_delay, max_pending)
        self._buffers.add(buffer)
        return buffer

    def reap(
        self, older_than: Duration | str = None, *, include_legacy: bool = False
    ) -> tuple[Reaped, ...]:
        """Close as abandoned what was left in flight.

        An invocation is closed when its process has ended on this host, or when its last sign of
        life is older than ``older_than``.

        Args:
            older_than: seconds, a timedelta, or text such as ``"6 hours"``; None closes only
                what a process of this host has left behind.
            include_legacy: also close what a legacy file holds as never finished.
        """
        limit_us = reaping.age_us(older_than)

        def work(connection: Connection) -> tuple[Reaped, ...]:
            now = self._database.clock.now_us()
            return reaping.reap(
                connection, now, limit_us, include_legacy, self._database.schema_version
            )

        return self._database.write(work)

    def export_legacy(
        self, target: TextIO | str | os.PathLike[str], *, zone: str | None = None
    ) -> ExportReport:
        """Write everything the legacy JSON format can hold, in a stream.

        Loading it by the legacy rules gives the same records and totals.

        Args:
            target: an open text file, or a path; a path gets the file whole or not at all.
            zone: the zone of the file's naive moments; by default the one of the first legacy
                file that was taken in, else this machine's.
        """
        if isinstance(target, (str, os.PathLike)):
            return exporting.export_to(self, location.named(target), zone)
        if not hasattr(target, "write"):
            raise InvalidValue(f"{target!r:.60} is neither file nor path", hint="Give one of them.")
        return exporting.export_legacy(self, target, zone=zone)

    # Inside

    def _record(self, row: Row) -> None:
        statement = query("skills.record_one")
        values = (*row, self._database.schema_version)
        try:
            self._require(self._database.write_one(statement, values))
        except DuplicateRecord:
            raise DuplicateRecord(row.id) from None
        except OutcomeUnknown as unknown:

            def once_more(connection: Connection) -> None:
                if not connection.execute(query("skills.is_ended"), (row.id,)).fetchone():
                    connection.execute(statement, values)

            retrying.again(self._database, once_more, unknown)

    def _require(self, changed: int) -> None:
        if changed == 0:
            raise self._database.refused()

    def close(self) -> None:
        """Close the store, its buffers first. Closing twice does nothing."""
        try:
            for buffer in list(self._buffers):
                buffer.close()
        finally:
            self._database.close()
