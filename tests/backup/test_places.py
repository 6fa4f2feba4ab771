"""The directories that backups are put into: their names, their room, and what was left there."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock
from shelves import filled, names

from metrics_store import MetricsStore, clock, manifest
from metrics_store.backup import place, verifying
from metrics_store.backup.creating import create
from metrics_store.errors import BackupError, NoSpace


def test_only_the_owner_may_read_a_backup_or_see_into_its_directory(
    store: MetricsStore, tmp_path: Path
) -> None:
    path = create(store.database).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    create(store.database, open_to_all)
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o755


def test_backups_of_one_moment_bear_different_names(store: MetricsStore, tmp_path: Path) -> None:
    made = [create(store.database).path.name for _ in range(3)]
    stamp = "m-20260310T120000000000"
    assert made == [f"{stamp}.db", f"{stamp}-2.db", f"{stamp}-3.db"]
    assert all(manifest.read(tmp_path / "m.db.backups" / name).file == name for name in made)


@pytest.mark.parametrize("name", ["it's \"quoted\" 50%.db", "#1?.db", "-rf.db", ".hidden.db",
                                  "two\nlines.db", "日本.db", "no ending", "a" * 250])  # fmt: skip
def test_a_store_may_have_a_weird_name(open_store: Callable[..., MetricsStore], name: str) -> None:
    if len(name) > 100:
        name = name[:200]
    store = filled(open_store(name))
    made = [create(store.database) for _ in range(2)]
    directory = made[0].path.parent
    assert [entry.path for entry in manifest.of_directory(directory)] == [
        made[1].path, made[0].path,
    ]  # fmt: skip
    assert all(verifying.verify(one.path).ok for one in made)
    assert all(one.manifest.source == store.path for one in made)


def test_a_store_that_is_opened_by_a_link_has_its_backups_beside_itself(
    store: MetricsStore, open_store: Callable[..., MetricsStore], tmp_path: Path
) -> None:
    first = create(store.database).path
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "link.db").symlink_to(tmp_path / "m.db")
    second = create(open_store("links/link.db").database).path
    assert second.parent == first.parent == tmp_path / "m.db.backups"
    assert {entry.path for entry in manifest.of_directory(first.parent)} == {first, second}


def test_a_weird_directory_will_do(store: MetricsStore, tmp_path: Path) -> None:
    for name in ("50% #1?'\"", "-d", ".d", "d e/f", os.fsdecode(b"\xff")):
        backup = create(store.database, tmp_path / name)
        assert backup.path.parent == tmp_path / name
        assert verifying.verify(backup.path).ok


def test_a_link_to_a_directory_is_resolved_and_one_to_nothing_made(
    store: MetricsStore, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    assert create(store.database, tmp_path / "link").path.parent == tmp_path / "disk"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BackupError):
        create(store.database, tmp_path / "loop")


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_directory_that_is_a_file_is_refused(
    store: MetricsStore, tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(BackupError) as refused:
        create(store.database, tmp_path / where)
    assert "directory" in refused.value.hint
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_no_room_is_noticed_before_anything_is_written(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    with pytest.raises(NoSpace, match="bytes free, the copy takes"):
        create(store.database)
    assert names(tmp_path / "m.db.backups") == []


def test_what_killed_runs_left_is_removed_by_the_next(store: MetricsStore, tmp_path: Path) -> None:
    directory = tmp_path / "m.db.backups"
    directory.mkdir()
    killed = directory / "m-20260309T120000000000.db"
    for side in ("", "-journal", "-wal", "-shm"):
        Path(f"{place.temporary_of(killed)}{side}").write_bytes(b"half")
    manifest.path_of(killed).write_bytes(b"{}")
    torn = directory / f"{killed.name}.json.4711.0a1b2c3d.tmp"
    torn.write_bytes(b"{")
    (directory / ".keep.tmp").write_bytes(b"not ours")
    (directory / "m.db.json").write_bytes(b"not ours")
    backup = create(store.database)
    assert backup.left_overs == (place.temporary_of(killed), torn)
    assert names(directory) == [
        ".keep.tmp", "m-20260310T120000000000.db", "m-20260310T120000000000.db.json", "m.db.json",
    ]  # fmt: skip


def test_the_temporary_file_of_one_who_still_works_is_left(
    store: MetricsStore, tmp_path: Path, clock: SettableClock
) -> None:
    directory = tmp_path / "m.db.backups"
    with place.opened(directory, clock.now_us()) as there:
        path = there.reserve(store.path, clock.now_us())
        assert create(store.database).left_overs == ()
        assert place.temporary_of(path).exists()
    assert create(store.database).left_overs == (place.temporary_of(path),)


def test_the_store_remembers_other_directories_newest_first_and_not_too_many(
    store: MetricsStore, tmp_path: Path
) -> None:
    create(store.database)
    for n in (*range(10), 5):
        create(store.database, tmp_path / f"d{n}")
    with store.database.read() as connection:
        found = [Path(text).name for text in manifest.remembered(connection)]
    assert found == ["d5", "d9", "d8", "d7", "d6", "d4", "d3", "d2"]


def test_a_locked_store_is_backed_up_and_only_its_memory_suffers(
    open_store: Callable[..., MetricsStore], tmp_path: Path, hold_lock: Callable[..., object]
) -> None:
    store = filled(open_store(clock=clock.Clock()))
    hold_lock(store.path)
    backup = create(store.database, tmp_path / "elsewhere")
    assert backup.manifest.rows == 300
    assert "did not take note" in backup.notes[0]
