"""The way back: whatever was recorded is in the JSON file, once, and the legacy rules load it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import FILES, Migration, refused
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import WrongPhase
from metrics_store.legacy import control
from metrics_store.phases import rolling_back

SERVING = pytest.mark.parametrize("phase", ["database", "complete"])


def loaded(migration: Migration) -> LegacyTracker:
    """What the legacy tracker makes of the file; its own faults would make nothing of it."""
    tracker = LegacyTracker(migration.json_file)
    assert len(tracker._invocations) == len(migration.records()) > 0
    return tracker


@SERVING
def test_what_was_recorded_since_the_cutover_is_in_the_file_and_the_legacy_rules_load_it(
    migration: Migration, phase: str
) -> None:
    migration.to("dual_write")
    tracker = migration.tracker()
    migration.call(tracker, "before", follow_up_actions=["a"])
    migration.to("database")
    migration.call(tracker, "since", completed=False, error_type="E")
    begun = tracker.track_invocation("other", "in flight")
    migration.to(phase)
    migration.call(tracker, "last")
    done = migration.rollback()
    assert (done.records, done.pending, done.skills) == (4, 1, 1)
    assert (done.from_phase, done.to_phase) == (phase, "dual_write")
    legacy = loaded(migration)
    numbers = legacy.get_skill_metrics("s")
    assert numbers is not None
    assert numbers.total_invocations == 3
    assert migration.store.get_summary().total_invocations == 3
    assert numbers.common_errors == {"E": 1}
    begun()
    migration.call(tracker, "after")
    assert migration.in_json() == dict.fromkeys(
        ("before", "since", "last", "in flight", "after"), 1
    )
    assert migration.backfill().first.inserted == 0
    assert migration.in_store() == migration.in_json()


def test_the_totals_of_the_file_are_the_classic_totals_of_the_store(
    tmp_path: Path, clock: SettableClock
) -> None:
    migration = Migration(tmp_path, clock, source=FILES / "double_completed.json")
    migration.to("dual_write").backfill()
    migration.to("database")
    for n in range(3):
        migration.call(migration.tracker(), f"p{n}")
    migration.rollback()
    legacy = loaded(migration)
    stored = migration.store.get_all_metrics()
    assert set(legacy.get_all_metrics()) == set(stored)
    for name, numbers in legacy.get_all_metrics().items():
        other = stored[name]
        for member in ("total", "completed", "abandoned"):
            count = f"{member}_invocations"
            assert getattr(numbers, count) == getattr(other, count)
        assert numbers.total_duration_seconds == pytest.approx(other.total_duration_seconds)
        assert numbers.workflow_paths == other.workflow_paths
    assert migration.json_total() == migration.store_total() == 321 + 3


def test_a_backfill_after_it_adds_nothing_and_sessions_survive(migration: Migration) -> None:
    migration.to("database")
    tracker = migration.tracker()
    begun = tracker.track_invocation("s", "p", "session", "/project", {"model": "m"})
    migration.pass_time(1)
    begun()
    before = migration.store.query("SELECT * FROM skill_invocation")
    migration.rollback()
    assert migration.backfill().fine
    after = migration.store.query("SELECT * FROM skill_invocation")
    assert after == before
    assert (after[0]["session_id"], after[0]["project_path"]) == ("session", "/project")
    assert len(migration.records()[0]) == 7


@pytest.mark.parametrize("name", ["pruned", "hand_edited", "two_writers"])
def test_back_and_forth_three_times_nothing_multiplies(
    tmp_path: Path, clock: SettableClock, name: str
) -> None:
    migration = Migration(tmp_path, clock, source=FILES / f"{name}.json")
    migration.to("dual_write").backfill()
    first_total = migration.store_total()
    assert first_total == {"pruned": 2493, "hand_edited": 15, "two_writers": 99}[name]
    tracker = migration.tracker()
    begun = tracker.track_invocation("s", "all the way")
    rows, records = sum(migration.in_store().values()), None
    for lap in range(3):
        migration.call(tracker, f"dual {lap}")
        migration.to("database")
        migration.call(tracker, f"database {lap}")
        if lap == 1:
            migration.to("complete")
        migration.rollback()
        new = 2 * (lap + 1)
        assert migration.backfill().first.inserted == 0
        assert sum(migration.in_store().values()) == rows + new
        assert migration.store_total() == migration.json_total() == first_total + new
        records = records or len(migration.records()) - new
        assert len(migration.records()) == records + new
    begun()
    assert migration.json_total() == migration.store_total() == first_total + 7


def test_texts_that_cannot_be_a_row_and_that_the_legacy_rules_load_are_in_it_again(
    tmp_path: Path, clock: SettableClock
) -> None:
    source = tmp_path / "source.json"
    record = {"skill_name": "s", "invoked_at": "not a moment", "completed": "perhaps"}
    source.write_text(json.dumps({"invocations": [record, 42], "skills": {}}))
    migration = Migration(tmp_path, clock, source=source).to("dual_write")
    assert migration.backfill().first.quarantined == 2
    migration.to("complete").rollback()
    assert record in migration.records()
    assert 42 not in migration.records()
    assert len(loaded(migration)._invocations) == 1


@SERVING
@pytest.mark.parametrize("mode", [0o664, 0o600])
def test_the_mode_and_a_symlink_are_kept(
    tmp_path: Path, clock: SettableClock, phase: str, mode: int
) -> None:
    migration = Migration(tmp_path, clock)
    migration.json_file.chmod(mode)
    link = tmp_path / "link.json"
    link.symlink_to(migration.json_file)
    migration.to("database")
    migration.call(migration.tracker(), "p")
    migration.to(phase)
    migration.operator.close()
    through_link = type(migration.operator)(link, migration.db, now=clock)
    rolling_back.rollback(through_link, execute=True)
    assert stat.S_IMODE(migration.json_file.stat().st_mode) == mode
    assert link.is_symlink()
    assert migration.in_json() == {"p": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(migration: Migration) -> None:
    os.chown(migration.json_file, 65534, 65534)
    migration.to("database").rollback()
    status_ = migration.json_file.stat()
    assert (status_.st_uid, status_.st_gid) == (65534, 65534)


def test_from_complete_it_works_without_a_json_file_and_the_archive_stays(
    migration: Migration,
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "p")
    migration.to("complete")
    assert not migration.json_file.exists()
    archived = migration.operator.control().archived
    assert archived is not None
    migration.rollback()
    assert migration.in_json() == {"p": 1}
    assert Path(archived).exists()
    assert migration.operator.control().archived is None


def test_a_dry_run_changes_nothing_and_in_a_dual_phase_there_is_nothing_to_roll_back(
    migration: Migration,
) -> None:
    migration.to("database")
    file = Path(control.control_path(migration.json_file))
    before = (file.read_bytes(), migration.json_file.read_bytes())
    assert not rolling_back.rollback(migration.operator, execute=False).executed
    assert (file.read_bytes(), migration.json_file.read_bytes()) == before
    migration.rollback()
    for execute in (True, False):
        error = refused(
            lambda execute=execute: rolling_back.rollback(migration.operator, execute=execute)  # type: ignore[misc]
        )
        assert isinstance(error, WrongPhase)


def test_a_call_whose_process_died_is_one_unfinished_record_and_one_abandoned_row(
    tmp_path: Path, python: Callable[..., object]
) -> None:
    migration = Migration(tmp_path).to("database")
    begin = """
import os, sys
from metrics_store import open_tracker
open_tracker(sys.argv[1], sys.argv[2], "raise").track_invocation("s", "died")
os._exit(0)
"""
    python(begin, migration.json_file, migration.db)
    migration.rollback()
    (record,) = migration.records()
    assert (record["completed"], record["duration_seconds"]) == (False, None)
    migration.store.reap()
    assert [row["outcome"] for row in migration.store.query("SELECT * FROM skill_invocation")] == [
        "abandoned"
    ]
    for _ in range(2):
        report = migration.backfill()
        assert report.fine
        assert report.first.inserted == 0
        migration.to("database").rollback()
        assert migration.records() == [record]
    assert migration.in_store() == {"died": 1}
