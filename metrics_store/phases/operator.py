"""An operator at work on one legacy file: its control file, its store, its lock, its log."""

from __future__ import annotations

import getpass
import json
import logging
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store import clock
from metrics_store.clock import Clock
from metrics_store.closing import Closing
from metrics_store.errors import (
    LegacyLocked,
    MetricsStoreError,
    NoMigration,
    OperatorBusy,
    OtherMigration,
    Unfinished,
    WrongPhase,
)
from metrics_store.legacy import control, locks
from metrics_store.legacy.calls import FIRST_DUAL_EPOCH, WRONG_STORE, Home, check_epoch
from metrics_store.legacy.control import Control, Intent, Phase
from metrics_store.phases import steps
from metrics_store.settings import Settings
from metrics_store.sql import query
from metrics_store.store import MetricsStore

log = logging.getLogger("metrics_store")

#: Seconds that a change of phase waits for runners to end what they are writing.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was done, as the store keeps it."""

    epoch: int
    command: str
    step: str
    done_at: str
    detail: Mapping[str, object]


class Operator(Closing):
    """One operator, one legacy file.

    Args:
        json_file: the legacy file.
        db: the store; by default the one that the control file names, else the configured one.
        now: source of time; tests give their own.
    """

    def __init__(
        self,
        json_file: str | os.PathLike[str],
        db: str | os.PathLike[str] | None = None,
        *,
        now: Clock | None = None,
    ) -> None:
        self.json_file = control.resolved(json_file)
        self.clock = now or Clock()
        self._db = db
        self._store: MetricsStore | None = None

    # What is there

    def control(self) -> Control:
        """What the control file says.

        Raises:
            NoMigration: there is none.
            ControlError: it cannot be read, or the store named is another.
        """
        found = control.read(self.json_file)
        if found is None:
            raise NoMigration(self.json_file)
        if self._db is not None and control.resolved(self._db) != found.database:
            raise OtherMigration(
                f"{control.control_path(self.json_file)} names {found.database}",
                hint="Leave --db out, or name that store.",
            )
        return found

    def database(self) -> str:
        """Where the store lies, or is to lie."""
        found = control.read(self.json_file)
        if found is not None:
            return self.control().database
        return control.resolved(Settings.load(self._db).database)

    def store(self, *, create: bool = False) -> MetricsStore:
        """The store, opened once.

        Raises:
            OpenError, SchemaError: as :class:`MetricsStore`.
            OtherMigration: it belongs to the migration of another legacy file.
        """
        if self._store is None:
            self._store = MetricsStore(self.database(), create=create, clock=self.clock)
            try:
                self._refuse_anothers(self._store)
            except BaseException:
                self.close()
                raise
        return self._store

    def _refuse_anothers(self, store: MetricsStore) -> None:
        with store.database.read() as connection:
            found = connection.execute(query("phases.mirrored")).fetchone()
        there = control.read(self.json_file)
        if found is None and there is not None and there.epoch > FIRST_DUAL_EPOCH:
            raise OtherMigration(
                f"{store.path} knows nothing of the migration of {self.json_file}",
                hint=WRONG_STORE,
            )
        if found and (there is None or there.migration_id != found[0]):
            hint = ""
            if found[1] == self.json_file:
                hint = (
                    f"Its control file is gone: restore {control.control_path(self.json_file)} "
                    "from its .previous copy."
                )
            raise OtherMigration(f"{store.path} is that of {found[1]}", hint=hint)

    def folder(self, name: str) -> Path:
        """A private folder of the migration beside the store."""
        path = Path(f"{self.database()}.legacy") / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def emptied(self, name: str) -> Path:
        """The same, with nothing in it."""
        shutil.rmtree(self.folder(name))
        return self.folder(name)

    def now(self) -> str:
        """The present moment, UTC text."""
        return clock.text(self.clock.now_us())

    def stamp(self) -> str:
        """The present moment as part of a file's name."""
        return clock.stamp(self.clock.now_us())

    def by(self) -> str:
        """Who is at work."""
        name = "?"
        with suppress(OSError, KeyError, ImportError):
            name = getpass.getuser()
        return f"{name}@{platform.node() or '?'} ({os.getpid()})"

    # Working

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Be the only operator for the length of the block.

        Raises:
            OperatorBusy: another one is at work.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locks.held(f"{self.json_file}.operator.lock", patience=0))
            except LegacyLocked:
                raise OperatorBusy(self.json_file) from None
            yield

    @contextmanager
    def nobody_writes(self) -> Iterator[None]:
        """Keep every tracker of ours from writing for the length of the block.

        Raises:
            LegacyLocked: a runner held its lock all the time.
        """
        with (
            locks.changing(self.json_file, patience=PATIENCE),
            locks.held(locks.data_lock(self.json_file), patience=PATIENCE),
        ):
            yield

    def require(self, *phases: Phase, command: str) -> Control:
        """The control file, if its phase allows a command and nothing is unfinished.

        Raises:
            WrongPhase: it does not.
            Unfinished: a cutover or rollback was not ended.
        """
        there = self.control()
        if there.intent is not None and there.intent.command != command:
            raise Unfinished(f"{there.intent.command}, begun {there.intent.begun_at}")
        if there.phase not in phases:
            allowed = " or ".join(phases)
            raise WrongPhase(f"{command} is for {allowed}, and this is {there.phase}")
        return there

    def intend(self, there: Control, command: str, reason: str | None) -> Control:
        """Note in the control file that a command has begun."""
        if there.intent is not None:
            return there
        changed = replace(there, intent=Intent(command, self.now(), self.by(), False, reason))
        control.write(changed)
        return changed

    def enter(self, there: Control, phase: Phase, forced: str | None = None) -> Control:
        """Change the phase: the commit point of every change.

        The caller keeps everybody from writing.
        """
        changed = there.entering(phase, self.now(), self.by(), forced)
        if changed.intent is not None:
            changed = replace(changed, intent=replace(changed.intent, committed=True))
        control.write(changed)
        return changed

    def save(self, changed: Control) -> Control:
        """Write the control file without a change of phase."""
        control.write(changed)
        return changed

    def mirrored(self) -> tuple[int, str, str] | None:
        """What the store knows of the migration: epoch, phase and since when; None for nothing."""
        with self.store().database.read() as connection:
            found = connection.execute(query("phases.mirrored")).fetchone()
        return None if found is None else (int(found[2]), str(found[3]), str(found[4]))

    def mirror(self, there: Control) -> None:
        """Tell the database what the control file says."""
        home = Home.of(there)
        self.store().database.write(lambda c: check_epoch(c, home, self.clock.now_us()))

    def step(self, there: Control, command: str, step: str, **detail: object) -> None:
        """Note a step that was done. A store that is down must not stop the way back."""
        try:
            values = (
                there.migration_id,
                there.epoch,
                command,
                step,
                self.now(),
                json.dumps(detail, default=str),
            )
            self.store().database.write_one(query("phases.add_step"), values)
        except MetricsStoreError as error:
            log.warning("the step %s.%s was not noted in the store: %s", command, step, error)
        steps.reached(command, step)

    def steps(self, there: Control) -> tuple[Step, ...]:
        """Every step of the migration, oldest first."""
        with self.store().database.read() as connection:
            found = connection.execute(query("phases.steps"), (there.migration_id,)).fetchall()
        return tuple(
            Step(epoch, command, step, done_at, json.loads(detail))
            for epoch, command, step, done_at, detail in found
        )

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
