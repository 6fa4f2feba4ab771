"""The traps of DESIGN §6, one test each: what the obvious plan gets wrong."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from json_tracking import finished, naive
from leaving import FILES, Migration, unmet
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import ControlError, LegacyFileError, MetricsStoreError
from metrics_store.legacy import control, verifying
from metrics_store.phases import harvesting


def put(migration: Migration, *records: dict[str, object]) -> None:
    """Let the file have these records, without totals."""
    migration.json_file.write_text(json.dumps({"invocations": records, "skills": {}}, indent=2))


def rows(migration: Migration) -> list[dict[str, object]]:
    return migration.store.query("SELECT * FROM skill_invocation ORDER BY invoked_at, seq")  # type: ignore[return-value]


def test_new_ids_at_dual_write_and_again_at_backfill_would_make_10_rows_of_5_calls_and_15_later(
    migration: Migration,
) -> None:
    migration.to("dual_write")
    tracker = migration.tracker()
    for n in range(5):
        migration.call(tracker, f"p{n}")
    for _ in range(3):
        report = migration.backfill()
        assert (report.first.inserted, report.second_inserted) == (0, 0)
    assert len(rows(migration)) == 5
    assert migration.store_total() == 5


def test_identical_duplicates_keep_their_multiplicity(migration: Migration) -> None:
    migration.to("dual_write")
    put(migration, *[finished()] * 3)
    assert migration.backfill().first.inserted == 3
    assert migration.backfill().first.matched == 3
    assert len({row["id"] for row in rows(migration)}) == 3
    put(migration, finished())
    assert migration.backfill().fine
    assert len(rows(migration)) == 3


def test_pending_to_finished_is_one_row(migration: Migration, clock: SettableClock) -> None:
    migration.to("dual_write")
    legacy = LegacyTracker(migration.json_file, naive(clock))
    long = legacy.track_invocation("s", "long")
    clock.advance(1)
    legacy.track_invocation("s", "short")()
    assert migration.backfill().first.pending == 1
    assert migration.in_store() == {"short": 1}
    clock.advance(5)
    long(follow_up_actions=["a"])
    assert migration.backfill().first.upgraded == 1
    assert migration.in_store() == {"long": 1, "short": 1}
    assert migration.store.query("SELECT * FROM skill_inflight") == []


def test_absence_is_not_deletion(migration: Migration, clock: SettableClock) -> None:
    """A record that JSON lost and the store has is an explained mismatch, and comes back."""
    migration.to("dual_write")
    legacy = LegacyTracker(migration.json_file, naive(clock))
    migration.call(migration.tracker(), "erased")
    clock.advance(1)
    legacy.track_invocation("s", "legacy")()
    assert migration.in_json() == {"legacy": 1}
    assert migration.backfill().fine
    report = verifying.verify(migration.store, migration.json_file, zone="UTC")
    assert (dict(report.explained), dict(report.unexplained)) == ({"only_in_store": 1}, {})
    migration.to("database").rollback()
    assert migration.in_json() == {"erased": 1, "legacy": 1}


def test_totals_are_not_imported_as_records(tmp_path: Path, clock: SettableClock) -> None:
    """2,493 were counted, 400 are left of them: the others are shown apart, and counted once."""
    migration = Migration(tmp_path, clock, source=FILES / "pruned.json").to("dual_write")
    for _ in range(2):
        report = migration.backfill().first
        ended = len(rows(migration))
        assert ended == sum(r["duration_seconds"] is not None for r in migration.records())
        assert sum(line.total_invocations for line in report.baseline) == 2493 - ended
        assert migration.store_total() == 2493


def test_nothing_is_dropped(tmp_path: Path, clock: SettableClock) -> None:
    source = FILES / "hand_edited.json"
    migration = Migration(tmp_path, clock, source=source).to("dual_write")
    n = len(json.loads(source.read_text())["invocations"])
    report = migration.backfill().first
    assert report.quarantined > 0
    assert report.read == n
    assert report.read == report.inserted + report.matched + report.upgraded + report.quarantined
    texts = migration.store.query("SELECT raw, reason FROM legacy_quarantine")
    assert len(texts) == report.quarantined
    assert all(text["raw"] and text["reason"] for text in texts)


def test_of_a_repeated_hour_the_order_in_the_file_tells_the_two_apart(
    tmp_path: Path, clock: SettableClock
) -> None:
    clock.set("2026-10-26T00:00:00Z")
    migration = Migration(tmp_path, clock, zone="Europe/Berlin").to("dual_write")
    faces = ("02:50:00", "02:10:00", "02:50:00", "03:10:00")
    put(migration, *(finished(invoked_at=f"2026-10-25T{face}") for face in faces))
    report = migration.backfill()
    assert report.fine
    assert report.first.flags == {"repeated_hour": 3, "same_key": 1}
    moments = [str(row["invoked_at"])[11:19] for row in rows(migration)]
    assert moments == ["00:50:00", "01:10:00", "01:50:00", "02:10:00"]
    migration.to("database").rollback()
    assert Counter(str(r["invoked_at"])[11:] for r in migration.records()) == Counter(faces)


TORN: dict[str, Callable[[str], str]] = {
    "empty": lambda whole: "",
    "half": lambda whole: whole[: len(whole) // 2],
}


@pytest.mark.parametrize("tear", TORN.values(), ids=TORN)
def test_a_torn_read_is_never_empty(migration: Migration, tear: Callable[[str], str]) -> None:
    migration.to("dual_read")
    tracker = migration.tracker()
    migration.call(tracker, "p")
    whole = migration.json_file.read_text()
    torn = tear(whole)
    migration.json_file.write_text(torn)
    with pytest.raises(LegacyFileError):
        migration.call(tracker, "q")
    try:
        assert not migration.backfill().fine
    except LegacyFileError as error:
        assert "empty" in str(error)  # noqa: PT017 - it depends on how it is torn
    if torn:
        with pytest.raises(MetricsStoreError):
            migration.to("database")
    assert migration.phase == "dual_read"
    assert migration.json_file.read_text() == torn
    assert migration.in_store() == {"p": 1}


def test_a_naive_replace_would_kill_the_symlink_and_the_mode(
    tmp_path: Path, clock: SettableClock
) -> None:
    migration = Migration(tmp_path, clock)
    real = tmp_path / "elsewhere.json"
    migration.json_file.rename(real)
    Path(control.control_path(migration.json_file)).unlink()
    migration.operator.close()
    real.chmod(0o664)
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "skill_metrics.json").symlink_to(real)
    linked = Migration(folder, clock)
    linked.to("dual_write")
    linked.call(linked.tracker(), "dual write")
    linked.to("database").rollback()
    assert linked.json_file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o664
    assert linked.in_json() == {"dual write": 1}


def test_an_extra_key_makes_the_legacy_loader_drop_everything_so_the_export_adds_none(
    migration: Migration,
) -> None:
    put(migration, finished(), finished(session_id="one key too many"))
    assert LegacyTracker(migration.json_file)._invocations == []
    migration.to("dual_write").backfill()
    migration.to("database")
    tracker = migration.tracker()
    tracker.track_invocation("s", "p", "session", "/project", {"model": "m"})()
    migration.rollback()
    assert all(len(record) == 7 for record in migration.records())
    document = json.loads(migration.json_file.read_text())
    assert list(document) == ["invocations", "skills", "last_updated"]
    assert len(LegacyTracker(migration.json_file)._invocations) == 3
    assert rows(migration)[-1]["session_id"] == "session"


def test_a_rollback_never_restores_an_old_backup(migration: Migration) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    migration.to("database")
    backups = migration.operator.folder("backups")
    (old,) = backups.glob("before-cutover-*[0-9].json")
    old.write_text(json.dumps({"invocations": [finished(workflow_path="old")], "skills": {}}))
    migration.call(migration.tracker(), "since")
    migration.rollback()
    assert migration.in_json() == {"before": 1, "since": 1}


def test_a_zombie_is_noticed_and_its_records_are_harvested_and_an_alarm_is_raised(
    migration: Migration, clock: SettableClock
) -> None:
    migration.to("dual_write")
    migration.call(migration.tracker(), "before")
    zombie = LegacyTracker(migration.json_file, naive(clock))
    migration.to("database")
    assert unmet(migration) == set()
    zombie.track_invocation("s", "zombie")()
    assert unmet(migration) == {"zombies"}
    assert harvesting.harvest(migration.operator).found == 1
    assert migration.in_store() == {"before": 1, "zombie": 1}
    steps = migration.operator.steps(migration.operator.control())
    assert any("alarm" in step.detail for step in steps if step.command == "harvest")


def test_a_symlink_is_resolved_once(tmp_path: Path, clock: SettableClock) -> None:
    """A link that is turned to another file meanwhile leads no runner there."""
    migration = Migration(tmp_path, clock)
    link, other = tmp_path / "link.json", tmp_path / "other.json"
    other.write_text('{"invocations": [], "skills": {}}')
    link.symlink_to(migration.json_file)
    migration.to("dual_write")
    tracker = type(migration.tracker())(link, migration.db, "raise", clock=clock)
    migration.call(tracker, "a")
    link.unlink()
    link.symlink_to(other)
    migration.call(tracker, "b")
    assert migration.in_json() == migration.in_store() == {"a": 1, "b": 1}
    assert json.loads(other.read_text())["invocations"] == []


def test_an_unreadable_control_file_is_never_guessed_at(migration: Migration) -> None:
    for phase in ("dual_write", "database"):
        migration.to(phase)
        tracker = migration.tracker("log")
        migration.call(tracker, phase)
        before = (migration.json_file.read_bytes(), rows(migration))
        file = Path(control.control_path(migration.json_file))
        whole = file.read_text()
        os.truncate(file, 30)
        migration.call(tracker, f"unknown {phase}")
        with pytest.raises(ControlError):
            tracker.get_all_metrics()
        assert (migration.json_file.read_bytes(), rows(migration)) == before
        assert len(migration.spilled()) > 0
        file.write_text(whole)
    migration.to("complete").rollback()
    expected = dict.fromkeys(
        ("dual_write", "unknown dual_write", "database", "unknown database"), 1
    )
    assert migration.in_json() == migration.in_store() == expected
