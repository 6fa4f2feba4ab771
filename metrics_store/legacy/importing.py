"""Taking a legacy file into a store: copy, stream, settle, compare, and say what it came to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store import clock
from metrics_store.errors import TornFile
from metrics_store.legacy import baseline, json_file, passes
from metrics_store.legacy.comparing import Comparing
from metrics_store.legacy.json_file import Member, Record, Totals
from metrics_store.legacy.passes import Counts, Pass, now_text, printable
from metrics_store.legacy.private_copy import PrivateCopy, copy_stable
from metrics_store.legacy.report import (
    Comparison,
    Flagged,
    ImportReport,
    Progress,
    Quarantined,
)
from metrics_store.legacy.scratch import Scratch
from metrics_store.legacy.taking import Taking
from metrics_store.legacy.workplace import source_of, workplace
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.legacy_format.record import Refused, Understood, understand
from metrics_store.schema import copy_database
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

#: Lines of each list that a report holds; the store has them all.
_LISTED = 100
#: Bytes of a torn file's end that are kept; the file itself is never touched.
_LONGEST_TAIL = 16 * 1024 * 1024

ProgressCall = Callable[[Progress], None]


def take_in(
    store: MetricsStore,
    path: Path,
    *,
    zone: str | None = None,
    dry_run: bool = False,
    progress: ProgressCall | None = None,
    copy: PrivateCopy | None = None,
    up_to_seq: int | None = None,
) -> ImportReport:
    """Take a legacy file into a store, and compare the two record by record.

    Taking the same file in again adds nothing; a pass that was cut short goes on.

    Args:
        store: where to.
        path: the file; symlinks are followed.
        zone: the zone of its naive moments, an IANA name; by default the one it was taken in with
            before, else this machine's.
        dry_run: do it all on a copy of the store, and throw that away.
        progress: called now and then.
        copy: a copy of the file that the caller has made and keeps; by default one is made.
        up_to_seq: the end of the log before that copy was made (:func:`last_seq`).

    Raises:
        LegacyFileError: the file cannot be read, or is no legacy file.
        ZoneMismatch: it was taken in before with another zone.
        StoreBusy, DiskFull, WriteError: nothing of the batch being written was kept.
    """
    source = source_of(store.path, path)
    with workplace(store.path) as directory:
        if not dry_run:
            return _Import(store, source, directory, zone, progress, dry_run=False).run(
                copy, up_to_seq
            )
        rehearsal = directory / "rehearsal.db"
        copy_database(store.database, rehearsal)
        settings = replace(store.database.settings, database=rehearsal, durability="normal")
        with MetricsStore(settings=settings, clock=store.database.clock) as rehearsed:
            report = _Import(rehearsed, source, directory, zone, progress, dry_run=True).run(
                copy, up_to_seq
            )
        return replace(report, database=store.path)


def last_seq(store: MetricsStore) -> int:
    """The number of the newest row of the log; 0 without any."""
    with store.database.read() as connection:
        return int(connection.execute(query("legacy.last_seq")).fetchone()[0])


def take_in_part(store: MetricsStore, part: PrivateCopy, zone: str) -> Counts:
    """Take in some of a file's records: all of each key that has changed. Its totals stay as the
    last whole pass found them, and nothing is compared.

    Args:
        part: a small legacy file with these records; its ``source`` is the file they are from.
        zone: of its naive moments.

    Raises:
        As :func:`take_in`.
    """
    with workplace(store.path) as directory:
        this = _Import(store, part.source, directory, zone, None, dry_run=False)
        return this.run_part(part)


@dataclass(frozen=True, slots=True)
class _Tail(Record):
    """The end of a torn file, in the place of a record."""

    torn: TornFile


class _Import:
    def __init__(
        self,
        store: MetricsStore,
        source: Path,
        directory: Path,
        zone: str | None,
        progress: ProgressCall | None,
        *,
        dry_run: bool,
    ) -> None:
        self._store = store
        self._source = source
        self._directory = directory
        self._wanted_zone = zone
        self._progress = progress
        self._dry_run = dry_run
        self._stage = "copying"
        self._seconds: dict[str, float] = {}
        self._since = store.database.clock.monotonic_us()
        self._bytes = 0
        self._records = 0
        self._size = 0
        self._torn: TornFile | None = None
        self._last_updated: str | None = None
        self._has_totals = False
        self._has_sessions = False

    def run_part(self, part: PrivateCopy) -> Counts:
        this, zone = passes.begin(self._store, part, self._wanted_zone)
        scratch = Scratch(self._directory)
        with scratch.in_use():
            reader = ZoneReader(zone)
            taking = Taking(
                self._store, this, scratch, lambda r: self._understand(r, reader), self._tick
            )
            taking.stream(self._elements(part, None))
            taking.settle()
        values = (now_text(self._store), this.counts.as_json(), this.pass_id)
        self._store.database.write(lambda c: c.execute(query("legacy.finish_pass"), values))
        return this.counts

    def run(self, copy: PrivateCopy | None, up_to_seq: int | None) -> ImportReport:
        if up_to_seq is None:
            # Before the copy is made: what comes after it is no loss of the file's.
            up_to_seq = last_seq(self._store)
        if copy is None:
            copy = copy_stable(self._source, self._directory)
        self._size = copy.size
        this, zone = passes.begin(self._store, copy, self._wanted_zone)
        resumed_at = this.position
        scratch = Scratch(self._directory)
        with scratch.in_use():
            self._go_on("streaming")
            reader = ZoneReader(zone)
            taking = Taking(
                self._store, this, scratch, lambda r: self._understand(r, reader), self._tick
            )
            stated = baseline.Stated(lambda text: ZoneReader(zone).read(text).us)
            taking.stream(self._elements(copy, stated))
            if self._torn is not None and this.stage == "streaming":
                taking.stream(iter([self._tail(copy, self._records, self._torn)]))
            self._go_on("settling")
            taking.settle()
            lineage = passes.lineage(self._store, this)
            self._go_on("comparing")
            recount, later = baseline.Recount(), baseline.Recount()
            again = ZoneReader(zone)
            comparison = Comparing(
                self._store,
                lineage,
                scratch,
                lambda r: self._understand(r, again),
                recount.add,
                recount.add_stored,
                self._tick,
                up_to_seq=up_to_seq,
                later=later.add_stored,
            ).run(self._elements(copy, None))
        self._go_on("done")
        return self._finish(
            copy, this, zone, resumed_at, lineage, stated, recount, later, comparison
        )

    # The records

    def _elements(self, copy: PrivateCopy, stated: baseline.Stated | None) -> Iterator[Record]:
        """The records of the file; its other members are noted on the way, the first time."""
        self._bytes = self._records = 0
        try:
            for event in json_file.read(copy.path):
                if isinstance(event, Record):
                    self._bytes += len(event.raw) + 6
                    self._records += 1
                    yield event
                elif stated is not None:
                    self._note(event, stated)
        except TornFile as torn:
            self._torn = torn

    def _note(self, event: Totals | Member, stated: baseline.Stated) -> None:
        self._bytes += len(event.raw)
        if isinstance(event, Totals):
            self._has_totals = True
            if not event.superseded:
                stated.add(event)
        elif event.key == "last_updated" and isinstance(event.value, str):
            self._last_updated = printable(event.value)

    def _understand(self, element: Record, reader: ZoneReader) -> Understood:
        if element.superseded:
            raise Refused(
                "superseded", 'a later "invocations" takes its place, as json.load has it'
            )
        value = element.value
        if isinstance(element, _Tail):
            raise Refused("torn", element.torn.detail)
        sessions = isinstance(value, dict) and "session_id" in value
        self._has_sessions = self._has_sessions or sessions
        understood = understand(value, reader, sessions, self._store.database.clock.now_us())
        if element.duplicate_keys:
            detail = "the last was taken of: " + ", ".join(element.duplicate_keys)
            return understood._replace(flags=(*understood.flags, ("duplicate_keys", detail)))
        return understood

    def _tail(self, copy: PrivateCopy, position: int, torn: TornFile) -> Record:
        """What follows the last whole record of a torn file, to be kept as text."""
        with open(copy.path, "rb") as file:
            file.seek(torn.begins)
            raw = file.read(_LONGEST_TAIL).decode("utf-8", "surrogateescape")
        return _Tail(position, raw, None, (), False, torn)

    # What follows the records

    def _finish(
        self,
        copy: PrivateCopy,
        this: Pass,
        zone: str,
        resumed_at: int,
        lineage: int,
        stated: baseline.Stated,
        recount: baseline.Recount,
        later: baseline.Recount,
        comparison: Comparison,
    ) -> ImportReport:
        difference = recount.difference(stated.skills)
        shape = "session" if self._has_sessions and not self._has_totals else "tracker"

        def work(connection: Connection) -> ImportReport:
            run = connection.execute
            newest = run(query("legacy.lineage_update"), (lineage,)).fetchone()[0]
            is_newest = newest is None or (self._last_updated or "") >= newest
            if self._has_totals and self._torn is None and is_newest:
                baseline.keep(connection, this.source_id, stated.skills)
            run(query("legacy.update_source"), (shape, self._last_updated, this.source_id))
            baseline.compute(connection, lineage, later, this.counts.since_seq, newest)
            report = self._report(
                connection, copy, this, zone, shape, resumed_at, lineage, comparison,
                len(recount.skills | set(stated.skills)),
                (*stated.anomalies, *(baseline.negatives(difference) if is_newest else ())),
            )  # fmt: skip
            run(
                query("legacy.finish_pass"),
                (now_text(self._store), json.dumps(report.as_dict()), this.pass_id),
            )
            return report

        return self._store.database.write(work)

    def _report(
        self,
        connection: Connection,
        copy: PrivateCopy,
        this: Pass,
        zone: str,
        shape: str,
        resumed_at: int,
        lineage: int,
        comparison: Comparison,
        skills: int,
        anomalies: tuple[str, ...],
    ) -> ImportReport:
        counts, run = this.counts, connection.execute
        quarantine = run(query("legacy.quarantine_of"), (this.source_id, _LISTED)).fetchall()
        flagged = run(query("legacy.flags_of"), (this.source_id, _LISTED)).fetchall()
        return ImportReport(
            source=str(self._source),
            database=self._store.path,
            dry_run=self._dry_run,
            zone=zone,
            shape=shape,
            size=copy.size,
            sha256=copy.sha256,
            read=counts.read,
            inserted=counts.inserted,
            matched=counts.matched,
            upgraded=counts.upgraded,
            quarantined=counts.quarantined,
            pending=counts.pending,
            resumed_at=resumed_at,
            quarantine_reasons=dict(counts.reasons),
            flags=dict(counts.flags),
            quarantine=tuple(Quarantined(*row) for row in quarantine),
            flagged=tuple(Flagged(*row) for row in flagged),
            baseline=baseline.lines(connection, lineage),
            anomalies=anomalies,
            torn=self._torn.detail if self._torn is not None else None,
            comparison=comparison,
            skills=skills,
            seconds=dict(self._seconds),
        )

    # Saying how far it is

    def _go_on(self, stage: str) -> None:
        now = self._store.database.clock.monotonic_us()
        self._seconds[self._stage] = round((now - self._since) / clock.MICROSECONDS, 3)
        self._stage, self._since = stage, now
        self._tick()

    def _tick(self) -> None:
        if self._progress is not None:
            done = min(self._bytes, self._size)
            self._progress(Progress(self._stage, done, self._size, self._records))
