"""The operator's commands, each in a forked process of its own, which may be killed on its way."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from metrics_store import sqlite
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import private_copy, verifying
from metrics_store.legacy.control import Gates
from metrics_store.legacy.private_copy import PrivateCopy
from metrics_store.phases import (
    beginning,
    completing,
    cutting_over,
    harvesting,
    reconciling,
    resuming,
    rolling_back,
    status,
)
from metrics_store.phases.operator import Operator

Told = dict[str, object]


@dataclass(frozen=True)
class Place:
    """Where a migration happens.

    Args:
        folder: of the campaign; the legacy file is in it.
        zone: of its naive moments.
        shadow_reads: what the gate asks for.
    """

    folder: Path
    zone: str = "UTC"
    shadow_reads: int = 5

    @property
    def json_file(self) -> Path:
        """The legacy file."""
        return self.folder / "skill_metrics.json"

    @property
    def db(self) -> Path:
        """The store."""
        return self.folder / "m.db"

    @property
    def copies(self) -> Path:
        """Every copy of the legacy file that a command has read, by its hash."""
        return self.folder / "copies"


@dataclass(frozen=True)
class Outcome:
    """What came of a command.

    Args:
        killed: by a signal, on its way.
        error, detail: the error's class and text; empty without one. ``!`` is none of ours.
        told: what it returned, in short.
    """

    command: str
    killed: bool = False
    error: str = ""
    detail: str = ""
    told: Told = field(default_factory=dict)

    @property
    def fine(self) -> bool:
        """Whether it ran to its end."""
        return not self.killed and not self.error


def _start(op: Operator, place: Place) -> Told:
    gates = Gates(shadow_reads=place.shadow_reads, soak=0)
    beginning.start(op, zone=place.zone, wanted=gates, execute=True)
    return {}


def _backfill(op: Operator) -> Told:
    done = beginning.backfill(op)
    first = done.first
    return {
        "fine": done.fine,
        "conserved": first.conserved and done.second_inserted == 0,
        "torn": first.torn,
        "unexplained": dict(first.comparison.unexplained),
        "examples": [str(one) for one in first.comparison.examples if not one.explained][:3],
    }


def _verify(op: Operator) -> Told:
    there = op.control()
    done = verifying.verify(op.store(), Path(op.json_file), zone=there.zone, epoch=there.epoch)
    return {"clean": done.clean, "torn": done.torn, "unexplained": dict(done.unexplained)}


def _reconcile(op: Operator, to: reconciling.Side) -> Told:
    done = reconciling.reconcile(op, to, execute=True)
    return {"replayed": done.replayed, "set_aside": done.set_aside}


def _harvest(op: Operator) -> Told:
    done = harvesting.harvest(op)
    return {"found": done.found, "replayed": done.replayed}


def _dry(op: Operator) -> Told:
    """Everything that changes a phase, without --execute: nothing is changed."""
    for dry in (
        lambda: beginning.advance(op, execute=False, force=False, reason=None),
        lambda: beginning.step_back(op, execute=False),
        lambda: cutting_over.cutover(op, execute=False),
        lambda: completing.complete(op, execute=False, force=False, reason=None),
        lambda: reconciling.reconcile(op, "db", execute=False),
        lambda: status.status(op),
    ):
        try:
            dry()
        except MetricsStoreError as error:
            if type(error).__name__ not in ("WrongPhase", "Unfinished", "FileChanging"):
                raise
    return {}


def _hold(place: Place, seconds: float) -> Told:
    """Keep everybody from writing to the store for a while."""
    connection = sqlite.connect(str(place.db))
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    connection.close()
    return {}


def work_of(name: str, place: Place, forced: str | None = None) -> Callable[[], Told]:
    """A command by its name, to be run in a child.

    Args:
        forced: why an unmet gate is to be passed.
    """
    force = forced is not None
    commands: dict[str, Callable[[Operator], object]] = {
        "start": lambda op: _start(op, place),
        "backfill": _backfill,
        "advance": lambda op: beginning.advance(op, execute=True, force=force, reason=forced),
        "back": lambda op: beginning.step_back(op, execute=True),
        "verify": _verify,
        "rehearse": rolling_back.rehearse,
        "cutover": lambda op: cutting_over.cutover(op, execute=True, force=force, reason=forced),
        "rollback": lambda op: rolling_back.rollback(op, execute=True),
        "resume": lambda op: resuming.resume(op, execute=True, force=force, reason=forced),
        "cancel": lambda op: beginning.cancel(op, execute=True),
        "harvest": _harvest,
        "reconcile db": lambda op: _reconcile(op, "db"),
        "reconcile json": lambda op: _reconcile(op, "json"),
        "complete": lambda op: completing.complete(op, execute=True, force=force, reason=forced),
        "dry runs": _dry,
    }

    def work() -> Told:
        if name == "hold":
            return _hold(place, 0.6)
        with Operator(place.json_file, place.db) as op:
            told = commands[name](op)
        return told if isinstance(told, dict) else {}

    return work


class Child:
    """A process in which a command runs.

    Args:
        name: the command.
        work: what it does.
        place: where; copies of the legacy file that it reads are kept there.
        failpoint: where it is to be killed.
    """

    def __init__(
        self, name: str, work: Callable[[], Told], place: Place, failpoint: str = ""
    ) -> None:
        self.name = name
        self._receiving, sending = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(sending)
            return
        os.close(self._receiving)
        os.environ.update({"TZ": place.zone, "METRICS_STORE_FAILPOINT": failpoint})
        time.tzset()
        random.seed()
        try:
            keep_copies(place.copies)
            told: Told = {"told": work()}
        except MetricsStoreError as error:
            told = {"error": type(error).__name__, "detail": str(error)[:2000]}
        except BaseException:
            told = {"error": "!", "detail": traceback.format_exc()}
        finally:
            os.write(sending, json.dumps(told, default=str).encode()[:60_000])
            os._exit(0)

    def kill(self) -> None:
        """End it as by kill -9, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)

    def outcome(
        self, meanwhile: Callable[[], None] = lambda: time.sleep(0.005), seconds: float = 120
    ) -> Outcome:
        """Wait for it.

        Args:
            meanwhile: called all the time.
            seconds: after which it is held to hang, and killed.
        """
        deadline = time.monotonic() + seconds
        while True:
            pid, ended = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.kill()
                os.waitpid(self.pid, 0)
                return Outcome(self.name, error="!", detail=f"it hangs, {seconds:g} s")
            meanwhile()
        with os.fdopen(self._receiving, "rb") as pipe:
            said = pipe.read()
        if os.WIFSIGNALED(ended):
            return Outcome(self.name, killed=True)
        return Outcome(self.name, **json.loads(said))


def run(name: str, place: Place, *, forced: str | None = None, failpoint: str = "") -> Outcome:
    """Run a command in a child, and wait for it."""
    return Child(name, work_of(name, place, forced), place, failpoint).outcome()


def keep_copies(folder: Path) -> None:
    """See that this process keeps every copy of a legacy file that it reads, by its hash."""
    original = private_copy.copy_stable
    folder.mkdir(exist_ok=True)

    def kept(*args: object, **kwargs: object) -> PrivateCopy:
        copy = original(*args, **kwargs)  # type: ignore[arg-type]
        target = folder / f"{copy.sha256}.json"
        if not target.exists():
            part = folder / f"{os.getpid()}.part"
            shutil.copyfile(copy.path, part)
            os.replace(part, target)
        return copy

    for module in list(sys.modules.values()):
        if getattr(module, "copy_stable", None) is original:
            module.copy_stable = kept  # type: ignore[attr-defined]
