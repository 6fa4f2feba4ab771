"""Bringing one side up to what the other has, without a change of phase."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from metrics_store.errors import InvalidValue, LegacyNotWritable, RehearsalFailed, WrongPhase
from metrics_store.legacy import importing
from metrics_store.legacy.calls import Home, source_of
from metrics_store.legacy.control import Control, Fingerprint, Phase
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import ImportReport, Progress
from metrics_store.phases import harvesting, replaying
from metrics_store.phases.exported import Export, load
from metrics_store.phases.operator import Operator
from metrics_store.replacing import sync_directory
from metrics_store.results import Result
from metrics_store.sql import query

Side = Literal["db", "json"]


@dataclass(frozen=True, slots=True)
class Reconciled(Result):
    """What was brought over, or would be.

    Args:
        to: ``db`` or ``json``.
        waiting: records of the spill before.
        replayed: of these, those that were taken in.
        set_aside: lines of the spill that cannot be read, moved to a file of their own.
        report: the pass over the JSON file, for ``db``.
        records: what the JSON file has afterwards, for ``json``.
        backup: where the JSON file went that was there.
    """

    to: str
    executed: bool
    waiting: int
    replayed: int = 0
    set_aside: int = 0
    report: ImportReport | None = None
    records: int | None = None
    backup: str | None = None


def reconcile(
    operator: Operator,
    to: Side,
    *,
    execute: bool,
    progress: Callable[[Progress], None] | None = None,
) -> Reconciled:
    """Give the store what waits in the spill and what the JSON file has beyond it; or give the
    JSON file what the store has beyond it.

    Raises:
        WrongPhase: the side is not written in this phase.
        Unfinished: a cutover or rollback comes first.
    """
    if to not in ("db", "json"):
        raise InvalidValue(f"--to {to}", hint="It is db or json.")
    with operator.at_work():
        there = operator.require(
            *(phase for phase in Phase if phase is not Phase.LEGACY), command="reconcile"
        )
        waiting = len(replaying.contents(operator))
        if to == "db":
            return _to_db(operator, there, waiting, execute, progress)
        if not there.phase.in_json:
            raise WrongPhase(
                f"in {there.phase} nobody writes the JSON file",
                hint="The way back is metrics-store legacy rollback.",
            )
        return _to_json(operator, there, waiting, execute)


def _to_db(
    operator: Operator,
    there: Control,
    waiting: int,
    execute: bool,
    progress: Callable[[Progress], None] | None,
) -> Reconciled:
    path = Path(operator.json_file)
    takes_in = there.phase.in_json and path.exists()
    if not execute:
        report = None
        if takes_in:
            report = importing.take_in(operator.store(), path, zone=there.zone, dry_run=True)
        return Reconciled("db", False, waiting, report=report)
    done = replaying.replay(operator, there, as_called=True)
    aside = replaying.set_damaged_aside(operator)
    operator.step(there, "reconcile", "spill", taken=done.taken, set_aside=aside)
    report = None
    if takes_in:
        report = importing.take_in(operator.store(), path, zone=there.zone, progress=progress)
        operator.step(there, "reconcile", "take_in", inserted=report.inserted)
    return Reconciled("db", True, waiting, done.taken, aside, report)


def _to_json(operator: Operator, there: Control, waiting: int, execute: bool) -> Reconciled:
    path = Path(operator.json_file)
    target = path.with_name(f"{path.name}.reconcile.tmp")
    if not execute:
        with operator.store().database.read() as connection:
            counts = connection.execute(query("phases.log_counts")).fetchall()
        return Reconciled("json", False, waiting, records=sum(n for _, n in counts))
    done = replaying.replay(operator, there)
    operator.step(there, "reconcile", "spill", taken=done.taken)
    now = operator.clock.now_us()
    operator.store().database.write(lambda c: source_of(c, Home.of(there), now))
    keep_what_was_there(operator, there, "before-reconcile")  # of one that was cut short
    with operator.nobody_writes():
        seen = None
        if path.exists():
            # What the file has and the store has not must not be overwritten.
            copy = copy_stable(path, operator.folder("harvest"))
            report = importing.take_in(operator.store(), path, zone=there.zone, copy=copy)
            copy.path.unlink()
            seen = Fingerprint(copy.size, copy.mtime_ns, copy.sha256)
            operator.step(there, "reconcile", "take_in", inserted=report.inserted)
        export = Export(operator, there, target)
        try:
            export.most()
            written = export.rest()
            loaded = load(target)
            if loaded.records != written.records:
                raise RehearsalFailed(f"{loaded.records:,} of {written.records:,} records load")
            operator.step(there, "reconcile", "export", records=written.records)
            put_in_place(target, path)
        except OSError as error:
            raise LegacyNotWritable(f"{target}: {error.strerror}") from error
        finally:
            export.discard()
        operator.step(there, "reconcile", "replace", records=written.records)
    backup = keep_what_was_there(operator, replace(there, json_seen=seen), "before-reconcile")
    return Reconciled("json", True, waiting, done.taken, 0, None, written.records, backup)


def put_in_place(target: Path, path: Path, like: str | None = None) -> None:
    """Put a new file in the place of the JSON file, which stays under another name.

    A process without our locks may be writing it this very moment, and whatever it writes to it
    is found there by :func:`keep_what_was_there`.

    Args:
        like: the file whose mode and owner it gets if there is no JSON file: the archived one.
    """
    aside = _aside(path)
    aside.unlink(missing_ok=True)
    if like is not None:
        _dress_as(target, Path(like))
    if path.exists():
        _dress_as(target, path)
        try:
            os.link(path, aside)
        except OSError:
            shutil.copyfile(path, aside)  # a file system without links
    os.replace(target, path)
    sync_directory(path.parent)


def keep_what_was_there(operator: Operator, there: Control, name: str) -> str | None:
    """Take in what was written to the old JSON file at the last moment, and move it to the
    backups; None if there was none.

    Args:
        there: with the fingerprint of the old file when it was last looked at.
    """
    path = Path(operator.json_file)
    aside = _aside(path)
    if not aside.exists():
        return None
    if path.exists() and os.path.samefile(aside, path):
        aside.unlink()  # a crash came before the new file was in its place
        return None
    harvesting.take_in_aside(operator, there, aside)
    moment = operator.stamp()
    backup = operator.folder("backups") / f"{name}-{moment}.json"
    shutil.copyfile(aside, backup)
    backup.chmod(0o600)
    aside.unlink()
    return str(backup)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.replaced")


def _dress_as(target: Path, path: Path) -> None:
    """Give a new file the mode of the one it is to replace, and its owner as far as one may."""
    if not path.exists():
        return
    status = path.stat()
    if hasattr(os, "chown") and os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)
