"""Killed after whatever step, the operator comes back: the phase is a legal one, runners go on, and
nothing that was acknowledged is lost or doubled. Runners may be killed at any moment, too."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accounts import audit
from legacy_tracker import LegacyTracker
from operating import Place, run
from runner import Duty, Kind, Runner

from metrics_store.legacy import control
from metrics_store.legacy.control import Phase
from metrics_store.phases import steps

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its runners are forked")

RECORDS = 100
#: The commands whose steps are gone through, what they begin from, and how they are given.
COMMANDS = {
    "start": ("nothing", "start"),
    "backfill": ("dual_write", "backfill"),
    "advance": ("backfilled", "advance"),
    "back": ("shadow", "back"),
    "cutover": ("ready", "cutover"),
    "rollback": ("database", "rollback"),
    "harvest": ("database", "harvest"),
    "complete": ("database", "complete"),
}
#: The phases that they lead to.
TO = {
    "start": Phase.LEGACY,
    "advance": Phase.SHADOW,
    "back": Phase.DUAL_WRITE,
    "cutover": Phase.DATABASE,
    "rollback": Phase.DUAL_WRITE,
    "complete": Phase.COMPLETE,
}
RECONCILE = {"spill": "db", "take_in": "db", "export": "json", "replace": "json"}
FAILPOINTS = [
    name for name in steps.names() if name.split(".")[0] in (*COMMANDS, "reconcile", "cancel")
]
#: Which stage each command leads to, for the stages to be made in order.
STAGES = {
    "legacy": ("start",),
    "dual_write": ("advance",),
    "backfilled": ("backfill",),
    "shadow": ("advance",),
    "dual_read": ("advance",),
    "ready": ("verify", "rehearse"),
    "database": ("cutover",),
    "complete": ("complete",),
}
#: How it goes on from a phase.
ONWARD = {
    Phase.LEGACY: ("advance",),
    Phase.DUAL_WRITE: ("backfill", "advance"),
    Phase.SHADOW: ("advance",),
    Phase.DUAL_READ: ("backfill", "verify", "rehearse", "cutover"),
    Phase.DATABASE: ("rollback",),
    Phase.COMPLETE: ("rollback",),
}


class Stages:
    """A migration at each stage, made once; always in the same folder, for its files name it."""

    def __init__(self, base: Path) -> None:
        self.place = Place(base / "here", shadow_reads=0)
        self.first = base / "first.json"
        self._saved = base / "saved"
        self.place.folder.mkdir()
        tracker = LegacyTracker(self.place.json_file)
        save, tracker._save = tracker._save, lambda: None  # type: ignore[method-assign]
        for n in range(RECORDS):
            tracker.track_invocation(f"skill-{n % 5}", f"old-{n}")(completed=n % 3 > 0)
        tracker.track_invocation("skill-1", "old-in-flight")
        save()
        shutil.copyfile(self.place.json_file, self.first)
        self._save("nothing")
        for stage, commands in STAGES.items():
            for command in commands:
                done = run(command, self.place)
                assert done.fine, done
            self._save(stage)

    def _save(self, stage: str) -> None:
        shutil.copytree(self.place.folder, self._saved / stage)

    def restored(self, stage: str) -> Place:
        """Put everything back to where it was at a stage."""
        shutil.rmtree(self.place.folder)
        shutil.copytree(self._saved / stage, self.place.folder)
        return self.place


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return Stages(tmp_path_factory.mktemp("stages"))


class Forked:
    """A runner in a forked process."""

    def __init__(self, place: Place, notes: Path, kind: Kind, seed: int = 0) -> None:
        self.file = notes
        self.kind = kind
        duty = Duty(
            notes.stem, kind, str(place.json_file), str(place.db), str(notes), seed,
            pace=0.003, reads=0.05,
        )  # fmt: skip
        self.pid = os.fork()
        if self.pid:
            return
        told = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        os.environ["TZ"] = place.zone
        time.tzset()
        try:
            Runner(duty, told.is_set).work()
        finally:
            os._exit(0)

    def notes(self) -> list[dict[str, object]]:
        """What it wrote down."""
        text = self.file.read_text() if self.file.exists() else ""
        lines = text.splitlines()
        return [{**json.loads(line), "kind": self.kind, "file": self.file.name} for line in lines]

    def goes_on(self, calls: int = 3) -> None:
        """Wait until it has ended some more calls."""
        wanted = self._ended() + calls
        deadline = time.monotonic() + 30
        while self._ended() < wanted:
            assert time.monotonic() < deadline, f"it does not go on: {self.notes()[-3:]}"
            time.sleep(0.002)

    def _ended(self) -> int:
        return self.file.read_bytes().count(b'"ended"') if self.file.exists() else 0

    def stop(self) -> None:
        """Let it end what is open."""
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


Fork = Callable[..., Forked]


@pytest.fixture
def fork(tmp_path: Path, stages: Stages) -> Iterator[Fork]:
    """Start runners that are gone when the test is."""
    running: list[Forked] = []

    def forked(kind: Kind = "raise", seed: int = 0) -> Forked:
        running.append(Forked(stages.place, tmp_path / f"r{len(running)}.jsonl", kind, seed))
        return running[-1]

    yield forked
    for one in running:
        try:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def phase_of(place: Place) -> Phase:
    there = control.read(place.json_file)
    assert there is not None
    return there.phase


def walk_on(place: Place) -> None:
    """The way to the next phase is open."""
    phase = phase_of(place)
    for command in ONWARD[phase]:
        forced = "a runner was between its two sides" if command == "cutover" else None
        done = run(command, place, forced=forced)
        assert done.fine, done
    assert phase_of(place) is not phase


def reckon(stages: Stages, runners: list[Forked]) -> None:
    """Nothing that was acknowledged is lost or doubled."""
    place = stages.place
    done = run("reconcile db" if phase_of(place).in_json else "harvest", place)
    assert done.fine, done
    notes = [note for one in runners for note in one.notes()]
    found = audit(place, notes, stages.first, with_legacy=False, phase=phase_of(place))
    assert not found.wrong
    assert found.acknowledged.total() > 0
    assert found.rows >= RECORDS


def end(stages: Stages, runners: list[Forked]) -> None:
    """Runners go on, the migration does, and all is in order."""
    runners[0].goes_on()
    walk_on(stages.place)
    runners[0].goes_on()
    for runner in runners:
        runner.stop()
    reckon(stages, runners)


def commands_of(failpoint: str) -> tuple[str, str]:
    """The stage from which a step is reached, and by which command."""
    command, step = failpoint.split(".")
    if command == "reconcile":
        return "backfilled", f"reconcile {RECONCILE[step]}"
    return COMMANDS[command]


def killed_at(failpoint: str, stages: Stages, fork: Fork) -> tuple[str, list[Forked]]:
    """Give a command that is killed after a step, while a runner works."""
    stage, command = commands_of(failpoint)
    place = stages.restored(stage)
    runners = [fork()]
    if command == "harvest":
        runners.append(fork("json"))  # it knows no phases
    for runner in runners:
        runner.goes_on()
    done = run(command, place, failpoint=failpoint)
    assert done.killed, f"{failpoint} was never reached: {done}"
    for runner in runners:
        runner.goes_on()
    return command, runners


@pytest.mark.parametrize("failpoint", [f for f in FAILPOINTS if not f.startswith("cancel")])
def test_a_command_killed_after_a_step_is_finished_by_another_operator(
    failpoint: str, stages: Stages, fork: Fork
) -> None:
    command, runners = killed_at(failpoint, stages, fork)
    place = stages.place
    if not is_through(failpoint, place):
        there = control.read(place.json_file)
        done = run("resume" if there is not None and there.intent is not None else command, place)
        assert done.fine, done
    end(stages, runners)


def is_through(failpoint: str, place: Place) -> bool:
    """Whether a change of phase is over, so that the same command would be the next one."""
    command, step = failpoint.split(".")
    if command not in TO:
        return False
    there = control.read(place.json_file)
    names = steps.STEPS[command]
    committed = names.index(step) >= names.index("control" if command == "start" else "commit")
    assert committed == (there is not None and there.phase is TO[command])
    return there is not None and committed and there.intent is None


UNCOMMITTED = [
    f"{command}.{step}"
    for command, last in (("cutover", "sync_rest"), ("rollback", "replace"))
    for step in steps.STEPS[command][: steps.STEPS[command].index(last) + 1]
]


@pytest.mark.parametrize("failpoint", UNCOMMITTED)
def test_a_command_killed_before_its_commit_is_cancelled(
    failpoint: str, stages: Stages, fork: Fork
) -> None:
    _, runners = killed_at(failpoint, stages, fork)
    place = stages.place
    before = phase_of(place)
    assert run("cancel", place).fine
    there = control.read(place.json_file)
    assert there is not None
    assert (there.phase, there.intent) == (before, None)
    end(stages, runners)


def test_a_cancel_that_is_killed_has_cancelled(stages: Stages, fork: Fork) -> None:
    _, runners = killed_at("cutover.verify", stages, fork)
    assert run("cancel", stages.place, failpoint="cancel.done").killed
    assert run("cancel", stages.place).error == "WrongPhase"
    end(stages, runners)


def test_every_failpoint_is_gone_through() -> None:
    assert {*FAILPOINTS} == {*steps.names()}


@pytest.mark.parametrize("stage", ["dual_write", "ready", "database"])
def test_runners_killed_in_the_midst_of_writes_lose_nothing_they_acknowledged(
    stage: str, stages: Stages, fork: Fork, request: pytest.FixtureRequest
) -> None:
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    rng = random.Random(seed)
    stages.restored(stage)
    gone: list[Forked] = []
    for n in range(10):
        both = [fork("raise", n), fork("log" if n % 2 else "json", n)]
        for runner in both:
            runner.goes_on(rng.randrange(1, 5))
        time.sleep(rng.uniform(0, 0.02))
        for runner in both:
            runner.kill()
        gone += both
    survivor = fork()
    survivor.goes_on()
    survivor.stop()
    reckon(stages, [*gone, survivor])
