"""Verifying: a full comparison of a legacy file with the store, every difference stored.

The file is copied first, and the copy is what is read. Runners may write meanwhile: what nothing
explains is looked up again in the end, for a write that was under way has landed by then. A verify
that is cut short goes on from its last checkpoint: the scratch file beside the copy has what was
found so far, and the store gets it in the end, piece by piece, so that nothing is in it twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from metrics_store import clock
from metrics_store.errors import NotLegacyFile
from metrics_store.legacy import paused
from metrics_store.legacy.comparing import Comparing
from metrics_store.legacy.passes import now_text
from metrics_store.legacy.paused import Begun, Word, Words
from metrics_store.legacy.private_copy import PrivateCopy
from metrics_store.legacy.reading import Reading, refusal_of
from metrics_store.legacy.report import Progress
from metrics_store.legacy.scratch import Found, Scratch
from metrics_store.legacy.workplace import empty, source_of, verify_place
from metrics_store.legacy_format.record import Refused
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

#: Who explains what needs no person's word.
OURS = "metrics-store"

#: Seconds before each further look at what nothing explains.
_PAUSES = (0.0, 0.1, 0.3, 0.6, 1.0)
#: So many are no writes that are under way: they are looked at once more, and not again.
_TOO_MANY = 10_000
#: Differences that are stored in one transaction: runners wait for it.
_STORED_AT_ONCE = 500
_REFUSED = 500

ProgressCall = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class VerifyReport(Result):
    """What a verify came to.

    Args:
        source: the file, with symlinks resolved.
        zone: the zone of its naive moments.
        epoch: of the migration, when it was begun.
        sha256, size: of the copy that was compared.
        compared: records that can be a row.
        equal: those whose like is in the store.
        explained, unexplained: differences by kind.
        torn: where the file ends too early; None if it is whole.
        resumed_at: records that a run cut short had compared already; 0 for one in one piece.
        seconds: how long it took, by stage, runs that were cut short too.
    """

    verify_id: int
    source: str
    zone: str
    epoch: int
    sha256: str
    size: int
    compared: int
    equal: int
    explained: Mapping[str, int]
    unexplained: Mapping[str, int]
    torn: str | None
    resumed_at: int
    started_at: str
    finished_at: str
    seconds: Mapping[str, float]

    @property
    def clean(self) -> bool:
        """Whether the file is whole and nothing is unexplained."""
        return not self.unexplained and self.torn is None


def verify(
    store: MetricsStore,
    json_file: Path,
    *,
    zone: str | None = None,
    resume: bool = False,
    epoch: int = 0,
    progress: ProgressCall | None = None,
    batch: int = 2000,
    copy: PrivateCopy | None = None,
) -> VerifyReport:
    """Compare a legacy file with the store, record by record, and store every difference.

    Args:
        json_file: the file; symlinks are followed.
        zone: the zone of its naive moments; by default the one it was taken in with, else this
            machine's.
        resume: go on with the one that was cut short, over the copy that it took.
        epoch: of the migration; kept with the differences. One that is resumed keeps its own.
        progress: called now and then.
        batch: records from one checkpoint to the next.
        copy: a copy of the file that the caller has made; by default one is made.

    Raises:
        LegacyFileError: the file cannot be read, is no legacy file, or there is nothing to resume.
        ZoneMismatch: what is resumed was begun with another zone.
        StoreBusy, DiskFull, WriteError: it can be resumed.
    """
    source, since = source_of(store.path, json_file), store.database.clock.monotonic_us()
    with verify_place(store.path) as directory:
        if resume:
            begun = paused.found(store, source, directory, zone)
        else:
            begun = paused.begin(store, source, directory, zone, epoch, copy)
        try:
            with paused.scratch_of(store, begun, directory) as scratch:
                report = _Verify(store, begun, scratch, progress, batch, since).run()
        except NotLegacyFile:
            paused.abandon(store, directory)
            raise
        empty(directory)
        return report


def last(store: MetricsStore) -> VerifyReport | None:
    """What the newest verify that ran to its end came to; None if there is none."""
    with store.database.read() as connection:
        row = connection.execute(query("verify.last")).fetchone()
    return None if row is None else VerifyReport(**json.loads(row[0]))


@dataclass(slots=True)
class _State:
    """How far a verify is; kept with every checkpoint."""

    stage: str = "copying"
    position: int = 0
    compared: int = 0
    equal: int = 0
    torn: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


class _Verify:
    def __init__(
        self,
        store: MetricsStore,
        begun: Begun,
        scratch: Scratch,
        progress: ProgressCall | None,
        batch: int,
        since: int,
    ) -> None:
        self._store = store
        self._begun = begun
        self._scratch = scratch
        self._progress = progress
        self._batch = batch
        state = scratch.state()
        self._state = _State() if state is None else _State(**json.loads(state))
        self._resumed_at = self._state.position
        self._since = since
        self._noted = -1
        self._reading = Reading(begun.copy, begun.zone, store.database.clock.now_us())
        self._comparing = Comparing(
            store,
            begun.source_id or 0,
            scratch,
            self._reading.understand,
            tick=self._checkpoint,
            found=scratch.add_found,
            up_to_seq=begun.up_to_seq,
        )
        self._comparing.compared = self._state.compared
        self._comparing.equal = self._state.equal

    def run(self) -> VerifyReport:
        """Go through the stages that are not done yet."""
        stages = {
            "comparing": self._compare,
            "settling": self._settle,
            "rows": self._comparing.rest,
            "storing": self._keep,
        }
        names = list(stages)
        begin = names.index(self._state.stage) if self._state.stage in stages else 0
        for name in names[begin:]:
            self._count_seconds()
            self._state.stage = name
            self._checkpoint()
            stages[name]()
        return self._finish()

    # The records

    def _compare(self) -> None:
        done, reading = self._state.position, self._reading
        records = reading.records()
        while batch := list(islice(records, self._batch)):
            # Those before the checkpoint were read for the order of moments alone.
            fresh = [(element, read) for element, read in batch if element.position >= done]
            if not fresh:
                self._tell()
                continue
            for element, read in fresh:
                if isinstance(read, Refused):
                    self._scratch.refuse(*refusal_of(element))
            self._comparing.batch(
                [(e.position, read) for e, read in fresh if not isinstance(read, Refused)]
            )
            self._state.position = batch[-1][0].position + 1
            self._checkpoint()
        self._state.torn = reading.torn

    # What was not plainly equal

    def _settle(self) -> None:
        left = self._look(last=False)
        for pause in _PAUSES:
            if not left:
                return
            self._store.database.clock.sleep(pause)
            is_last = pause == _PAUSES[-1] or left > _TOO_MANY
            left = self._look(last=is_last)

    def _look(self, *, last: bool) -> int:
        return self._comparing.settle(last=last) + self._settle_refused(last)

    def _settle_refused(self, last: bool) -> int:
        """Look for the texts that cannot be a row among those kept apart."""
        left = after = 0
        while page := self._scratch.refused(after, _REFUSED):
            wanted = json.dumps([[refusal.digest, refusal.ordinal] for refusal in page])
            with self._store.database.read() as connection:
                found = connection.execute(
                    query("verify.quarantined"), (self._begun.source, wanted)
                ).fetchall()
            kept = {(digest, ordinal): rest for digest, ordinal, *rest in found}
            for refusal in page:
                reason, raw = kept.get((refusal.digest, refusal.ordinal), (None, None))
                explanation = f"it is kept apart: {reason}" if raw == refusal.raw else None
                if explanation is None and not last:
                    left += 1
                    continue
                self._scratch.add_found(
                    Found("quarantined", explanation, refusal.subject, refusal.raw, None)
                )
                self._scratch.accept(refusal.number)
            after = page[-1].number
            self._checkpoint()
        return left

    # What is left in the end

    def _keep(self) -> None:
        """Store the differences, those that are not stored yet."""
        begun, now = self._begun, now_text(self._store)
        words = paused.words(self._store, begun, OURS)
        with self._store.database.read() as connection:
            run = connection.execute
            n = run(query("verify.count_differences"), (begun.verify_id,)).fetchone()[0]
        while page := self._scratch.found(n, _STORED_AT_ONCE):
            self._add([self._values(found, words, now) for found in page])
            n += len(page)
            self._tell()

    def _values(self, found: Found, words: Words, now: str) -> tuple[str | int | None, ...]:
        said: Word = (found.explanation, now, OURS)
        if found.explanation is None:
            said = words.take(found) or (None, None, None)
        what = (found.kind, found.subject, found.in_json, found.in_store)
        return (self._begun.verify_id, self._begun.epoch, now, *what, *said)

    def _add(self, differences: list[tuple[str | int | None, ...]]) -> None:
        def work(connection: Connection) -> None:
            connection.executemany(query("verify.add_difference"), differences)

        self._store.database.write(work, rows=len(differences))

    def _finish(self) -> VerifyReport:
        begun, state = self._begun, self._state
        self._count_seconds()

        def work(connection: Connection) -> VerifyReport:
            kinds = connection.execute(query("verify.kinds"), (begun.verify_id,)).fetchall()
            report = VerifyReport(
                verify_id=begun.verify_id,
                source=str(begun.source),
                zone=begun.zone,
                epoch=begun.epoch,
                sha256=begun.sha256,
                size=begun.size,
                compared=state.compared,
                equal=state.equal,
                explained={kind: n for kind, _, n in kinds if n},
                unexplained={kind: n for kind, n, _ in kinds if n},
                torn=state.torn,
                resumed_at=self._resumed_at,
                started_at=begun.started_at,
                finished_at=now_text(self._store),
                seconds=dict(state.seconds),
            )
            values = (
                report.finished_at,
                state.position,
                state.compared,
                state.equal,
                sum(report.explained.values()),
                sum(report.unexplained.values()),
                json.dumps(report.as_dict()),
                begun.verify_id,
            )
            connection.execute(query("verify.finish"), values)
            return report

        return self._store.database.write(work)

    # How far it is

    def _checkpoint(self) -> None:
        """Keep what was done; a kill from here on costs nothing of it."""
        state = self._state
        state.compared, state.equal = self._comparing.compared, self._comparing.equal
        self._count_seconds()
        self._scratch.commit(json.dumps(asdict(state)))
        if state.position != self._noted:
            self._noted = state.position
            values = (state.position, state.compared, state.equal, self._begun.verify_id)
            self._store.database.write(
                lambda connection: connection.execute(query("verify.checkpoint"), values)
            )
        self._tell()

    def _count_seconds(self) -> None:
        now, seconds = self._store.database.clock.monotonic_us(), self._state.seconds
        passed = (now - self._since) / clock.MICROSECONDS
        seconds[self._state.stage] = round(seconds.get(self._state.stage, 0.0) + passed, 6)
        self._since = now

    def _tell(self) -> None:
        if self._progress is not None:
            stage, total = self._state.stage, self._begun.size
            done = min(self._reading.bytes, total) if stage == "comparing" else total
            self._progress(Progress(stage, done, total, self._state.position))
