"""The schema goes forward and back with data in it, and what does not fit is refused by name."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlparse
from checking import problems

from metrics_store import MetricsStore, Settings, schema, sqlite
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import (
    MigrationFailed,
    NoMigrations,
    NoSpace,
    SchemaDrift,
    SchemaError,
    SchemaNewer,
    UnknownMigration,
)
from metrics_store.yoyo_backend import statements

LATEST = schema.latest(schema.migrations_directory())
Open = Callable[..., MetricsStore]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to be added to and spoilt."""
    return Path(shutil.copytree(schema.migrations_directory(), tmp_path / "migrations"))


def _database(path: Path) -> Database:
    return Database(Settings(path, durability="normal"), Clock())


def _objects(database: Database) -> list[tuple[object, ...]]:
    with database.read(check_schema=False) as connection:
        return connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
        ).fetchall()


def _add(folder: Path, name: str, forward: str, back: str | None = None) -> None:
    (folder / f"{name}.sql").write_text(forward, encoding="utf-8")
    if back is not None:
        (folder / f"{name}.rollback.sql").write_text(back, encoding="utf-8")


def _fill(store: MetricsStore) -> None:
    store.record_invocations(
        {
            "skill_name": f"s{n % 3}",
            "completed": n % 5 != 0,
            "duration_seconds": n / 7,
            "workflow_path": f"p{n % 4}",
            "session_id": f"x{n % 2}",
            "follow_up_actions": ["a", "b"],
        }
        for n in range(50)
    )
    store.track_invocation("s1")


def test_a_new_file_gets_every_migration_and_a_ledger(store: MetricsStore) -> None:
    status = schema.status(store.database)
    assert (status.version, status.latest, status.pending) == (LATEST, LATEST, ())
    assert [line.version for line in status.applied] == list(range(1, LATEST + 1))
    assert all(len(line.checksum) == 64 and line.description for line in status.applied)
    names = {name for _, name, *_ in _objects(store.database)}
    assert {"skill_invocation", "skill_metrics", "session_skill", "schema_migrations"} <= names
    assert "skill_metrics_summary" in names


@pytest.mark.parametrize("to", range(LATEST))
def test_going_back_is_as_if_one_had_never_gone_on(tmp_path: Path, folder: Path, to: int) -> None:
    store = MetricsStore(tmp_path / "m.db", durability="normal")
    _fill(store)
    before, metrics = _objects(store.database), store.get_all_metrics()
    undone = schema.roll_back(store.database, to)
    assert [int(name[:4]) for name in undone] == list(range(LATEST, to, -1))
    assert problems(store.path) == []
    if to == 0:
        assert _objects(store.database) == []
        assert store.query("PRAGMA application_id") == [{"application_id": 0}]
    else:
        for file in folder.glob("*.sql"):
            if int(file.name[:4]) > to:
                file.unlink()
        only = _database(tmp_path / "only.db")
        schema.ensure(only, folder)
        assert _objects(store.database) == _objects(only)
    assert [int(name[:4]) for name in schema.apply(store.database)] == list(
        range(to + 1, LATEST + 1)
    )
    assert _objects(store.database) == before
    if to >= 2:  # the log was never touched
        assert store.get_all_metrics() == metrics
    else:
        assert store.get_all_metrics() == {}
    _fill(store)
    assert schema.roll_back(store.database, LATEST) == ()


def test_opening_what_is_up_to_date_does_not_even_import_yoyo(
    store: MetricsStore, python: Callable[..., object]
) -> None:
    python(
        "import sys\nfrom metrics_store import MetricsStore\nstore = MetricsStore(sys.argv[1])\n"
        "store.record_invocation('deploy')\nassert store.get_summary().total_invocations == 1\n"
        "heavy = {'yoyo', 'sqlparse', 'typer', 'rich', 'sqlite_utils'} & set(sys.modules)\n"
        "assert not heavy, heavy",
        store.path,
    )


def test_a_newer_database_is_refused(store: MetricsStore, folder: Path) -> None:
    _add(folder, f"{LATEST + 1:04d}_more", "CREATE TABLE more (x);", "DROP TABLE more;")
    schema.apply(store.database, folder)
    with pytest.raises(SchemaNewer) as caught:
        MetricsStore(store.path)
    assert "Upgrade" in caught.value.hint


