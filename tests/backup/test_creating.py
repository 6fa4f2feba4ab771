"""Making a backup: whole, of one moment, and never half under its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems
from settable_clock import SettableClock
from shelves import filled, names

from metrics_store import MetricsStore, manifest, schema, sqlite
from metrics_store.backup import creating, verifying
from metrics_store.backup.creating import create
from metrics_store.backup.keeping import Keep
from metrics_store.connection import Database
from metrics_store.errors import BackupError, BackupNotWhole
from metrics_store.settings import Settings


def test_a_backup_holds_all_that_the_store_does_and_its_manifest_says_so(
    store: MetricsStore, tmp_path: Path
) -> None:
    filled(store)
    backup = create(store.database)
    directory = tmp_path / "m.db.backups"
    assert backup.path == directory / "m-20260310T120000000000.db"
    assert names(directory) == [backup.path.name, f"{backup.path.name}.json"]
    known = manifest.read(backup.path)
    assert known == backup.manifest
    assert known.sha256 == verifying.verify(backup.path).sha256
    with store.database.read() as connection:
        assert known.logs == manifest.marks(connection)
        assert known.store_id == manifest.property_of(connection, "store_id")
        assert known.generation == manifest.property_of(connection, "generation")
    assert (known.made_at, known.source, known.reason, known.schema_version) == (
        "2026-03-10T12:00:00.000000Z", store.path, "manual",
        schema.latest(schema.migrations_directory()),
    )  # fmt: skip
    assert (known.rows, known.in_flight, known.findings) == (300, 1, 0)
    assert (known.sqlite_version, known.size) == (sqlite.version, backup.path.stat().st_size)
    assert problems(backup.path) == []
    assert backup.report.ok
    assert (backup.notes, backup.left_overs, backup.pruned) == ((), (), None)


def test_it_is_one_file_without_a_log_that_opens_as_a_store(
    store: MetricsStore, tmp_path: Path
) -> None:
    path = create(filled(store).database).path
    assert path.read_bytes()[18:20] == b"\1\1"
    copy = tmp_path / "restored.db"
    shutil.copyfile(path, copy)
    with MetricsStore(copy, create=False) as restored:
        assert restored.get_summary().total_invocations == 300


def test_several_at_once_are_all_made(store: MetricsStore, tmp_path: Path) -> None:
    filled(store)
    made: list[Path] = []
    threads = [
        threading.Thread(target=lambda: made.append(create(store.database).path)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 4
    assert len(names(tmp_path / "m.db.backups")) == 8
    assert all(verifying.verify(path).ok for path in made)


def test_progress_is_told_in_stages_that_end(store: MetricsStore) -> None:
    told: list[tuple[str, int, int]] = []
    create(filled(store).database, progress=lambda *at: told.append(at))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[0] == "copying"
    assert stages[-1] == "hashing"
    assert len(stages) > 2
    for stage in ("copying", "hashing"):
        *_, last = [at for at in told if at[0] == stage]
        assert last[1] == last[2] > 0


def test_a_store_that_is_damaged_is_not_backed_up_but_may_be_copied_for_safety(
    store: MetricsStore, tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    filled(store)
    damaged(tmp_path / "m.db")
    store.database.write(lambda c: c.execute("UPDATE rollup SET n = n + 1 WHERE kind = 'total'"))
    with pytest.raises(BackupNotWhole, match="rollup") as refused:
        create(store.database)
    assert "--as-it-is" in refused.value.hint
    assert names(tmp_path / "m.db.backups") == []
    backup = create(store.database, reason="before repair")
    damaged(backup.path)
    assert backup.manifest.findings > 0
    assert "errors in it" in backup.notes[0]
    assert backup.manifest.rows == 300


@pytest.mark.skipif(not hasattr(os, "nice"), reason="it has no priorities of this kind")
def test_the_copy_is_made_with_the_usual_priority_and_checked_with_a_low_one_if_so_wanted(
    store: MetricsStore, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    store.close()
    done = python(
        """
import os, sys
from pathlib import Path
from metrics_store import Settings
from metrics_store.backup import creating
from metrics_store.clock import Clock
from metrics_store.connection import Database
usual = os.nice(0)
database = Database(Settings(database=Path(sys.argv[1])), Clock(), create=False)
for gently in (False, True):
    seen = {}
    creating.create(database, gently=gently, progress=lambda stage, done, total:
                    seen.setdefault(stage, os.nice(0) - usual))
    print(seen["copying"], min(19 - usual, seen["hashing"]))
