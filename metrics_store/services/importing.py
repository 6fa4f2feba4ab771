"""Taking in heartbeats that were kept elsewhere, so that taking them in twice adds nothing.

Two heartbeats are the same if service, moment, status and task are. Per such key the store then has
as many as the file has, or more: identical ones keep their number.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from metrics_store import clock, location, logs, rows, sqlite
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue, MetricsStoreError, SourceError
from metrics_store.families.services import SERVICES
from metrics_store.legacy_format.moments import ZoneReader, local_zone
from metrics_store.services import sources
from metrics_store.services.judging import Judge, judge_of
from metrics_store.services.recording import AHEAD_US, Beat, Content, latency_us, task
from metrics_store.services.results import ServicesImported
from metrics_store.services.sources import Kind, Said
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Heartbeats of one transaction, about.
_BATCH = 2_000
_REASONS = 5
#: Numbers are seconds since 1970, from there on milliseconds, and from there on microseconds.
_MILLISECONDS, _MICROSECONDS = 1e11, 1e14


class _Taken(NamedTuple):
    """A heartbeat of the file, understood."""

    service: str
    us: int
    status: str
    task: str | None
    latency_us: int | None
    created_us: int | None
    is_current: int

    @property
    def key(self) -> tuple[str, int, str, str | None]:
        return self[:4]


@dataclass(slots=True)
class _Pass:
    """One pass over a file: what was found so far."""

    now_us: int
    zone: str | None
    read: int = 0
    inserted: int = 0
    already_there: int = 0
    retired: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    _readers: dict[str, ZoneReader] = field(default_factory=dict)

    def understood(self, said: Said) -> _Taken | None:
        """A heartbeat that can be recorded; None if it was refused."""
        self.read += 1
        try:
            if said.wrong:
                raise InvalidValue(said.wrong)
            us = self._moment("moment", said.moment)
            if us > self.now_us + AHEAD_US:
                raise InvalidValue(f"{clock.text(us)} is in the future")
            created_us = None
            if said.created is not None:
                created_us = self._moment("created", said.created)
            return _Taken(
                rows.label("service_name", said.service),
                us,
                rows.label("status", said.status),
                task(said.task),
                latency_us(said.seconds),  # type: ignore[arg-type]
                created_us,
                int(said.current),
            )
        except (InvalidValue, ValueError, OverflowError) as error:
            detail = error.detail if isinstance(error, MetricsStoreError) else str(error)
            self.refused += 1
            if len(self.reasons) < _REASONS:
                self.reasons.append(f"row {self.read:,}: {detail}")
            return None

    def _moment(self, column: str, value: object) -> int:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                return self._of_text(column, str(value).strip())
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidValue(f"no moment: {value!r:.60}")
        size = 1.0 if abs(value) >= _MICROSECONDS else 1e3 if abs(value) >= _MILLISECONDS else 1e6
        us = int(value) if size == 1.0 else round(value * size)
        if not clock.MIN_US <= us <= clock.MAX_US:
            raise InvalidValue(f"no moment: {value!r:.60}")
        return us

    def _of_text(self, column: str, text: str) -> int:
        if self.zone is None:
            if datetime.fromisoformat(text).tzinfo is not None:
                return ZoneReader("UTC").read(text).us
            self.zone = _zone_of_machine()
        # An hour that comes twice is told apart by the order of rows, in each column.
        if column not in self._readers:
            self._readers[column] = ZoneReader(self.zone)
        return self._readers[column].read(text).us


def _zone_of_machine() -> str:
    try:
        return local_zone()
    except InvalidValue as error:
        raise SourceError(error.detail, hint=error.hint) from error


def take_in(
    database: Database,
    source: str | os.PathLike[str],
    *,
    kind: Kind | None,
    zone: str | None,
    dry_run: bool,
    progress: Callable[[int], None] | None,
) -> ServicesImported:
    """See ``MetricsStore.import_services``."""
    path = Path(location.named(source))
    if kind not in (None, "sqlite", "csv", "jsonl"):
        raise InvalidValue(f"kind {kind!r:.60}", hint="It is sqlite, csv or jsonl.")
    if os.path.realpath(path) == database.path:
        raise SourceError(f"{path} is this very store")
    if zone is not None:
        ZoneReader(zone)  # a wrong name is told before anything is read
    if not dry_run:
        database.require_writable()
    under_way = _Pass(database.clock.now_us(), zone)
    with _scratch() as scratch:
        for said in sources.read(path, kind or sources.kind_of(path)):
            taken = under_way.understood(said)
            if taken is not None:
                scratch.execute(query("services.take"), taken)
            if progress is not None and under_way.read % 1_000 == 0:
                progress(under_way.read)
        for batch in _batches(scratch):
            _take_batch(database, under_way, batch, dry_run=dry_run)
    return ServicesImported(
        str(path),
        under_way.read,
        under_way.inserted,
        under_way.already_there,
        under_way.retired,
        under_way.refused,
        tuple(under_way.reasons),
        tuple(sorted(under_way.services)),
    )


@contextmanager
def _scratch() -> Iterator[Connection]:
    """A database that goes with the block: a file to be put in order need not fit into memory."""
    with tempfile.TemporaryDirectory(prefix="metrics-store-import-") as folder:
        connection = sqlite.connect(str(Path(folder) / "scratch.db"))
        try:
            # It is worth nothing after a crash.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            connection.execute(query("services.table_read"))
            yield connection
        finally:
            connection.close()


def _batches(scratch: Connection) -> Iterator[list[_Taken]]:
    """What was taken, in order; one moment of a service is never divided."""
    batch: list[_Taken] = []
    found = map(_Taken._make, scratch.execute(query("services.taken")))
    for _, together in groupby(found, key=lambda taken: taken[:2]):
        batch += together
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _take_batch(
    database: Database, under_way: _Pass, batch: list[_Taken], *, dry_run: bool
) -> None:
    def work(connection: Connection) -> tuple[int, list[Content]]:
        horizon = logs.horizon(connection, SERVICES)
        kept = [taken for taken in batch if clock.text(taken.us) >= horizon]
        new = _new(connection, kept)
        if new and not dry_run:
            logs.append(connection, SERVICES, new)
        return len(kept), new

    if dry_run:
        with database.read() as connection:
            kept, new = work(connection)
    else:
        kept, new = database.write(work, rows=len(batch))
    under_way.inserted += len(new)
    under_way.already_there += kept - len(new)
    under_way.retired += len(batch) - kept
    under_way.services.update(content[0] for content in new)


def _new(connection: Connection, batch: Sequence[_Taken]) -> list[Content]:
    """The rows that the store has not got, numbered within each moment."""
    moments = json.dumps(list({taken[:2] for taken in batch}))
    there: Counter[tuple[str, int, str, str | None]] = Counter()
    ordinals: dict[tuple[str, int], int] = {}
    for service, us, ordinal, status, doing, *_ in connection.execute(
        query("services.at_moments"), (moments,)
    ):
        there[service, us, status, doing] += 1
        ordinals[service, us] = max(ordinals.get((service, us), 0), ordinal + 1)
    judges: dict[str, Judge] = {}
    found: list[Content] = []
    for key, group in groupby(batch, key=lambda taken: taken.key):
        service, us = key[:2]
        if service not in judges:
            judges[service] = judge_of(connection, service)
        for at, taken in enumerate(group):
            # The current row of a service is one of its history, if that is still there.
            if at < there[key] or (taken.is_current and (at or there[key])):
                continue
            ordinal = ordinals.get((service, us), 0)
            ordinals[service, us] = ordinal + 1
            created_us = us if taken.created_us is None else taken.created_us
            beat = Beat(service, us, taken.status, taken.task, taken.latency_us, None, created_us)
            found.append(beat.content(judges[service], ordinal))
    return found