@pytest.mark.parametrize("spoil", ["", "ALTER TABLE skill_inflight RENAME COLUMN process TO who;"])
def test_a_process_that_had_it_open_before_is_refused_too(
    store: MetricsStore, folder: Path, spoil: str
) -> None:
    started = store.track_invocation("deploy")
    also_started = store.track_invocation("deploy")
    _add(folder, f"{LATEST + 1:04d}_more", f"CREATE TABLE more (x);{spoil}", "DROP TABLE more;")
    newer = _database(Path(store.path))
    schema.apply(newer, folder)
    before = _log_and_inflight(newer)
    for use in (
        lambda: store.record_invocation("deploy"),
        lambda: store.record_invocations([{"skill_name": "deploy"}]),
        lambda: store.track_invocation("deploy"),
        started.complete,
        also_started.heartbeat,
        lambda: store.reap("1 hour"),
        store.get_summary,
        lambda: store.query("SELECT 1"),
    ):
        with pytest.raises(SchemaNewer):
            use()
    assert _log_and_inflight(newer) == before


def _log_and_inflight(database: Database) -> list[tuple[object, ...]]:
    with database.read() as connection:
        log = connection.execute("SELECT * FROM skill_invocation").fetchall()
        return log + connection.execute("SELECT * FROM skill_inflight").fetchall()


@pytest.mark.parametrize("to", range(LATEST))
def test_a_process_that_had_it_open_before_it_went_back_is_refused(tmp_path: Path, to: int) -> None:
    store = MetricsStore(tmp_path / "m.db", durability="normal")
    started = store.track_invocation("deploy")
    schema.roll_back(_database(tmp_path / "m.db"), to)
    for use in (
        lambda: store.record_invocation("deploy"),
        lambda: store.record_invocations([{"skill_name": "deploy"}]),
        lambda: store.track_invocation("deploy"),
        started.complete,
        started.heartbeat,
        store.reap,
        store.get_summary,
    ):
        with pytest.raises(SchemaError) as caught:
            use()
        assert "open the store again" in caught.value.hint


def test_an_edited_migration_is_drift(store: MetricsStore, folder: Path) -> None:
    file = folder / "0001_foundation.sql"
    file.write_text(file.read_text() + "\n-- one more word\n")
    with pytest.raises(SchemaDrift, match="0001_foundation") as caught:
        schema.status(store.database, folder)
    assert caught.value.hint
    _add(folder, f"{LATEST + 1:04d}_more", "CREATE TABLE more (x);")
    with pytest.raises(SchemaDrift):
        schema.apply(store.database, folder)


