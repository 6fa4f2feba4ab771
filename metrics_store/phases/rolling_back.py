"""The way back: from the store alone to JSON and store. It never expires.

The store is exported in the legacy format, with everything that was recorded since the cutover,
and with whatever the JSON file has beyond it. No old backup is put back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store import schema
from metrics_store.errors import LegacyNotWritable, NoSpace, RehearsalFailed
from metrics_store.legacy import importing, json_file
from metrics_store.legacy.calls import Home, source_of
from metrics_store.legacy.control import Control, Phase
from metrics_store.legacy.json_file import Record
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import Progress
from metrics_store.legacy_format import loading
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.legacy_format.record import Refused, understand
from metrics_store.phases import harvesting, replaying
from metrics_store.phases.exported import Export, load
from metrics_store.phases.gates import counted
from metrics_store.phases.operator import Operator
from metrics_store.phases.reconciling import keep_what_was_there, put_in_place
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.store import MetricsStore

#: How often the JSON file is read again while a process without our locks keeps writing it.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class RolledBack(Result):
    """What a rollback came to, or would.

    Args:
        executed: whether it was done.
        from_phase, to_phase: the change.
        records, pending, skills: what the JSON file has afterwards.
        named: rows that no legacy file had before.
        waited_ms: for how long nobody could write, milliseconds.
        backup: where the JSON file went that was there; None without one.
    """

    executed: bool
    from_phase: str
    to_phase: str
    epoch: int
    records: int = 0
    pending: int = 0
    skills: int = 0
    named: int = 0
    waited_ms: float = 0.0
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsed(Result):
    """What the rehearsal of a rollback showed, on copies of both sides.

    Args:
        records, skills: what the JSON file would have; the legacy rules load them all.
        kept: records of the present JSON file, every one of which is in it.
        read_back: records that were taken in again from it, and were all there.
        seconds: how long it took.
    """

    records: int
    skills: int
    kept: int
    read_back: int
    seconds: float


def rollback(
    operator: Operator,
    *,
    execute: bool,
    progress: Callable[[Progress], None] | None = None,
) -> RolledBack:
    """Roll back from ``database`` or ``complete``, or go on with a rollback that was cut short.

    Raises:
        WrongPhase: the phase is another.
        NoSpace, DiskFull, LegacyFileError, RehearsalFailed: the store goes on serving alone.
    """
    with operator.at_work():
        there = operator.require(
            Phase.DATABASE, Phase.COMPLETE, Phase.DUAL_WRITE, command="rollback"
        )
        if there.phase is Phase.DUAL_WRITE:
            if there.intent is None:
                operator.require(Phase.DATABASE, Phase.COMPLETE, command="rollback")
            was = there.changes[-1].from_phase if there.changes else Phase.DATABASE
            if not execute:
                return RolledBack(False, was, there.phase, there.epoch)
            return _finish(operator, there, RolledBack(True, was, there.phase, there.epoch))
        was = there.phase
        if not execute:
            return RolledBack(False, was, Phase.DUAL_WRITE, there.epoch)
        there = operator.intend(there, "rollback", None)
        operator.step(there, "rollback", "intend", by=operator.by())
        taken = replaying.replay(operator, there, to_json=False).taken
        operator.step(there, "rollback", "spill", taken=taken)
        there, _ = harvesting.take_in(operator, there, "rollback", progress)
        operator.step(there, "rollback", "harvest")
        return _run(operator, there, was)


def _run(operator: Operator, there: Control, was: Phase) -> RolledBack:
    path = Path(operator.json_file)
    _room_for(path, operator)
    target = path.with_name(f"{path.name}.rollback.tmp")
    _know_the_file(operator, there)
    # Of a rollback that was cut short: the old file may hold what nobody has looked at.
    keep_what_was_there(operator, there, "before-rollback")
    export = Export(operator, there, target)
    try:
        export.most()
        operator.step(there, "rollback", "name", named=export.named)
        operator.step(there, "rollback", "export")
        with operator.nobody_writes():
            since = time.perf_counter()
            operator.step(there, "rollback", "lock")
            replaying.replay(operator, there, to_json=False)
            there = _harvest_the_rest(operator, there)
            report = export.rest()
            operator.step(there, "rollback", "export_rest", records=report.records)
            loaded = load(target)
            if (loaded.records, loaded.skills) != (report.records, report.skills):
                raise RehearsalFailed(
                    f"{loaded.records:,} records load, {report.records:,} were written"
                )
            operator.step(there, "rollback", "load", records=loaded.records)
            put_in_place(target, path, there.archived)
            operator.step(there, "rollback", "replace")
            there = operator.enter(replace(there, archived=None), Phase.DUAL_WRITE)
            operator.step(there, "rollback", "commit", records=report.records)
            operator.mirror(there)
            waited = (time.perf_counter() - since) * 1000
        operator.step(there, "rollback", "mirror")
    except OSError as error:
        raise LegacyNotWritable(f"{target}: {error.strerror}") from error
    finally:
        export.discard()
    done = RolledBack(
        True,
        was,
        there.phase,
        there.epoch,
        report.records,
        report.pending,
        report.skills,
        export.named,
        round(waited, 1),
    )
    return _finish(operator, there, done)


def _finish(operator: Operator, there: Control, done: RolledBack) -> RolledBack:
    operator.mirror(there)
    backup = keep_what_was_there(operator, there, "before-rollback")
    operator.step(there, "rollback", "backup", file=backup)
    there = operator.save(replace(there, intent=None, json_seen=None))
    operator.step(there, "rollback", "done", records=done.records)
    return replace(done, backup=backup)


def _know_the_file(operator: Operator, there: Control) -> None:
    now = operator.clock.now_us()
    operator.store().database.write(lambda c: source_of(c, Home.of(there), now))


def _harvest_the_rest(operator: Operator, there: Control) -> Control:
    """What a zombie has written since the harvest, so that nothing of it is overwritten."""
    for _ in range(_TRIES):
        there, found = harvesting.take_in(operator, there, "rollback")
        if not found.written:
            return there
    return there


def _room_for(path: Path, operator: Operator) -> None:
    size = os.path.getsize(operator.store().path) + (path.stat().st_size if path.exists() else 0)
    free = shutil.disk_usage(path.parent).free
    if free < 2 * size + (1 << 20):
        raise NoSpace(f"{path.parent} has {free:,} bytes free, some {2 * size:,} are needed")


def rehearse(operator: Operator, progress: Callable[[Progress], None] | None = None) -> Rehearsed:
    """Roll back on copies: the store keeps serving, and nothing of it or of the file is changed.

    Shown is that the legacy rules load the file, that it has every record of the present one, and
    that taking it in again adds nothing.

    Raises:
        RehearsalFailed: one of these is not so.
    """
    with operator.at_work():
        there = operator.require(
            *(phase for phase in Phase if phase is not Phase.LEGACY), command="rollback"
        )
        began = time.monotonic()
        try:
            done = _rehearse_in(operator, there, operator.emptied("rehearsal"), progress)
        finally:
            operator.emptied("rehearsal")
        done = replace(done, seconds=round(time.monotonic() - began, 3))
        there = operator.save(replace(operator.control(), rehearsed=there.epoch))
        return done


class _Copy(Operator):
    """An operator whose store is a copy."""

    def __init__(self, real: Operator, there: Control, store: MetricsStore) -> None:
        super().__init__(real.json_file, now=real.clock)
        self._there = there
        self._store = store

    def control(self) -> Control:
        return self._there


def _rehearse_in(
    operator: Operator,
    there: Control,
    folder: Path,
    progress: Callable[[Progress], None] | None,
) -> Rehearsed:
    database, target = folder / "store.db", folder / "export.json"
    schema.copy_database(operator.store().database, database)
    settings = replace(operator.store().database.settings, database=database, durability="normal")
    kept: Counter[str] = Counter()
    records = 0
    with MetricsStore(settings=settings, clock=operator.clock) as store:
        copy = _Copy(operator, there, store)
        path = Path(operator.json_file)
        if path.exists():
            # One copy for both: runners go on writing the file.
            seen = copy_stable(path, folder)
            importing.take_in(store, path, zone=there.zone, progress=progress, copy=seen)
            kept = _hashes(seen.path, there.zone, operator.clock.now_us())
            records = sum(1 for _ in _texts(seen.path, there.zone, operator.clock.now_us()))
        _know_the_file(copy, there)
        export = Export(copy, there, target)
        try:
            export.most()
            report = export.rest()
            loaded = load(target)
            if (loaded.records, loaded.skills) != (report.records, report.skills):
                raise RehearsalFailed(
                    f"{loaded.records:,} records load, {report.records:,} were written"
                )
            kept -= _explained(copy)
            _all_there(kept, _hashes(target, there.zone, operator.clock.now_us()))
            back = importing.take_in(store, target, zone=there.zone, progress=progress)
        finally:
            export.discard()
    if back.inserted or back.upgraded or not back.comparison.clean:
        raise RehearsalFailed(
            f"read back, {back.inserted:,} records were new and {back.upgraded:,} had changed"
        )
    return Rehearsed(loaded.records, loaded.skills, records, back.matched, 0.0)


def _explained(copy: Operator) -> Counter[str]:
    """Records of the file whose row says something else, and a person has said why."""
    with copy.store().database.read() as connection:
        rows = connection.execute(query("legacy.said")).fetchall()
    return Counter(_hashed(in_json) for kind, in_json, _, _ in rows if kind == "different")


def _all_there(kept: Counter[str], exported: Counter[str]) -> None:
    lacking = sum((kept - exported).values())
    if lacking:
        raise RehearsalFailed(f"{counted(lacking, 'record')} of the JSON file not in the export")


def _texts(path: Path, zone: str, now_us: int) -> Iterator[tuple[str, str, bool]]:
    """The records that the legacy rules load: canonical text, key, and whether they are pending."""
    reader = ZoneReader(zone)
    for event in json_file.read(path):
        if not isinstance(event, Record) or event.superseded:
            continue
        try:
            one = understand(event.value, reader, False, now_us)
            text, key, is_pending = one.content, one.key, one.pending
        except Refused:
            text = key = json.dumps(event.value, sort_keys=True)
            is_pending = False
        if not loading.refusal_of_record(event.value):
            yield text, key, is_pending


def _hashes(path: Path, zone: str, now_us: int) -> Counter[str]:
    """What a file has: every key as often as it occurs, and every record that has ended."""
    found: Counter[str] = Counter()
    for text, key, is_pending in _texts(path, zone, now_us):
        found[_hashed(f"key {key}")] += 1
        if not is_pending:
            found[_hashed(text)] += 1
    return found


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
