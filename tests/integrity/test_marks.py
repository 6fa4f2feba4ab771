"""What backups have seen of a log tells when its end is lost, or its history is another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from damaging import LOG, rewrite_log, tamper
from settable_clock import SettableClock

from metrics_store import MetricsStore, Settings, manifest
from metrics_store.connection import Database
from metrics_store.integrity import accepting, check_file
from metrics_store.integrity.expected import newest
from metrics_store.integrity.findings import CheckReport
from metrics_store.manifest import Manifest


@pytest.fixture
def backed_up(sound: Path) -> Manifest:
    """The manifest of a backup of the store, as it is with its 300 invocations."""
    database = Database(Settings(sound), SettableClock(), create=False)
    try:
        with database.read(check_schema=False) as connection:
            return Manifest(
                file="m-20260310T120000000000.db",
                sha256="0" * 64,
                size=1,
                made_at="2026-03-10T12:00:00.000000Z",
                source=str(sound),
                store_id=manifest.property_of(connection, "store_id") or "",
                generation=manifest.property_of(connection, "generation") or "",
                reason="manual",
                schema_version=5,
                sqlite_version="3.40.1",
                package_version="0",
                logs=manifest.marks(connection),
                in_flight=0,
                findings=0,
            )
    finally:
        database.close()


def lost(report: CheckReport) -> list[tuple[str, str]]:
    """Where records are missed, and what is said of it."""
    return [(f.row, f.detail) for f in report.findings if f.kind == "lost_records"]


def drop_tail(path: Path, from_seq: int) -> None:
    """Lose the end of the log, rollups and all, as a lost write-ahead log does."""
    rewrite_log(path, f"DELETE FROM {LOG} WHERE seq >= {from_seq}")


@pytest.mark.parametrize("level", ["quick", "standard", "deep"])
def test_a_log_that_ends_before_what_a_backup_has_seen_has_lost_records(
    spoilt: Path, backed_up: Manifest, level: str
) -> None:
    assert lost(check_file(spoilt, level=level, manifests=[backed_up])) == []
    drop_tail(spoilt, 291)
    [(row, detail)] = lost(check_file(spoilt, level=level, manifests=[backed_up]))
    assert row == "seq 300"
    assert "10 rows or more are lost" in detail
    assert backed_up.file in detail


def test_other_rows_in_the_place_of_lost_ones_do_not_hide_the_loss(
    spoilt: Path, backed_up: Manifest
) -> None:
    drop_tail(spoilt, 291)
    with MetricsStore(spoilt, durability="normal") as store:
        store.record_invocations({"skill_name": "later"} for _ in range(30))
    [(row, detail)] = lost(check_file(spoilt, manifests=[backed_up]))
    assert row == "seq 300"
    assert "another row" in detail


def test_a_log_that_has_grown_has_lost_nothing(sound: Path, backed_up: Manifest) -> None:
    with MetricsStore(sound, durability="normal") as store:
        store.record_invocations({"skill_name": "later"} for _ in range(30))
    assert check_file(sound, manifests=[backed_up]).findings == ()


@pytest.mark.parametrize("other", [{"store_id": "x"}, {"generation": "x"}, {"findings": 1}])
def test_backups_of_something_else_say_nothing(
    spoilt: Path, backed_up: Manifest, other: dict[str, object]
) -> None:
    drop_tail(spoilt, 291)
    changed = replace(backed_up, **other)  # type: ignore[arg-type]
    assert lost(check_file(spoilt, manifests=[changed])) == []


def test_an_older_backup_tells_of_a_loss_before_the_newest_one(
    spoilt: Path, backed_up: Manifest
) -> None:
    drop_tail(spoilt, 291)
    with MetricsStore(spoilt, durability="normal") as store:
        store.record_invocation("later")
        store.record_invocation("later")
    database = Database(Settings(spoilt), SettableClock(), create=False)
    with database.read(check_schema=False) as connection:
        logs = manifest.marks(connection)
    database.close()
    newest = replace(backed_up, logs=logs, made_at="2026-03-11T12:00:00.000000Z")
    assert lost(check_file(spoilt, manifests=[newest])) == []
    assert len(lost(check_file(spoilt, manifests=[newest, backed_up]))) == 1


def test_rows_before_the_first_one_that_is_kept_are_not_missed(
    spoilt: Path, backed_up: Manifest
) -> None:
    # As retention leaves a log.
    with MetricsStore(spoilt, durability="normal") as store:
        store.record_invocation("later")
    with MetricsStore(spoilt, durability="normal") as store:
        store.retain({"skill": "1 s"}, trust_clock=True)
        assert store.query(f"SELECT seq FROM {LOG}") == [{"seq": 301}]
    assert lost(check_file(spoilt, manifests=[backed_up])) == []


def test_an_accepted_loss_is_missed_no_longer(spoilt: Path, backed_up: Manifest) -> None:
    drop_tail(spoilt, 291)
    done = accepting.accept(str(spoilt), Settings(spoilt), SettableClock(), [backed_up])
    assert any("no longer missed" in words for words in done)
    assert lost(check_file(spoilt, manifests=[backed_up])) == []


def test_without_a_loss_nothing_is_accepted(sound: Path, backed_up: Manifest) -> None:
    before = check_file(sound, manifests=[backed_up])
    assert accepting.accept(str(sound), Settings(sound), SettableClock(), [backed_up]) == ()
    assert check_file(sound, manifests=[backed_up]).findings == before.findings == ()


def test_a_newer_schema_is_left_to_a_newer_version(spoilt: Path) -> None:
    tamper(
        spoilt,
        f"INSERT INTO schema_migrations VALUES ({newest() + 1}, 'later', 'of the future', 'x')",
        f"PRAGMA user_version = {newest() + 1}",
        "CREATE TABLE of_the_future (x)",
        "DELETE FROM rollup",
    )
    report = check_file(spoilt, level="deep")
    assert report.kinds == ("schema_newer",)
    assert report.schema_version == newest() + 1


def test_an_older_schema_is_checked_as_what_it_is(
    sound: Path, tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    from metrics_store import schema

    path = tmp_path / "old.db"
    shutil.copyfile(sound, path)
    database = Database(Settings(path), SettableClock(), create=False)
    try:
        for version in (4, 3, 2):
            schema.roll_back(database, version)
            report = check_file(path, level="deep")
            assert report.kinds == ("schema_older",)
            assert report.ok
            assert report.schema_version == version
            assert report.rows == 300
    finally:
        database.close()
    damaged(path)
    tamper(path, "DROP VIEW skill_day")
    assert check_file(path).kinds == ("missing_view", "schema_older")
