"""Two operators at once: one is at work, the other is told so; and a dead one leaves no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from leaving import EMPTY, Migration, refused, unforced

from metrics_store.errors import LegacyLocked, OperatorBusy
from metrics_store.legacy import control, locks
from metrics_store.phases import (
    beginning,
    completing,
    cutting_over,
    harvesting,
    operator,
    reconciling,
    resuming,
    rolling_back,
    status,
)
from metrics_store.phases.operator import Operator

#: Seconds in which a machine under load gets round to something.
SLACK = 2.0
_AT_WORK = """
import sys
from metrics_store.phases.operator import Operator
operator = Operator(sys.argv[1], sys.argv[2])
with operator.at_work():
    if sys.argv[3] == "writing":
        with operator.nobody_writes():
            print("at work", flush=True)
            sys.stdin.read()
    print("at work", flush=True)
    sys.stdin.read()
"""
_RACE = """
import sys
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy.control import Gates
from metrics_store.phases import beginning
from metrics_store.phases.operator import Operator
operator = Operator(sys.argv[1], sys.argv[2])
sys.stdin.read(1)
try:
    if sys.argv[3] == "start":
        beginning.start(operator, zone="UTC", wanted=Gates(), execute=True)
    else:
        beginning.advance(operator, execute=True, force=True, reason="a race")
    print("done")
except MetricsStoreError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    return Migration(tmp_path)


COMMANDS: dict[str, Callable[[Operator], object]] = {
    "backfill": beginning.backfill,
    "advance": lambda op: beginning.advance(op, execute=False, force=False, reason=None),
    "back": lambda op: beginning.step_back(op, execute=False),
    "cancel": lambda op: beginning.cancel(op, execute=True),
    "cutover": lambda op: cutting_over.cutover(op, execute=True),
    "complete": lambda op: completing.complete(op, execute=True, force=False, reason=None),
    "rollback": lambda op: rolling_back.rollback(op, execute=True),
    "rehearse": rolling_back.rehearse,
    "harvest": harvesting.harvest,
    "reconcile db": lambda op: reconciling.reconcile(op, "db", execute=True),
    "reconcile json": lambda op: reconciling.reconcile(op, "json", execute=True),
}  # fmt: skip


def test_every_command_of_a_second_operator_is_refused_at_once_and_looking_is_not(
    migration: Migration, run: Callable[..., subprocess.Popen[str]]
) -> None:
    migration.to("dual_write")
    first = run(_AT_WORK, migration.json_file, migration.db, "")
    assert first.stdout is not None
    assert first.stdout.readline() == "at work\n"
    before = Path(control.control_path(migration.json_file)).read_bytes()
    for name, command in COMMANDS.items():
        began = time.monotonic()
        error = refused(lambda command=command: command(migration.operator))  # type: ignore[misc]
        assert isinstance(error, OperatorBusy), name
        assert time.monotonic() - began < SLACK
    assert Path(control.control_path(migration.json_file)).read_bytes() == before
    assert status.status(migration.operator).phase == "dual_write"
    migration.call(migration.tracker(), "runners go on")
    first.communicate()
    assert migration.backfill().fine


@pytest.mark.parametrize("how", ["", "writing"])
def test_an_operator_that_is_killed_leaves_no_lock(
    migration: Migration, run: Callable[..., subprocess.Popen[str]], how: str
) -> None:
    migration.to("dual_write")
    first = run(_AT_WORK, migration.json_file, migration.db, how)
    assert first.stdout is not None
    assert first.stdout.readline() == "at work\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    began = time.monotonic()
    migration.call(migration.tracker(), "p")
    assert migration.backfill().fine
    unforced(migration)
    assert time.monotonic() - began < 5 * SLACK
    assert migration.in_store() == {"p": 1}


@pytest.mark.parametrize("command", ["start", "advance"])
def test_of_operators_that_race_each_change_is_made_once(
    tmp_path: Path, run: Callable[..., subprocess.Popen[str]], command: str
) -> None:
    json_file, db = tmp_path / "m.json", tmp_path / "m.db"
    json_file.write_text(EMPTY)
    if command == "advance":
        beginning.start(Operator(json_file, db), zone="UTC", wanted=control.Gates(), execute=True)
    racers = [run(_RACE, json_file, db, command) for _ in range(4)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("!")
        racer.stdin.flush()
    told = [racer.communicate()[0].strip() for racer in racers]
    there = control.read(json_file)
    assert there is not None
    outcomes = Counter(told)
    if command == "start":
        assert outcomes["done"] == 1
        assert set(outcomes) <= {"done", "OperatorBusy", "MigrationExists"}
        assert there.epoch == 1
    else:
        assert 1 <= outcomes["done"] == there.epoch - 1 == len(there.changes)
        assert set(outcomes) <= {"done", "OperatorBusy", "WrongPhase"}
    with Operator(json_file, db) as after:
        known = after.store().query("SELECT epoch, phase FROM legacy_migration")
    assert known == [{"epoch": there.epoch, "phase": there.phase}]


def test_a_runner_that_hangs_in_a_write_stops_a_change_of_phase_and_is_named(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "PATIENCE", 0.2)
    migration.to("dual_write").backfill()
    with locks.held(locks.phase_lock(migration.json_file), shared=True):
        error = refused(lambda: unforced(migration))
    assert isinstance(error, LegacyLocked)
    assert "phase.lock" in error.detail
    assert migration.phase == "dual_write"
    unforced(migration)
    assert migration.phase == "shadow"


def test_a_name_that_looks_like_a_lock_confuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "operator.lock"
    folder.mkdir()
    migration = Migration(folder).to("dual_write")
    migration.backfill()
    monkeypatch.setattr(operator, "PATIENCE", 0.1)
    with locks.held(locks.phase_lock(migration.json_file), shared=True):
        error = refused(lambda: unforced(migration))
    assert isinstance(error, LegacyLocked)


def test_operators_of_one_process_exclude_each_other_too(migration: Migration) -> None:
    migration.to("dual_write")
    second = Operator(migration.json_file, migration.db)
    told: list[object] = []
    migration.happens_after(
        "backfill.first_pass", lambda: told.append(refused(lambda: beginning.backfill(second)))
    )
    assert migration.backfill().fine
    assert [type(error) for error in told] == [OperatorBusy]
    second.close()


def test_a_resume_by_somebody_else_while_the_first_is_still_at_work_is_refused(
    migration: Migration,
) -> None:
    migration.to("dual_read")
    second = Operator(migration.json_file, migration.db)
    told: list[object] = []

    def other() -> None:
        thread = threading.Thread(
            target=lambda: told.append(
                refused(lambda: resuming.resume(second, execute=True, force=True, reason="x"))
            )
        )
        thread.start()
        thread.join()

    migration.happens_after("cutover.verify", other)
    migration.to("database")
    assert [type(error) for error in told] == [OperatorBusy]
    second.close()
