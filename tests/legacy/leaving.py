"""A migration for tests: a legacy file, its store, and an operator who forces every gate."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.clock import Clock
from metrics_store.errors import GateNotMet, MetricsStoreError
from metrics_store.legacy import spill
from metrics_store.legacy.control import Control, Gates, Phase
from metrics_store.phases import beginning, completing, cutting_over, gates, rolling_back
from metrics_store.phases.gates import Requirement
from metrics_store.phases.operator import Operator
from metrics_store.trackers.phased import PhasedTracker

FILES = Path(__file__).parent / "files"
#: Gates that ask for next to nothing.
EASY = Gates(shadow_reads=0, soak=0)
WORD = "a test is in a hurry"
EMPTY = '{\n  "invocations": [],\n  "skills": {},\n  "last_updated": "2026-03-01T00:00:00"\n}'

Interrupt = Callable[[], None]


class Interrupted(Operator):
    """An operator to whom things happen right after steps, each once."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.happens: dict[str, Interrupt] = {}

    def step(self, there: Control, command: str, step: str, **detail: object) -> None:
        super().step(there, command, step, **detail)
        if interrupt := self.happens.pop(f"{command}.{step}", None):
            interrupt()


class Migration:
    """Everything of one migration.

    Args:
        folder: the legacy file and the store are in it.
        now: source of time; by default this machine's.
        source: what the legacy file is copied from; by default it has no record.
        zone: of its naive moments.
        new_file: an empty store's file, to be copied; by default the store is made anew.
    """

    def __init__(
        self,
        folder: Path,
        now: Clock | None = None,
        *,
        source: Path | None = None,
        zone: str = "UTC",
        gates: Gates = EASY,
        new_file: Path | None = None,
    ) -> None:
        self.json_file = folder / "skill_metrics.json"
        self.db = folder / "m.db"
        self.zone = zone
        self._clock = now or Clock()
        if source is None:
            self.json_file.write_text(EMPTY)
        else:
            shutil.copyfile(source, self.json_file)
        if new_file is not None:
            shutil.copyfile(new_file, self.db)
        self.operator = Interrupted(self.json_file, self.db, now=self._clock)
        beginning.start(self.operator, zone=zone, wanted=gates, execute=True)

    # Going on

    @property
    def phase(self) -> Phase:
        """Where it is."""
        return self.operator.control().phase

    def to(self, phase: Phase | str) -> Migration:
        """Go on until a phase is reached, the long way round if need be: forwards by force."""
        while self.phase != phase:
            self.onward()
        return self

    def onward(self) -> None:
        """Go on by one phase; from the last one roll back."""
        self.pass_time(1)
        was = self.phase
        forced = {"execute": True, "force": True, "reason": WORD}
        match was:
            case Phase.LEGACY | Phase.DUAL_WRITE | Phase.SHADOW:
                beginning.advance(self.operator, **forced)  # type: ignore[arg-type]
            case Phase.DUAL_READ:
                cutting_over.cutover(self.operator, **forced)  # type: ignore[arg-type]
            case Phase.DATABASE:
                completing.complete(self.operator, **forced)  # type: ignore[arg-type]
            case Phase.COMPLETE:
                rolling_back.rollback(self.operator, execute=True)

    def rollback(self) -> rolling_back.RolledBack:
        """Roll back from the store alone."""
        self.pass_time(1)
        return rolling_back.rollback(self.operator, execute=True)

    def back(self) -> None:
        """Go back by one dual phase."""
        beginning.step_back(self.operator, execute=True)

    def backfill(self) -> beginning.Backfilled:
        """Take the file in."""
        self.pass_time(1)
        return beginning.backfill(self.operator)

    def happens_after(self, step: str, interrupt: Interrupt) -> None:
        """Let something happen right after a step of the next command."""
        self.operator.happens[step] = interrupt

    def pass_time(self, seconds: float) -> None:
        """Let time pass, if it is a test's."""
        if isinstance(self._clock, SettableClock):
            self._clock.advance(seconds)

    # Runners

    def tracker(
        self, on_error: Literal["log", "raise"] = "raise", db: Path | None = None
    ) -> PhasedTracker:
        """A runner's tracker."""
        return PhasedTracker(self.json_file, db or self.db, on_error, clock=self._clock)

    def call(self, tracker: PhasedTracker, path: str, **ending: object) -> None:
        """One call, with a workflow path of its own, at a moment of its own."""
        self.pass_time(1)
        completer = tracker.track_invocation("s", path)
        self.pass_time(0.5)
        completer(**ending)  # type: ignore[arg-type]

    # What there is

    @property
    def store(self) -> MetricsStore:
        """The operator's store."""
        return self.operator.store()

    def records(self) -> list[dict[str, object]]:
        """The records of the JSON file."""
        return json.loads(self.json_file.read_text())["invocations"]  # type: ignore[no-any-return]

    def in_json(self) -> Counter[str]:
        """Ended records of the JSON file by workflow path."""
        return Counter(
            str(r["workflow_path"]) for r in self.records() if r["duration_seconds"] is not None
        )

    def in_store(self) -> Counter[str]:
        """Rows of the log by workflow path."""
        found = self.store.query("SELECT workflow_path AS path FROM skill_invocation")
        return Counter(str(row["path"]) for row in found)

    def json_total(self) -> int:
        """What the totals of the JSON file count altogether."""
        skills = json.loads(self.json_file.read_text())["skills"]
        return sum(int(totals["total_invocations"]) for totals in skills.values())

    def store_total(self) -> int:
        """What the classic totals of the store count altogether."""
        return self.store.get_summary().total_invocations

    def spilled(self) -> spill.Contents:
        """What waits."""
        return spill.contents(self.json_file)


def refused(work: Callable[[], object]) -> MetricsStoreError:
    """The error that some work raises; it has to say what to do."""
    with pytest.raises(MetricsStoreError) as caught:
        work()
    assert caught.value.hint, f"{caught.value!r} has no hint"
    return caught.value


def asked(migration: Migration) -> dict[str, Requirement]:
    """What the gate out of the present phase asks for, by name."""
    found = gates.requirements(migration.operator, migration.operator.control())
    for requirement in found:
        assert requirement.detail
        assert bool(requirement.todo) == (not requirement.met)
    return {requirement.name: requirement for requirement in found}


def unmet(migration: Migration) -> set[str]:
    """What of it is not met."""
    return {name for name, requirement in asked(migration).items() if not requirement.met}


def unforced(migration: Migration) -> object:
    """Go on by one phase if the gate is met."""
    operator = migration.operator
    match str(migration.phase):
        case "dual_read":
            return cutting_over.cutover(operator, execute=True)
        case "database":
            return completing.complete(operator, execute=True, force=False, reason=None)
        case _:
            return beginning.advance(operator, execute=True, force=False, reason=None)


def stopped_by(migration: Migration, *names: str) -> str:
    """See the way on refused for these reasons, and the phase stay; gives what is said."""
    before = migration.phase
    assert unmet(migration) == set(names)
    error = refused(lambda: unforced(migration))
    assert isinstance(error, GateNotMet)
    for name in names:
        assert name in error.detail
    assert migration.phase == before
    return error.detail