database.close()
""",
        store.path,
    )
    assert done.stdout.splitlines()[0] == "0 0"
    copying, checking = map(int, done.stdout.splitlines()[1].split())
    assert copying == 0
    assert checking == min(10, 19 - os.nice(0))


def test_a_failure_on_the_way_leaves_nothing(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == wanted:
            raise KeyboardInterrupt

    wanted = ""
    filled(store)
    for stage in ("copying", "hashing"):
        wanted = stage
        with pytest.raises(KeyboardInterrupt):
            create(store.database, progress=interrupted)
        assert names(tmp_path / "m.db.backups") == []

    def refused(*_: object) -> None:
        raise OSError(5, "Input/output error")

    for module, function in ((manifest, "write"), (os, "rename"), (os, "fsync")):
        with monkeypatch.context() as patched:
            patched.setattr(module, function, refused)
            with pytest.raises(BackupError, match="Input/output error"):
                create(store.database)
        assert names(tmp_path / "m.db.backups") == []


def test_older_ones_go_by_the_rules_once_the_new_one_is_there(
    store: MetricsStore, clock: SettableClock
) -> None:
    made = []
    for _ in range(4):
        made.append(create(store.database, keep=Keep(2, 0, 0)))
        clock.advance(60)
    pruned = made[-1].pruned
    assert pruned is not None
    assert [entry.path for entry in pruned.deleted] == [made[1].path]
    assert [one.path.exists() for one in made] == [False, False, True, True]


def test_a_clock_that_was_set_back_does_not_delete_the_one_just_made(
    store: MetricsStore, clock: SettableClock
) -> None:
    create(store.database)
    clock.advance(-3600)
    made = create(store.database, keep=Keep(1, 0, 0))
    assert made.path.exists()
    clock.advance(7200)
    create(store.database, keep=Keep(1, 0, 0))
    assert not made.path.exists()


def test_a_store_open_for_reading_alone_is_backed_up(store: MetricsStore, tmp_path: Path) -> None:
    filled(store).close()
    settings = Settings(database=tmp_path / "m.db")
    database = Database(settings, SettableClock(), create=False, read_only=True)
    backup = create(database, tmp_path / "elsewhere")
    database.close()
    assert backup.manifest.rows == 300
    assert "did not take note" in backup.notes[0]


@pytest.mark.parametrize("version", range(1, schema.latest(schema.migrations_directory())))
def test_an_older_schema_is_backed_up_as_it_is(
    store: MetricsStore, tmp_path: Path, version: int
) -> None:
    schema.roll_back(store.database, version)
    backup = create(store.database)
    assert backup.manifest.schema_version == version
    assert (backup.manifest.store_id == "") == (version < 5)
    assert verifying.verify(backup.path).ok
    with store.database.read(check_schema=False) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == version


def test_a_newer_schema_is_backed_up_with_the_checks_there_are(store: MetricsStore) -> None:
    filled(store)
    newer = store.database.schema_version + 1
    store.database.write(
        lambda c: (
            c.execute("INSERT INTO schema_migrations VALUES (?, '', 'to come', '')", (newer,)),
            c.execute(f"PRAGMA user_version = {newer}"),
        )
    )
    backup = create(store.database)
    assert (backup.manifest.schema_version, backup.manifest.rows) == (newer, 300)
    assert "only SQLite's own checks" in backup.notes[0]
    found = verifying.verify(backup.path)
    assert found.ok
    assert "only SQLite's own checks" in found.notes[0]


def test_a_copy_made_elsewhere_is_adopted_once_it_has_been_checked(
    store: MetricsStore, tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    filled(store)
    copy = tmp_path / "before-cutover-20260310T120000000000.db"
    schema.copy_database(store.database, copy)
    known = creating.adopt(
        copy, source=store.path, reason="cutover", made_us=0, clock=SettableClock()
    )
    assert manifest.read(copy) == known
    assert (known.reason, known.made_at) == ("cutover", "1970-01-01T00:00:00.000000Z")
    assert verifying.verify(copy).ok
    manifest.path_of(copy).unlink()
    damaged(copy)
    torn = sqlite.connect(str(copy))
    torn.execute("DELETE FROM rollup WHERE kind = 'total'")
    torn.close()
    with pytest.raises(BackupNotWhole):
        creating.adopt(copy, source=store.path, reason="cutover", made_us=0, clock=SettableClock())
    assert not manifest.path_of(copy).exists()
