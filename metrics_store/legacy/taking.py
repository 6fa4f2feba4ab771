"""Taking records in: streaming, in batches whose checkpoint shares their transaction.

A record that is the first of its key, and whose first row is missing or says the same, is dealt
with at once. Any other waits until the file is read, for only all records of a key and all rows of
it together tell what is new: per key there are as many rows as the larger side has, equal ones
paired first. (Taking each record as it comes would store a changed order as new records.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from metrics_store import clock
from metrics_store.legacy.json_file import Record
from metrics_store.legacy.passes import Pass, printable
from metrics_store.legacy.scratch import Scratch
from metrics_store.legacy_format import record, stored
from metrics_store.legacy_format.record import Refused, Understood
from metrics_store.rows import Row
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

BATCH = 2000


@dataclass(slots=True)
class _Batch:
    """What one transaction writes."""

    rows: list[Row] = field(default_factory=list)
    pending: list[tuple[str | int, ...]] = field(default_factory=list)
    quarantine: list[tuple[str | int, ...]] = field(default_factory=list)
    flags: list[tuple[str | int, ...]] = field(default_factory=list)
    exported: list[tuple[str, str]] = field(default_factory=list)


class Taking:
    """Takes the records of one file into a store.

    Args:
        store: where to.
        this: the pass; its counts and position move on with every transaction.
        scratch: what the pass remembers.
        understand: reads a record; called for every record, in order.
        tick: called after every batch.
    """

    def __init__(
        self,
        store: MetricsStore,
        this: Pass,
        scratch: Scratch,
        understand: Callable[[Record], Understood],
        tick: Callable[[], None],
    ) -> None:
        self._store = store
        self._pass = this
        self._scratch = scratch
        self._understand = understand
        self._tick = tick

    def stream(self, records: Iterator[Record]) -> None:
        """Take in what can be decided at once; the rest waits in the scratch file.

        Records before the checkpoint are read again only to know what was seen.
        """
        done = self._pass.position
        while batch := list(islice(records, BATCH)):
            replayed = [r for r in batch if r.position < done]
            fresh = batch[len(replayed) :]
            if replayed:
                self._take(replayed, write=False)
            if fresh:
                self._take(fresh, write=True)
            self._tick()

    def settle(self) -> None:
        """Decide about the records that waited, key by key."""
        self._pass.stage = "settling"
        batch, n = _Batch(), 0
        for key in self._scratch.contested_keys(self._pass.settled_key):
            self._settle_key(key, batch)
            self._pass.settled_key = key
            n += 1
            if n >= BATCH or len(batch.rows) + len(batch.pending) >= BATCH:
                self._commit(batch)
                batch, n = _Batch(), 0
                self._tick()
        self._commit(batch)

    def _take(self, records: list[Record], *, write: bool) -> None:
        understood: list[tuple[Record, Understood]] = []
        batch, counts = _Batch(), self._pass.counts
        for element in records:
            try:
                understood.append((element, self._understand(element)))
            except Refused as refusal:
                self._refuse(element, refusal, batch, write)
        ids = [u.id(1) for _, u in understood]
        times = self._scratch.saw(ids)
        with self._store.database.read() as connection:
            found = stored.by_id(connection, ids)
        for (element, u), row_id, n in zip(understood, ids, times, strict=True):
            row = found.get(row_id)
            if n > 1:
                self._scratch.contest(element.position, u)
            elif row is None:
                if write:
                    self._insert(u, row_id, element.position, batch)
            elif stored.says(row, u):
                if write:
                    counts.matched += 1
                    counts.pending += u.pending
                    self._note_source(row)
            else:
                self._scratch.leave(row_id)
                self._scratch.contest(element.position, u)
        if write:
            counts.read += len(records)
            self._pass.position = records[-1].position + 1
            self._commit(batch)

    def _refuse(self, element: Record, refusal: Refused, batch: _Batch, write: bool) -> None:
        digest = hashlib.blake2b(element.raw.encode("utf-8", "surrogatepass"), digest_size=16)
        ordinal = self._scratch.quarantined(digest.hexdigest())
        if not write:
            return
        counts = self._pass.counts
        counts.quarantined += 1
        counts.reasons[refusal.reason] = counts.reasons.get(refusal.reason, 0) + 1
        batch.quarantine.append(
            (
                self._pass.source_id,
                digest.hexdigest(),
                ordinal,
                self._pass.pass_id,
                element.position,
                refusal.reason,
                printable(refusal.detail),
                printable(element.raw),
            )
        )

    def _settle_key(self, key: str, batch: _Batch) -> None:
        waiting = [
            (position, u) for position, n, u in self._scratch.contested(key) for _ in range(n)
        ]
        one = waiting[0][1]
        first_id = one.id(1)
        _, taken = self._scratch.seen([first_id])[first_id]
        with self._store.database.read() as connection:
            rows = stored.of_key(connection, one)
        free = list(enumerate(rows, start=1))[1 if taken else 0 :]
        for _, row in free:
            self._note_source(row)
        waiting, free = self._match_equal(waiting, free)
        # Pending ones first, whatever the file's order: they take the rows that went on to end, and
        # what an ended one says has a row of its own.
        waiting.sort(key=lambda one: not one[1].pending)
        # A row in flight takes a record that ended. What is then left on both sides differs: such
        # a record is a row already, and the comparison says in what the two differ.
        in_flight = [(ordinal, row) for ordinal, row in free if stored.is_pending(row)]
        ended = len(free) - len(in_flight)
        unfound = []
        for position, u in waiting:
            if in_flight and not u.pending:
                self._upgrade(u, *in_flight.pop(0), batch)
            elif ended:
                ended -= 1
                self._match(u)
            else:
                unfound.append((position, u))
        for _ in range(min(len(in_flight), len(unfound))):
            self._match(unfound.pop(0)[1])
        for ordinal, (position, u) in enumerate(unfound, start=len(rows) + 1):
            row_id = u.id(ordinal)
            self._insert(u, row_id, position, batch)
            self._flag(batch, row_id, position, _twin(ordinal))

    def _match_equal(
        self,
        waiting: list[tuple[int, Understood]],
        free: list[tuple[int, stored.StoredRow]],
    ) -> tuple[list[tuple[int, Understood]], list[tuple[int, stored.StoredRow]]]:
        """Pair records with rows that say the same; gives what is left of both."""
        pairs, left, rest = stored.pair([u for _, u in waiting], [row for _, row in free])
        for i, _ in pairs:
            self._match(waiting[i][1])
        return [waiting[i] for i in left], [free[j] for j in rest]

    def _match(self, u: Understood) -> None:
        self._pass.counts.matched += 1
        self._pass.counts.pending += u.pending

    def _upgrade(self, u: Understood, ordinal: int, row: stored.StoredRow, batch: _Batch) -> None:
        self._pass.counts.upgraded += 1
        with self._store.database.read() as connection:
            own = connection.execute(query("legacy.exported_inflight"), (row["id"],)).fetchone()
        if own is None:
            batch.rows.append(record.row_of(u, u.id(ordinal), self._pass.source_id))
            return
        # It began in the store, and an export put it into the file: it ends under its own id.
        row_id, invoked_at, session_id, attributes, project_path = own
        known = u._replace(
            invoked_us=clock.parse(invoked_at), session_id=session_id, attributes=attributes
        )
        batch.rows.append(record.live_row(known, row_id, project_path))
        text = json.dumps({**json.loads(u.legacy(self._pass.source_id)), "beyond": True})
        batch.exported.append((text, row_id))

    def _insert(self, u: Understood, row_id: str, position: int, batch: _Batch) -> None:
        counts = self._pass.counts
        counts.inserted += 1
        if u.pending:
            counts.pending += 1
            batch.pending.append(record.inflight_of(u, row_id, self._pass.source_id))
        else:
            batch.rows.append(record.row_of(u, row_id, self._pass.source_id))
        for flag in u.flags:
            self._flag(batch, row_id, position, flag)

    def _flag(self, batch: _Batch, row_id: str, position: int, flag: tuple[str, str]) -> None:
        name, detail = flag
        flags = self._pass.counts.flags
        flags[name] = flags.get(name, 0) + 1
        batch.flags.append((row_id, name, printable(detail), self._pass.pass_id, position))

    def _note_source(self, row: stored.StoredRow) -> None:
        source = stored.source_of(row)
        sources = self._pass.counts.sources
        if source is not None and source != self._pass.source_id and source not in sources:
            sources.append(source)

    def _commit(self, batch: _Batch) -> None:
        this, version = self._pass, self._store.database.schema_version

        def also(connection: Connection) -> None:
            for values in batch.pending:
                connection.execute(query("skills.start_invocation"), (*values, version))
            connection.executemany(query("legacy.quarantine"), batch.quarantine)
            connection.executemany(query("legacy.flag"), batch.flags)
            connection.executemany(query("legacy.exported_ended"), batch.exported)
            connection.execute(
                query("legacy.checkpoint"),
                (this.position, this.stage, this.settled_key, this.counts.as_json(), this.pass_id),
            )

        self._store.record_rows(batch.rows, also)


def _twin(ordinal: int) -> tuple[str, str]:
    return ("same_key", f"number {ordinal} with this skill, moment and path")
