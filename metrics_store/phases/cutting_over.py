"""The cutover: from JSON and store to the store alone.

Everything slow comes first, while runners write as ever: sync, full verify, backups. Then nobody
writes while what has changed since is taken in and looked at, and the control file is replaced:
the commit point. A crash before it leaves the old phase serving; after it there is only the way on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store import schema
from metrics_store.backup import creating
from metrics_store.errors import (
    FileChanging,
    GateNotMet,
    RehearsalFailed,
    TornFile,
    WriteError,
)
from metrics_store.legacy import importing, json_file, verifying
from metrics_store.legacy.control import Control, Fingerprint, Phase
from metrics_store.legacy.private_copy import PrivateCopy, copy_stable
from metrics_store.legacy.report import Progress
from metrics_store.phases import (
    beginning,
    delta,
    explaining,
    fingerprints,
    gates,
    harvesting,
    replaying,
)
from metrics_store.phases.gates import Requirement
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.store import MetricsStore

#: How often the rest is taken in while a process without our locks keeps writing.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class CutOver(Result):
    """What a cutover came to, or would.

    Args:
        executed: whether it was done.
        requirements: what the gate asks for.
        records: records that the full verify compared.
        changed: records that were taken in while nobody wrote.
        waited_ms: for how long nobody could write, milliseconds.
        backups: the copies that were made.
        harvested: records that landed in the JSON file in between.
        forced: why an unmet gate was passed.
    """

    executed: bool
    epoch: int
    requirements: tuple[Requirement, ...]
    records: int = 0
    changed: int = 0
    waited_ms: float = 0.0
    waited_for: dict[str, float] | None = None
    backups: tuple[str, ...] = ()
    harvested: int = 0
    forced: str | None = None


def cutover(
    operator: Operator,
    *,
    execute: bool,
    force: bool = False,
    reason: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> CutOver:
    """Cut over, or go on with a cutover that a crash cut short.

    Raises:
        GateNotMet: the gate, or the verify of the cutover itself, found something.
        WrongPhase: the phase is not ``dual_read``.
        NoSpace, DiskFull, WriteError, LegacyFileError: the old phase goes on serving.
    """
    forced = beginning.forced_because(force, reason)
    with operator.at_work():
        there = operator.require(Phase.DUAL_READ, Phase.DATABASE, command="cutover")
        if there.phase is Phase.DATABASE:
            if there.intent is None:
                operator.require(Phase.DUAL_READ, command="cutover")
            if not execute:
                return CutOver(False, there.epoch, ())
            return _after_commit(operator, there, CutOver(True, there.epoch, ()))
        if execute:
            explaining.explain_reads(operator, there)
        asked = gates.requirements(operator, there)
        beginning.refuse_unmet(asked, forced, execute=execute)
        if not execute:
            return CutOver(False, there.epoch, asked, forced=forced)
        there = operator.intend(there, "cutover", forced)
        operator.step(there, "cutover", "intend", by=operator.by(), forced=forced)
        operator.step(there, "cutover", "spill", taken=replaying.replay(operator, there).taken)
        return _run(operator, there, asked, forced, progress)


def _run(
    operator: Operator,
    there: Control,
    asked: tuple[Requirement, ...],
    forced: str | None,
    progress: Callable[[Progress], None] | None,
) -> CutOver:
    folder = operator.emptied("cutover")  # a crash may have left something
    store, path = operator.store(), Path(operator.json_file)
    up_to = importing.last_seq(store)
    copy = copy_stable(path, folder)
    operator.step(there, "cutover", "copy", sha256=copy.sha256, size=copy.size)
    report = importing.take_in(
        store, path, zone=there.zone, progress=progress, copy=copy, up_to_seq=up_to
    )
    operator.step(there, "cutover", "sync", read=report.read, inserted=report.inserted)
    verified = verifying.verify(store, path, zone=there.zone, epoch=there.epoch, copy=copy)
    if not verified.clean and forced is None:
        raise GateNotMet(
            f"the verify found {sum(verified.unexplained.values()):,} unexplained differences",
            hint="See metrics-store legacy diff list --open, then resume or cancel.",
        )
    operator.step(there, "cutover", "verify", compared=verified.compared, clean=verified.clean)
    seq = importing.last_seq(store)
    backups = _back_up(operator, there, copy)
    operator.step(there, "cutover", "backup", files=backups)
    _test_restore(operator, *backups, copy, seq)
    operator.step(there, "cutover", "test_restore", files=backups)
    changed, waited = 0, _Waiting()
    with operator.nobody_writes():
        waited.has("locks")
        operator.step(there, "cutover", "lock")
        replaying.replay(operator, there, to_json=False)
        waited.has("spill")
        copy, changed = _sync_rest(operator, there, copy, folder, forced)
        waited.has("rest")
        operator.step(there, "cutover", "sync_rest", changed=changed, sha256=copy.sha256)
        seen = Fingerprint(copy.size, copy.mtime_ns, copy.sha256)
        there = operator.enter(replace(there, json_seen=seen), Phase.DATABASE, forced)
        waited.has("commit")
        operator.step(there, "cutover", "commit", sha256=copy.sha256, forced=forced)
        operator.mirror(there)
        waited.has("mirror")
    operator.step(there, "cutover", "mirror")
    done = CutOver(
        True,
        there.epoch,
        asked,
        verified.compared,
        changed,
        sum(waited.ms.values()),
        waited.ms,
        backups,
        0,
        forced,
    )
    return _after_commit(operator, there, done)


def _after_commit(operator: Operator, there: Control, done: CutOver) -> CutOver:
    operator.mirror(there)
    there, harvest = harvesting.take_in(operator, there, "cutover")
    operator.step(there, "cutover", "harvest", found=harvest.found)
    there = operator.save(replace(there, intent=None))
    operator.emptied("cutover")
    operator.step(there, "cutover", "done", waited_ms=done.waited_ms)
    return replace(done, harvested=harvest.found)


class _Waiting:
    """What writers wait for, in milliseconds."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._since = time.perf_counter()

    def has(self, name: str) -> None:
        now = time.perf_counter()
        self.ms[name] = round((now - self._since) * 1000, 1)
        self._since = now


