"""The classic helpers answer in the classic shape."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.classic import DataMigrator, MigrationRunner, check_database_health
from metrics_store.errors import LegacyFileNotFound, NoMigrations, SchemaError, ZoneMismatch
from metrics_store.legacy.importing import take_in

FILES = Path(__file__).parent / "legacy" / "files"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def test_migrating_says_how_many_and_a_second_time_none(store: MetricsStore) -> None:
    migrator = DataMigrator(FILES / "double_completed.json", store, batch_size=10)
    stats = migrator.migrate_all_data()
    assert stats == {
        "invocations_migrated": 300,
        "metrics_migrated": 12,
        "validation_errors": 0,
        "quarantined": 0,
    }
    assert DataMigrator(str(migrator.json_path), store).migrate_all_data() == {
        **stats,
        "invocations_migrated": 0,
    }
    assert store.get_summary().total_invocations == 321


def test_migrating_counts_what_it_could_not_take(store: MetricsStore) -> None:
    stats = DataMigrator(FILES / "hand_edited.json", store).migrate_all_data()
    assert (stats["invocations_migrated"], stats["quarantined"]) == (8, 11)
    assert stats["validation_errors"] == 0


def test_migrating_counts_an_end_as_migrated(store: MetricsStore, tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    one = {"skill_name": "s", "invoked_at": "2025-02-10T12:00:00"}
    file.write_text(json.dumps({"invocations": [one]}))
    assert DataMigrator(file, store).migrate_all_data()["invocations_migrated"] == 1
    file.write_text(json.dumps({"invocations": [{**one, "completed": True}]}))
    assert DataMigrator(file, store).migrate_all_data()["invocations_migrated"] == 1
    assert check_database_health(store)["total_invocations"] == 1


def test_an_edited_record_is_a_validation_error(store: MetricsStore, tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    for seconds in (1.0, 2.0):
        one = {"skill_name": "s", "invoked_at": "2025-02-10T12:00:00", "completed": True}
        file.write_text(json.dumps({"invocations": [{**one, "duration_seconds": seconds}]}))
        stats = DataMigrator(file, store).migrate_all_data()
    assert (stats["invocations_migrated"], stats["validation_errors"]) == (0, 1)


def test_a_missing_file_is_an_error_and_not_nothing(store: MetricsStore, tmp_path: Path) -> None:
    with pytest.raises(LegacyFileNotFound):
        DataMigrator(tmp_path / "nowhere.json", store).migrate_all_data()


def test_the_zone_of_an_earlier_import_is_kept(
    store: MetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(store, FILES / "two_writers.json", zone="Europe/Berlin")
    stats = DataMigrator(FILES / "two_writers.json", store).migrate_all_data()
    assert (stats["invocations_migrated"], stats["validation_errors"]) == (0, 0)
    with pytest.raises(ZoneMismatch):
        take_in(store, FILES / "two_writers.json", zone="UTC")


def test_migrations_run_once_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    runner = MigrationRunner(path)
    names = runner.run_migrations()
    assert [name[:4] for name in names] == [f"{n:04d}" for n in range(1, len(names) + 1)]
    assert runner.run_migrations() == ()
    assert runner.rollback_migration(2) == tuple(reversed(names[1:]))
    assert MigrationRunner(str(path)).run_migrations() == names[1:]
    with MetricsStore(path) as store:
        store.record_invocation("s")


def test_a_migration_that_is_not_there_cannot_be_taken_back(tmp_path: Path) -> None:
    runner = MigrationRunner(tmp_path / "new.db")
    runner.run_migrations()
    for version in (0, -1, 99):
        with pytest.raises(SchemaError):
            runner.rollback_migration(version)
    assert runner.run_migrations() == ()


def test_a_directory_without_migrations_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoMigrations):
        MigrationRunner(tmp_path / "new.db", tmp_path / "empty").run_migrations()


def test_health_is_four_numbers(
    store: MetricsStore, open_store: Callable[..., MetricsStore]
) -> None:
    empty = check_database_health(open_store("empty.db"))
    assert (empty["total_invocations"], empty["total_skills"]) == (0, 0)
    take_in(store, FILES / "pruned.json", zone="UTC")
    store.record_invocation("another")
    health = check_database_health(store)
    assert list(health) == [
        "database_size_mb",
        "total_invocations",
        "total_skills",
        "schema_version",
    ]
    assert (health["total_invocations"], health["total_skills"]) == (2494, 13)
    assert health["schema_version"] == store.query("PRAGMA user_version")[0]["user_version"]
    size = sum(os.stat(store.path + suffix).st_size for suffix in ("", "-wal"))
    assert health["database_size_mb"] == size / 1024 / 1024