def test_other_line_ends_are_no_drift(store: MetricsStore, folder: Path) -> None:
    for file in folder.glob("*.sql"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert schema.status(store.database, folder).pending == ()
    second = _database(folder.parent / "second.db")
    schema.ensure(second, folder)
    assert schema.status(second).pending == ()


def test_a_migration_that_nobody_knows_is_refused(store: MetricsStore) -> None:
    def forge(connection: sqlite.Connection) -> None:
        connection.execute(f"DELETE FROM schema_migrations WHERE version = {LATEST}")
        connection.execute("INSERT INTO schema_migrations VALUES (77, 'then', 'odd one', 'x')")

    store.database.write(forge)
    with pytest.raises(UnknownMigration, match="0077 odd one"):
        schema.status(store.database)


@pytest.mark.parametrize("version", [0, LATEST - 1])
def test_a_user_version_that_was_edited_is_noticed(store: MetricsStore, version: int) -> None:
    store.database.write(lambda connection: connection.execute(f"PRAGMA user_version = {version}"))
    path = store.path
    store.close()
    with pytest.raises(SchemaError, match="user_version"):
        MetricsStore(path)


def test_no_migration_files_are_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for folder in (tmp_path / "none", tmp_path / "nowhere"):
        with pytest.raises(NoMigrations) as caught:
            schema.ensure(_database(tmp_path / "m.db"), folder)
        assert "reinstall" in caught.value.hint


@pytest.mark.parametrize(
    "name", [f"{LATEST + 2:04d}_gap", f"{LATEST:04d}_twice", "later", "1_one", "0009-dash"]
)
def test_files_that_are_not_numbered_in_a_row_are_refused(
    tmp_path: Path, folder: Path, name: str
) -> None:
    _add(folder, name, "CREATE TABLE more (x);")
    database = _database(tmp_path / "m.db")
    with pytest.raises(MigrationFailed) as caught:
        schema.ensure(database, folder)
    assert caught.value.hint
    assert _objects(database) == []


@pytest.mark.parametrize("broken", ["NO SQL AT ALL;", "INSERT INTO store_property VALUES (NULL);"])
def test_of_a_failing_migration_nothing_is_kept(
    store: MetricsStore, folder: Path, broken: str
) -> None:
    _fill(store)
    before, metrics = _objects(store.database), store.get_all_metrics()
    _add(folder, f"{LATEST + 1:04d}_good", "CREATE TABLE good (x);", "DROP TABLE good;")
    _add(folder, f"{LATEST + 2:04d}_bad", f"CREATE TABLE half (x);\n{broken}")
    with pytest.raises(MigrationFailed, match=f"{LATEST + 2:04d}_bad"):
        schema.apply(store.database, folder)
    assert _objects(store.database) == before
    assert schema.status(store.database).version == LATEST
    assert store.get_all_metrics() == metrics
    store.record_invocation("deploy")


@pytest.mark.parametrize("back", ["DROP TABLE good; NO SQL;", None])
def test_of_a_failing_rollback_nothing_is_undone(
    tmp_path: Path, folder: Path, back: str | None
) -> None:
    _add(folder, f"{LATEST + 1:04d}_good", "CREATE TABLE good (x);", back)
    database = _database(tmp_path / "m.db")
    schema.apply(database, folder)
    before = _objects(database)
    with pytest.raises(MigrationFailed):
        schema.roll_back(database, LATEST - 1, folder)
    assert _objects(database) == before
    assert schema.status(database, folder).version == LATEST + 1


@pytest.mark.parametrize("to", [-1, LATEST + 1])
def test_one_cannot_go_back_to_nowhere(store: MetricsStore, to: int) -> None:
    with pytest.raises(SchemaError, match="cannot go back"):
        schema.roll_back(store.database, to)


def test_a_database_with_records_is_copied_before_it_is_changed(
    tmp_path: Path, folder: Path
) -> None:
    path = tmp_path / "m.db"
    store = MetricsStore(path, durability="normal")
    assert [file for file in tmp_path.iterdir() if "before" in file.name] == []
    _fill(store)
    metrics = store.get_all_metrics()
    _add(folder, f"{LATEST + 1:04d}_more", "CREATE TABLE more (x);", "DROP TABLE more;")
    schema.apply(store.database, folder)
    (copy,) = (file for file in tmp_path.iterdir() if ".before-schema-change-" in file.name)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*before*-wal"))
    assert problems(copy) == []
    assert MetricsStore(copy).get_all_metrics() == metrics


def test_without_room_for_the_copy_nothing_is_changed(
    store: MetricsStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(store)
    _add(folder, f"{LATEST + 1:04d}_more", "CREATE TABLE more (x);", "DROP TABLE more;")
    usage = shutil.disk_usage(store.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(NoSpace):
        schema.apply(store.database, folder)
    assert schema.status(store.database).version == LATEST
    assert sorted(os.listdir(folder.parent))[0] == "m.db"


def test_a_second_copy_within_the_same_microsecond_is_no_accident(store: MetricsStore) -> None:
    _fill(store)
    first = schema.back_up(store.database)
    second = schema.back_up(store.database)
    assert first != second
    assert problems(first) == problems(second) == []


def test_files_are_cut_into_the_statements_that_another_parser_finds() -> None:
    for file in sorted(schema.migrations_directory().glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        assert statements(text) == [part for part in sqlparse.split(text) if part], file.name


def test_a_statement_ends_where_sqlite_says_so() -> None:
    trigger = (
        "CREATE TRIGGER a AFTER INSERT ON b BEGIN SELECT CASE 1 WHEN 1 THEN ';' END; SELECT 2; END;"
    )
    text = f"-- one; two\nSELECT ';'; /* ; */ SELECT \"a;b\";\n{trigger}\n\nSELECT 3"
    assert statements(text) == [
        "-- one; two\nSELECT ';';",
        '/* ; */ SELECT "a;b";',
        trigger,
        "SELECT 3",
    ]
    assert statements(" \n") == []
