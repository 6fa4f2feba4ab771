"""The runners' tracker follows the phase, also while it changes; a call is recorded once."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from leaving import Migration, refused
from settable_clock import SettableClock

from metrics_store import open_tracker
from metrics_store.errors import AlreadyEnded, InvalidValue
from metrics_store.legacy import control
from metrics_store.legacy.control import PHASES, Phase
from metrics_store.trackers.phased import PhasedTracker

#: All the way, back, and all the way again: every phase is met after every other.
LAPS = (*PHASES, Phase.DUAL_WRITE, Phase.LEGACY, *PHASES[1:], Phase.DUAL_WRITE)


def once(names: set[str]) -> Counter[str]:
    return Counter(names)


def test_a_call_that_begins_in_one_phase_and_ends_in_any_other_is_recorded_once(
    migration: Migration,
) -> None:
    tracker = migration.tracker()
    open_calls = {}
    ended: set[str] = set()
    for lap, phase in enumerate(LAPS):
        if phase is Phase.LEGACY and lap:
            migration.back()
        else:
            migration.to(phase)
        if lap < len(PHASES):
            for end in PHASES:
                migration.pass_time(1)
                name = f"{phase} to {end}"
                open_calls[name] = tracker.track_invocation("s", name)
        for name in [name for name in open_calls if name.endswith(f" {phase}")]:
            migration.pass_time(0.25)
            open_calls.pop(name)(completed=True, follow_up_actions=["next"])
            ended.add(name)
        if phase.in_json:
            assert migration.in_json() == once(ended), phase
        if phase is Phase.DUAL_WRITE:
            assert migration.backfill().fine
        if phase.in_store:
            assert migration.in_store() == once(ended), phase
            assert migration.store_total() == len(ended)
        if phase.in_json:
            assert migration.json_total() == len(ended)
    assert len(ended) == len(PHASES) ** 2
    assert open_calls == {}
    assert migration.store.query("SELECT * FROM skill_inflight") == []
    assert len(migration.records()) == len(ended)
    assert len(migration.spilled()) == 0


def test_before_any_migration_only_the_json_file_is_written(
    tmp_path: Path, clock: SettableClock
) -> None:
    tracker = PhasedTracker(tmp_path / "m.json", tmp_path / "m.db", "raise", clock=clock)
    tracker.track_invocation("s", "p")(completed=True)
    assert len(json.loads((tmp_path / "m.json").read_text())["invocations"]) == 1
    numbers = tracker.get_skill_metrics("s")
    assert numbers is not None
    assert numbers.total_invocations == 1
    assert not (tmp_path / "m.db").exists()


@pytest.mark.parametrize("phase", PHASES)
def test_reads_come_from_the_side_that_decides(migration: Migration, phase: Phase) -> None:
    migration.to(phase)
    migration.store.track_invocation("only in the store").complete()
    tracker = migration.tracker()
    from_store = phase in (Phase.DUAL_READ, Phase.DATABASE, Phase.COMPLETE)
    assert (tracker.get_skill_metrics("only in the store") is not None) == from_store
    assert ("only in the store" in tracker.get_all_metrics()) == from_store
    assert (tracker.get_summary()["total_skills"] == 1) == from_store
    assert ("only in the store" in tracker.generate_report()) == from_store


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_gives_the_same_numbers(migration: Migration, phase: Phase) -> None:
    tracker = migration.tracker()
    for n in range(4):
        migration.call(tracker, f"p{n % 2}", completed=n != 1, error_type="E" if n == 1 else None,
                       follow_up_actions=["a", "b"][: n % 3])  # fmt: skip
    before = (tracker.get_skill_metrics("s"), tracker.get_all_metrics(), tracker.get_summary())
    if phase is not Phase.LEGACY:
        migration.to("dual_write")
        assert migration.backfill().first.inserted == 4
    migration.to(phase)
    after = (tracker.get_skill_metrics("s"), tracker.get_all_metrics(), tracker.get_summary())
    assert after == before
    nobody = migration.tracker().get_skill_metrics("nobody")
    assert nobody is None


@pytest.mark.parametrize("phase", ["dual_write", "database"])
def test_what_the_legacy_format_has_no_place_for_is_in_the_store_alone(
    migration: Migration, phase: str
) -> None:
    migration.to(phase)
    tracker = migration.tracker()
    completer = tracker.track_invocation("s", "p", "session", "/project", {"model": ["m", 1]})
    completer(error_type="E", completed=False)
    (row,) = migration.store.query("SELECT * FROM skill_invocation")
    assert (row["session_id"], row["project_path"]) == ("session", "/project")
    assert json.loads(str(row["attributes"])) == {"model": ["m", 1]}
    if phase == "dual_write":
        (record,) = migration.records()
        assert len(record) == 7


def test_a_duration_is_measured_by_a_clock_that_nobody_sets(
    migration: Migration, clock: SettableClock
) -> None:
    migration.to("dual_write")
    completer = migration.tracker().track_invocation("s")
    clock.advance(2.5)
    clock.set("2026-03-09T00:00:00Z")
    completer()
    (row,) = migration.store.query("SELECT duration_seconds, invoked_at FROM skill_invocation")
    assert row["duration_seconds"] == 2.5
    assert migration.records()[0]["duration_seconds"] == 2.5
    assert str(row["invoked_at"]).startswith("2026-03-10")


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "database"])
def test_an_invocation_ends_once(migration: Migration, phase: str) -> None:
    migration.to(phase)
    completer = migration.tracker().track_invocation("s", "p")
    completer()
    assert completer.ended
    assert isinstance(refused(lambda: completer(completed=False)), AlreadyEnded)
    kind = migration.in_json() if phase == "legacy" else migration.in_store()
    assert kind == {"p": 1}


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "database"])
def test_a_value_that_cannot_be_recorded_is_refused_and_the_call_can_still_be_ended(
    migration: Migration, phase: str
) -> None:
    migration.to(phase)
    tracker = migration.tracker()
    for wrong in ("", None, 7, "half \ud800"):
        with pytest.raises(InvalidValue):
            tracker.track_invocation(wrong)  # type: ignore[arg-type]
    completer = tracker.track_invocation("s", "p")
    for ending in (
        {"duration_seconds": -1},
        {"duration_seconds": float("nan")},
        {"follow_up_actions": "text"},
        {"error_type": b"bytes"},
    ):
        with pytest.raises(InvalidValue):
            completer(**ending)  # type: ignore[arg-type]
    assert not completer.ended
    completer(duration_seconds=1.5)
    assert (migration.in_json() if phase == "legacy" else migration.in_store()) == {"p": 1}


def test_what_to_do_on_errors_is_one_of_two_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        open_tracker(tmp_path / "m.json", on_error="ignore")  # type: ignore[arg-type]


def test_without_a_store_named_it_is_the_one_of_the_control_file(migration: Migration) -> None:
    tracker = PhasedTracker(migration.json_file, on_error="raise")
    migration.to("dual_write")
    tracker.track_invocation("s", "p")()
    assert migration.in_store() == {"p": 1}


def test_a_closed_tracker_opens_its_store_again(migration: Migration) -> None:
    migration.to("database")
    with migration.tracker() as tracker:
        migration.call(tracker, "a")
    migration.call(tracker, "b")
    tracker.close()
    assert migration.in_store() == {"a": 1, "b": 1}


def test_a_store_that_is_the_callers_is_left_open(migration: Migration) -> None:
    migration.to("database")
    tracker = PhasedTracker(migration.json_file, migration.store, "raise")
    tracker.track_invocation("s", "a")()
    tracker.close()
    assert not migration.store.database.closed


def test_a_forked_child_records_through_the_tracker_it_inherited(migration: Migration) -> None:
    for phase in ("dual_write", "database"):
        migration.to(phase)
        tracker = migration.tracker()
        migration.call(tracker, f"parent {phase}")
        migration.operator.close()
        child = os.fork()
        if child == 0:
            try:
                tracker.track_invocation("s", f"child {phase}")()
                tracker.close()
            except BaseException as error:
                os.write(2, f"{error!r}\n".encode())
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        migration.call(tracker, f"again {phase}")
        names = {f"{who} {phase}" for who in ("parent", "child", "again")}
        assert names <= set(migration.in_store()), len(migration.spilled())
        assert set(migration.in_store().values()) == {1}


def test_threads_call_while_the_phase_changes_all_the_time(tmp_path: Path) -> None:
    migration = Migration(tmp_path)
    tracker = migration.tracker()
    stop, made = threading.Event(), [0] * 4
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            while not stop.is_set():
                completer = tracker.track_invocation("s", f"{number}/{made[number]}")
                completer(completed=True)
                made[number] += 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for phase in (*PHASES[1:], *PHASES[1:5]):
            migration.to(phase)
            if phase is Phase.DUAL_WRITE:
                migration.backfill()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    names = {f"{number}/{n}" for number in range(4) for n in range(made[number])}
    assert migration.in_store() == once(names)
    migration.rollback()
    assert migration.in_json() == once(names)
    assert control.read(migration.json_file) is not None