def _sync_rest(
    operator: Operator, there: Control, old: PrivateCopy, folder: Path, forced: str | None
) -> tuple[PrivateCopy, int]:
    """Take in what was written since a copy was; ours do not write any more."""
    path, changed = Path(operator.json_file), 0
    for _ in range(_TRIES):
        new = copy_stable(path, folder)
        changed += _take_changes(operator, there, old, new, folder)
        old = new
        seen = Fingerprint(new.size, new.mtime_ns, new.sha256)
        if not fingerprints.has_changed(str(path), seen):
            return new, changed
    if forced is None:
        raise FileChanging(
            f"{path}: a process without our locks keeps writing it",
            hint="Stop it, then: metrics-store legacy resume --execute. With --force the cutover "
            "goes on, and what it writes is harvested.",
        )
    return old, changed


def _take_changes(
    operator: Operator, there: Control, old: PrivateCopy, new: PrivateCopy, folder: Path
) -> int:
    found = delta.between(old, new, folder)
    store = operator.store()
    if found is None:
        # Another layout: the whole file, and writers wait for it.
        report = importing.take_in(store, new.source, zone=there.zone, copy=new)
        if not report.comparison.clean:
            raise GateNotMet("what was written at the last moment is not in the store")
        return report.inserted + report.upgraded
    if found.part is None:
        return 0
    importing.take_in_part(store, found.part, there.zone)
    # Once more: a second pass that adds anything would mean that the first lost something.
    again = importing.take_in_part(store, found.part, there.zone)
    if again.inserted or again.upgraded:
        raise WriteError("a second pass over the last records added rows")
    return found.changed


def _back_up(operator: Operator, there: Control, copy: PrivateCopy) -> tuple[str, str]:
    moment = operator.stamp()
    folder = operator.folder("backups")
    database = folder / f"before-cutover-{moment}.db"
    file = folder / f"before-cutover-{moment}.json"
    store = operator.store()
    us = operator.clock.now_us()
    schema.copy_database(store.database, database)
    # With a manifest it can be restored like any other; that costs a check of every row.
    creating.adopt(database, source=store.path, reason="cutover", made_us=us, clock=operator.clock)
    shutil.copyfile(copy.path, file)
    file.chmod(0o600)
    return str(database), str(file)


def _test_restore(
    operator: Operator, database: str, file: str, copy: PrivateCopy, seq: int
) -> None:
    """Restore the one backup beside itself and read it, and read the other through.

    Args:
        copy: what the JSON backup is of.
        seq: the newest row of the log before the store was backed up.

    Raises:
        RehearsalFailed: one of them would not do.
    """
    # Into a place of its own, as a restore would: opening the backup itself would change it.
    trial = Path(f"{database}.trial")
    shutil.copyfile(database, trial)
    try:
        with MetricsStore(trial, create=False, clock=operator.clock) as restored:
            restored.get_summary()
            restored_seq = importing.last_seq(restored)
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{trial}{suffix}").unlink(missing_ok=True)
    if restored_seq < seq:
        raise RehearsalFailed(f"{database} ends at row {restored_seq:,}, the store had {seq:,}")
    kept = fingerprints.of_file(file)
    if kept is None or kept.sha256 != copy.sha256:
        raise RehearsalFailed(f"{file} is not what was copied")
    try:
        for _ in json_file.read(Path(file)):
            pass
    except TornFile as torn:
        raise RehearsalFailed(f"{file}: {torn}") from torn
