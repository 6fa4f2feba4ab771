"""The cutover: whoever writes at that very moment, nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from json_tracking import naive
from leaving import FILES, Migration, refused, unforced, unmet
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.errors import FileChanging, GateNotMet, Unfinished, WrongPhase
from metrics_store.legacy import control, verifying
from metrics_store.phases import beginning, cutting_over, harvesting, resuming, rolling_back, steps

STEPS = steps.STEPS["cutover"]
#: After these the phase is another.
COMMITTED = STEPS[STEPS.index("commit") :]
_WRITER = """
import sys
from metrics_store import open_tracker
tracker = open_tracker(sys.argv[1], sys.argv[2], "raise")
n = 0
print("ready", flush=True)
while True:
    tracker.track_invocation("s", f"{sys.argv[3]}/{n}", attributes={"n": n})()
    print(f"{sys.argv[3]}/{n}", flush=True)
    n += 1
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Callable[[Migration, int], Callable[[], list[str]]]]:
    """Start processes that call without a pause; what is given stops them, and tells what they
    had acknowledged."""
    running: list[subprocess.Popen[str]] = []

    def start(migration: Migration, n: int) -> Callable[[], list[str]]:
        for number in range(n):
            writer = subprocess.Popen(
                [sys.executable, "-c", _WRITER, migration.json_file, migration.db, str(number)],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": python_path()},
            )
            running.append(writer)
        for writer in running:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        return stop

    def stop() -> list[str]:
        told: list[str] = []
        for writer in running:
            writer.terminate()
            out, _ = writer.communicate()
            told += out.split("\n")[:-1]
        running.clear()
        return told

    yield start
    stop()


def met(migration: Migration) -> Migration:
    """Meet every condition of the cutover."""
    migration.to("dual_read")
    verifying.verify(migration.store, migration.json_file, zone="UTC")
    rolling_back.rehearse(migration.operator)
    assert unmet(migration) == set()
    return migration


def test_writers_in_other_processes_lose_and_double_nothing(
    tmp_path: Path, writers: Callable[[Migration, int], Callable[[], list[str]]]
) -> None:
    migration = Migration(tmp_path, source=FILES / "two_writers.json").to("dual_write")
    assert migration.backfill().fine
    stop = writers(migration, 3)
    migration.to("dual_read")
    done = cutting_over.cutover(migration.operator, execute=True, force=True, reason="a test")
    time.sleep(0.1)
    migration.rollback()
    time.sleep(0.1)
    migration.to("database")
    acknowledged = stop()
    assert len(acknowledged) > 10
    assert done.waited_ms < 5000
    found = migration.in_store()
    called = {path: n for path, n in found.items() if path[0].isdigit() and "/" in path}
    assert set(acknowledged) <= set(called)
    assert set(called.values()) == {1}
    # A writer may have been stopped between its record and its word.
    assert len(called) <= len(acknowledged) + 3
    assert len(migration.spilled()) == 0
    migration.rollback()
    assert migration.in_json() == migration.in_store()


