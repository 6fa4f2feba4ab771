"""Restoring and taking it back: what is there afterwards, and what is told of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from contents import contents, files_of, ids, properties, record, restored_property, settings_of
from kept import FIRST, SINCE, Kept
from settable_clock import SettableClock

from metrics_store import MetricsStore, manifest, sqlite
from metrics_store.backup import restoring
from metrics_store.errors import NothingToUndo, RestoreRefused
from metrics_store.integrity import check_file


def test_a_dry_run_tells_what_would_change_and_changes_nothing(kept: Kept, tmp_path: Path) -> None:
    kept.store.close()
    before = files_of(tmp_path)
    told = kept.plan()
    assert files_of(tmp_path) == before
    log, *others = told.logs
    assert not any(other.before or other.after for other in others)
    assert (log.before, log.after, log.lost, log.gained) == (27, 20, 7, 0)
    assert log.lost_first_at == log.lost_last_at == "2026-03-10T13:00:00.000000Z"
    assert (told.executed, told.state, told.way) == (False, "store", "in_place")
    assert (told.reason, told.age_seconds, told.same_store) == ("manual", 3600, True)
    assert (told.safety, told.generation, told.moved_aside, told.problems) == (None, None, (), ())


def test_a_dry_run_beside_an_open_store_leaves_no_file_behind(kept: Kept, tmp_path: Path) -> None:
    before = sorted(os.listdir(tmp_path))
    kept.plan()
    assert sorted(os.listdir(tmp_path)) == before


def test_what_is_restored_is_the_backup_to_the_letter(kept: Kept) -> None:
    done = kept.restore()
    assert contents(kept.path) == contents(kept.backup)
    assert (done.lost, done.gained, done.problems) == (7, 0, ())
    assert check_file(kept.path, level="deep").findings == ()


def test_what_was_there_is_in_the_safety_copy(kept: Kept) -> None:
    before = contents(kept.path)
    done = kept.restore()
    assert done.safety is not None
    assert contents(done.safety) == before
    held = manifest.read(Path(done.safety))
    assert (held.reason, held.findings, held.rows) == ("before restore", 0, 27)
    assert held.source == str(kept.path)
    assert done.safety_findings == 0


def test_an_open_store_goes_on_where_the_backup_ended(kept: Kept) -> None:
    kept.restore()
    assert {row["id"] for row in kept.store.query("SELECT id FROM skill_invocation")} == {*FIRST}
    kept.store.record_invocation("s", invocation_id="after")
    with kept.store.track_invocation("s") as tracked:
        pass
    assert ids(kept.path) == {*FIRST, "after", tracked.invocation_id}


def test_an_invocation_in_flight_across_a_restore_ends_once(kept: Kept) -> None:
    before = kept.store.track_invocation("s")
    done = kept.restore()
    assert (done.here.in_flight, done.there.in_flight) == (1, 0)
    before.complete()
    assert ids(kept.path) == {*FIRST, before.invocation_id}


def test_a_restore_begins_a_generation_and_says_where_it_is_from(kept: Kept) -> None:
    before = properties(kept.path)
    done = kept.restore()
    after = properties(kept.path)
    assert after["store_id"] == before["store_id"]
    assert after["generation"] == done.generation != before["generation"]
    assert restored_property(kept.path) == {
        "from": str(kept.backup),
        "at": "2026-03-10T13:00:00.000000Z",
        "made_at": "2026-03-10T12:00:00.000000Z",
        "safety": done.safety,
        "moved_aside": [],
    }


def test_the_log_is_folded_back_afterwards(kept: Kept) -> None:
    kept.restore()
    assert sqlite.connect(f"{kept.path}", immutable=True).execute(
        "SELECT count(*) FROM skill_invocation"
    ).fetchone() == (20,)
    if sqlite.has_wal_reset_fix:
        assert os.path.getsize(f"{kept.path}-wal") == 0
    assert ids(kept.path) == {*FIRST}


def test_nothing_is_left_in_the_way(kept: Kept, tmp_path: Path) -> None:
    kept.restore()
    kept.store.close()
    assert sorted(os.listdir(tmp_path)) == ["m.db", "m.db.backups"]
    named = [name for name in os.listdir(tmp_path / "m.db.backups") if name[0] != "."]
    assert sorted(name.partition(".")[2] for name in named) == ["db", "db", "db.json", "db.json"]


def test_taking_a_restore_back_brings_back_what_was_there(kept: Kept) -> None:
    before = contents(kept.path)
    kept.restore()
    kept.clock.advance(60)
    told = kept.undo(execute=False)
    assert (told.undo, told.executed, told.lost, told.gained) == (True, False, 0, 7)
    kept.undo()
    assert contents(kept.path) == before


def test_taking_it_back_twice_is_the_restored_state_again(kept: Kept) -> None:
    kept.restore()
    for wanted in ({*FIRST, *SINCE}, {*FIRST}, {*FIRST, *SINCE}):
        kept.clock.advance(60)
        kept.undo()
        assert ids(kept.path) == wanted
        assert check_file(kept.path, level="deep").ok


def test_what_was_recorded_after_a_restore_is_kept_when_it_is_taken_back(kept: Kept) -> None:
    kept.restore()
    record(kept.store, ["between"])
    done = kept.undo()
    assert done.safety is not None
    assert done.lost == 1
    assert ids(done.safety) == {*FIRST, "between"}


def test_without_a_restore_there_is_nothing_to_take_back(kept: Kept) -> None:
    with pytest.raises(NothingToUndo):
        kept.undo()


def test_a_safety_copy_that_is_gone_cannot_be_restored(kept: Kept) -> None:
    done = kept.restore()
    assert done.safety is not None
    Path(done.safety).unlink()
    with pytest.raises(NothingToUndo, match="is gone"):
        kept.undo()
    assert ids(kept.path) == {*FIRST}


def test_a_safety_copy_is_found_where_its_directory_was_moved_to(
    kept: Kept, tmp_path: Path
) -> None:
    kept.restore()
    shutil.move(tmp_path / "m.db.backups", tmp_path / "elsewhere")
    settings = settings_of(kept.path, backup_directory=tmp_path / "elsewhere")
    restoring.undo(settings, kept.clock, execute=True)
    assert ids(kept.path) == {*FIRST, *SINCE}


def test_another_stores_backup_is_refused_unless_it_is_asked_for(kept: Kept, other: Path) -> None:
    with pytest.raises(RestoreRefused, match="of another store") as refused:
        kept.restore(other)
    assert "--other-store" in refused.value.hint
    assert ids(kept.path) == {*FIRST, *SINCE}
    done = kept.restore(other, other_store=True)
    assert done.same_store is False
    assert ids(kept.path) == {"foreign-1", "foreign-2"}
    assert properties(kept.path)["store_id"] == properties(other)["store_id"]
    kept.undo()
    assert ids(kept.path) == {*FIRST, *SINCE}


def test_a_backup_without_a_manifest_is_restored_by_its_content(kept: Kept) -> None:
    manifest.path_of(kept.backup).unlink()
    done = kept.restore()
    assert (done.made_at, done.reason) == (None, None)
    assert ids(kept.path) == {*FIRST}


def test_a_backup_that_was_renamed_with_its_manifest_is_the_same(
    kept: Kept, tmp_path: Path
) -> None:
    moved = tmp_path / "renamed.db"
    shutil.copyfile(kept.backup, moved)
    shutil.copyfile(manifest.path_of(kept.backup), manifest.path_of(moved))
    assert kept.restore(moved).made_at is not None
    assert ids(kept.path) == {*FIRST}


def test_the_log_beside_a_file_without_a_manifest_is_restored_too(
    kept: Kept, open_store: Callable[..., MetricsStore]
) -> None:
    source = open_store("source.db")
    record(source, ["in-the-log"])
    assert (kept.path.with_name("source.db-wal")).stat().st_size > 0
    done = kept.restore(kept.path.with_name("source.db"), other_store=True)
    assert done.sha256 is None
    assert ids(kept.path) == {"in-the-log"}
    record(source, ["still-fine"])


def test_where_backups_were_put_is_still_known_afterwards(kept: Kept, tmp_path: Path) -> None:
    kept.store.back_up(tmp_path / "away")
    kept.restore()
    assert json.loads(properties(kept.path)["backup_directories"]) == [str(tmp_path / "away")]


def test_the_staged_migration_that_is_another_one_is_told(kept: Kept) -> None:
    assert kept.plan().resume_needed is False
    connection = sqlite.connect(str(kept.path))
    connection.execute(
        "INSERT INTO legacy_migration VALUES ('m', '/x.json', 4, 'dual_read', '2026-03-10')"
    )
    connection.close()
    told = kept.plan()
    assert told.resume_needed is True
    assert told.here.staged[0].as_dict() == {"path": "/x.json", "phase": "dual_read", "epoch": 4}
    assert told.there.staged == ()
    assert kept.restore().resume_needed is True


@pytest.mark.parametrize("page_size", [1024, 8192, 65536])
def test_a_backup_of_other_pages_is_made_to_fit(kept: Kept, tmp_path: Path, page_size: int) -> None:
    file = tmp_path / "pages.db"
    shutil.copyfile(kept.backup, file)
    connection = sqlite.connect(str(file))
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("VACUUM")
    connection.close()
    kept.restore(file)
    assert contents(kept.path) == contents(kept.backup)
    record(kept.store, ["after"])
    assert check_file(kept.path, level="deep").ok


def test_settings_with_another_directory_put_the_safety_copy_there(
    kept: Kept, tmp_path: Path, clock: SettableClock
) -> None:
    settings = settings_of(kept.path, backup_directory=tmp_path / "safe")
    done = restoring.restore(kept.backup, settings, clock)
    assert done.safety is not None
    assert Path(done.safety).parent == tmp_path / "safe"
    restoring.undo(settings, clock, execute=True)
    assert ids(kept.path) == {*FIRST, *SINCE}


def test_progress_is_told_in_stages(kept: Kept) -> None:
    told: list[tuple[str, int, int]] = []
    restoring.restore(
        kept.backup, kept.settings, kept.clock, progress=lambda *stage: told.append(stage)
    )
    names = list(dict.fromkeys(name for name, _, _ in told))
    assert names[0] == "copying"
    assert "restoring" in names
    assert all(0 <= done <= total or total == 0 for _, done, total in told)