@pytest.mark.parametrize(
    ("step", "how"),
    [
        *((step, "in place") for step in STEPS),
        *((step, "by another inode") for step in ("copy", "lock", "sync_rest", "commit")),
    ],
)
def test_what_a_process_without_our_locks_writes_at_any_step_is_taken_in(
    migration: Migration, clock: SettableClock, step: str, how: str
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    legacy = LegacyTracker(migration.json_file, naive(clock))
    begun = legacy.track_invocation("s", "meanwhile")
    met(migration)

    def write() -> None:
        clock.advance(1)
        if how == "by another inode":
            aside = migration.json_file.with_name("aside.json")
            aside.write_bytes(migration.json_file.read_bytes())
            os.replace(aside, migration.json_file)
        begun()

    migration.happens_after(f"cutover.{step}", write)
    cutting_over.cutover(migration.operator, execute=True)
    assert migration.phase == "database"
    if "zombies" in unmet(migration):
        assert step in ("harvest", "done")
        harvesting.harvest(migration.operator)
    assert unmet(migration) == set()
    assert migration.in_store() == {"before": 1, "meanwhile": 1}
    assert migration.store_total() == 2


def test_a_process_that_never_stops_writing_stands_in_the_way_unless_it_is_forced(
    migration: Migration, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.to("dual_write")
    legacy = LegacyTracker(migration.json_file, naive(clock))
    met(migration)
    copy, n = cutting_over.copy_stable, iter(range(99))
    there = migration.operator.control()

    def disturbed(path: Path, folder: Path) -> object:
        made = copy(path, folder)
        if any(step.step == "lock" for step in migration.operator.steps(there)):
            clock.advance(1)
            legacy.track_invocation("s", f"p{next(n)}")()
        return made

    monkeypatch.setattr(cutting_over, "copy_stable", disturbed)
    error = refused(lambda: cutting_over.cutover(migration.operator, execute=True))
    assert isinstance(error, FileChanging)
    assert migration.phase == "dual_read"
    assert isinstance(refused(lambda: migration.backfill()), Unfinished)
    resuming.resume(migration.operator, execute=True, force=True, reason="it cannot be stopped")
    monkeypatch.undo()
    assert migration.phase == "database"
    assert migration.operator.control().changes[-1].forced == "it cannot be stopped"
    harvesting.harvest(migration.operator)
    assert migration.in_store() == migration.in_json()
    assert len(migration.in_store()) > 5


@pytest.mark.parametrize("step", STEPS)
def test_an_operator_who_is_interrupted_leaves_a_phase_that_serves_and_can_go_on(
    migration: Migration, step: str
) -> None:
    migration.to("dual_write")
    tracker = migration.tracker()
    migration.call(tracker, "before")
    met(migration)

    def die() -> None:
        raise KeyboardInterrupt

    migration.happens_after(f"cutover.{step}", die)
    with pytest.raises(KeyboardInterrupt):
        cutting_over.cutover(migration.operator, execute=True)
    assert migration.phase == ("database" if step in COMMITTED else "dual_read")
    migration.call(tracker, "between")
    assert tracker.get_summary()["total_invocations"] == 2
    if step == "done":
        assert isinstance(
            refused(lambda: resuming.resume(migration.operator, execute=True)), WrongPhase
        )
    elif step in COMMITTED:
        cancel = lambda: beginning.cancel(migration.operator, execute=True)  # noqa: E731
        assert isinstance(refused(cancel), GateNotMet)
        resuming.resume(migration.operator, execute=True)
    else:
        beginning.cancel(migration.operator, execute=True)
        assert migration.phase == "dual_read"
        unforced(migration)
    assert migration.phase == "database"
    assert migration.operator.control().intent is None
    migration.call(tracker, "after")
    assert migration.in_store() == dict.fromkeys(("before", "between", "after"), 1)
    migration.rollback()
    assert migration.in_json() == migration.in_store()


def test_its_own_verify_stops_it_and_the_old_phase_goes_on_serving(migration: Migration) -> None:
    migration.to("dual_write")
    tracker = migration.tracker()
    migration.call(tracker, "p")
    met(migration)
    whole = migration.json_file.read_text()
    (record,) = migration.records()
    edited = json.loads(whole) | {"invocations": [{**record, "error_type": "edited"}]}
    migration.json_file.write_text(json.dumps(edited, indent=2))
    assert "verify" in refused(lambda: unforced(migration)).detail
    assert migration.phase == "dual_read"
    migration.json_file.write_text(whole)
    migration.call(tracker, "q")
    verifying.verify(migration.store, migration.json_file, zone="UTC")
    unforced(migration)
    assert migration.in_store() == {"p": 1, "q": 1}


def test_both_sides_are_backed_up_privately_and_the_backups_can_be_opened(
    migration: Migration,
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "p")
    done = cutting_over.cutover(met(migration).operator, execute=True)
    database, file = map(Path, done.backups)
    assert {path.stat().st_mode & 0o777 for path in (database, file)} == {0o600}
    assert len(json.loads(file.read_text())["invocations"]) == 1
    with MetricsStore(database, create=False) as store:
        assert store.get_summary().total_invocations == 1
    assert migration.operator.folder("cutover").exists()
    assert list(migration.operator.folder("cutover").iterdir()) == []


def test_in_another_layout_the_whole_file_is_taken_in_at_the_last_moment(
    migration: Migration, clock: SettableClock
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    met(migration)

    def write() -> None:
        document = json.loads(migration.json_file.read_text())
        (record,) = document["invocations"]
        document["invocations"].append({**record, "workflow_path": "compact"})
        migration.json_file.write_text(json.dumps(document, separators=(",", ":")))

    migration.happens_after("cutover.lock", write)
    cutting_over.cutover(migration.operator, execute=True)
    assert migration.in_store() == {"before": 1, "compact": 1}


def test_cutting_over_twice_is_refused_and_a_dry_run_changes_nothing(migration: Migration) -> None:
    met(migration)
    file = Path(control.control_path(migration.json_file))
    before = file.read_bytes()
    assert not cutting_over.cutover(migration.operator, execute=False).executed
    assert file.read_bytes() == before
    unforced(migration)
    for execute in (True, False):
        error = refused(
            lambda execute=execute: cutting_over.cutover(migration.operator, execute=execute)  # type: ignore[misc]
        )
        assert isinstance(error, WrongPhase)
