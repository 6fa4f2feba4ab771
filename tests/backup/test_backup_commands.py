"""`backup create | list | verify | prune` on the command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Done

from metrics_store import MetricsStore, manifest, schema, sqlite
from metrics_store.backup import creating
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.settings import Settings

Call = Callable[..., Done]


@pytest.fixture
def call(call: Call) -> Call:
    """Run a command of the group on m.db, inside this process, in the test's folder."""
    return lambda *arguments: call("backup", *arguments, "--db", "m.db")


@pytest.fixture
def filled(store: MetricsStore, tmp_path: Path) -> Path:
    """A store with some records, closed; its path."""
    store.record_invocations({"skill_name": f"s{n % 3}", "duration_seconds": n} for n in range(50))
    store.track_invocation("open")
    store.close()
    return tmp_path / "m.db"


def made(path: Path, moment: str, directory: Path | None = None, **named: object) -> Path:
    """A backup that was made at another time."""
    from settable_clock import SettableClock

    database = Database(Settings(database=path), SettableClock(moment), create=False)
    try:
        return creating.create(database, directory, **named).path  # type: ignore[arg-type]
    finally:
        database.close()


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file below a folder: its inode, when it was written, and its bytes."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_create_says_what_it_made(call: Call, filled: Path) -> None:
    done = call("create")
    assert (done.code, done.err) == (0, "")
    [entry] = manifest.of_directory(filled.with_name("m.db.backups"))
    assert entry.manifest is not None
    lines = done.out.splitlines()
    assert lines[0] == "Backed up m.db"
    assert lines[1] == f"  to        m.db.backups/{entry.path.name}"
    assert "50 records, 1 in flight" in done.out
    assert "digests" in done.out
    assert "\x1b" not in done.out


def test_create_as_json_has_stable_keys(call: Call, filled: Path) -> None:
    done = call("create", "elsewhere", "--json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert list(document) == [
        "path", "manifest", "check", "seconds", "copied_in_seconds", "left_overs", "notes",
        "deleted",
    ]  # fmt: skip
    assert Path(document["path"]).parent == filled.with_name("elsewhere")
    assert document["check"]["ok"] is True


def test_create_deletes_by_the_rules_and_says_so(call: Call, filled: Path) -> None:
    old = [made(filled, f"2026-03-0{day}T12:00:00Z") for day in (1, 2, 3)]
    assert call("create", "--keep-all").code == 0
    assert all(path.exists() for path in old)
    done = call("create", "--keep-last", 2, "--keep-daily", 0, "--keep-weekly", 0)
    assert "3 older backups" in done.out
    assert [path.name in done.out for path in old] == [True] * 3
    assert not any(path.exists() for path in old)


def test_create_by_default_keeps_seven_and_more_days_and_weeks(call: Call, filled: Path) -> None:
    for month in range(1, 10):
        for hour in (10, 11):
            made(filled, f"2025-0{month}-15T{hour}:00:00Z")
    done = call("create", "--json")
    kept = [entry.made_at[5:13] for entry in manifest.of_directory(filled.parent / "m.db.backups")]
    assert kept[1:] == [
        *("09-15T11", "09-15T10", "08-15T11", "08-15T10", "07-15T11", "07-15T10"),
        *("06-15T11", "05-15T11", "04-15T11"),
    ]
    assert len(json.loads(done.out)["deleted"]) == 9


def test_create_refuses_a_damaged_store_and_copies_it_when_told_to(
    call: Call, filled: Path, damaged: Callable[[Path], None]
) -> None:
    damaged(filled)
    spoilt = sqlite.connect(str(filled))
    spoilt.execute("DELETE FROM rollup WHERE kind = 'total'")
    spoilt.close()
    done = call("create")
    assert (done.code, done.out) == (1, "")
    assert "did not pass its check" in done.err
    assert "--as-it-is" in done.err
    done = call("create", "--as-it-is")
    assert done.code == 0
    assert "kept for safety" in done.err
    [entry] = manifest.of_directory(filled.with_name("m.db.backups"))
    damaged(entry.path)
    assert entry.manifest is not None
    assert entry.manifest.reason == "before repair"
    done = call("list")
    assert "None of them is a whole backup of this store." in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "--keep-last", "-1"), "keep-last"),
        (("verify", "none.db"), "no such backup"),
        (("verify", "."), "not a regular file"),
        (("verify",), "FILE"),
    ],
)
def test_wrong_use_is_told(call: Call, filled: Path, arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "hint: " in done.err


def test_a_place_that_will_not_do_is_an_error_with_a_hint(call: Call, filled: Path) -> None:
    Path("file").write_bytes(b"")
    done = call("create", "file")
    assert (done.code, done.out) == (3, "")
    assert "hint: Name a directory" in done.err
    assert call("prune", "file").code == 3


def test_no_command_migrates_an_older_store(call: Call, filled: Path) -> None:
    database = Database(Settings(database=filled), Clock(), create=False)
    schema.roll_back(database, 3)
    database.close()
    assert call("create").code == 0
    [backup] = Path("m.db.backups").glob("*.db")
    assert manifest.read(backup).schema_version == 3
    for command in (("list",), ("prune",), ("verify", backup)):
        assert call(*command).code == 0
    found = sqlite.connect(str(filled), read_only=True)
    assert found.execute("PRAGMA user_version").fetchone() == (3,)
    found.close()


def test_reading_commands_leave_the_store_and_its_folder_as_they_were(
    call: Call, filled: Path
) -> None:
    made(filled, "2026-03-01T12:00:00Z")
    before = snapshot(filled.parent)
    backup = next(filled.parent.glob("m.db.backups/*.db"))
    for command in (("list",), ("list", "--json"), ("prune",), ("verify", backup)):
        assert call(*command).code == 0
        assert snapshot(filled.parent) == before


def test_list_shows_where_some_were_put_newest_first(call: Call, filled: Path) -> None:
    first = made(filled, "2026-03-01T12:00:00Z")
    second = made(filled, "2026-03-02T12:00:00Z")
    away = made(filled, "2026-03-03T12:00:00Z", filled.with_name("away"))
    done = call("list")
    assert (done.code, done.err) == (0, "")
    places = [done.out.index(str(path)) for path in (second, first, away)]
    assert places == sorted(places)
    assert "The newest was made" in done.out
    assert away.name in done.out.splitlines()[-1]
    assert "50" in done.out
    assert "manual" in done.out
    document = json.loads(call("list", "--json").out)
    assert document["newest"]["path"] == str(away)
    assert document["newest"]["age_seconds"] > 0
    here, _, there = document["directories"]
    assert [entry["path"] for entry in here["backups"]] == [str(second), str(first)]
    assert [entry["whole"] for entry in there["backups"]] == [True]
    assert str(first) in call("list", "m.db.backups").out
    assert str(away) not in call("list", "m.db.backups").out


def test_list_marks_what_is_not_whole(
    call: Call, filled: Path, damaged: Callable[[Path], None]
) -> None:
    cut = made(filled, "2026-03-01T12:00:00Z")
    bare = made(filled, "2026-03-02T12:00:00Z")
    damaged(cut)
    os.truncate(cut, 4096)
    manifest.path_of(bare).unlink()
    out = call("list").out
    assert "it has 4,096 bytes, not " in out
    assert "it has no manifest" in out
    assert "The newest" not in out


def test_list_works_without_the_store(call: Call, filled: Path) -> None:
    path = made(filled, "2026-03-01T12:00:00Z")
    for spoil in (lambda: filled.write_bytes(b"x" * 5000), filled.unlink):
        spoil()
        done = call("list")
        assert done.code == 0
        assert str(path) in done.out
        assert "The newest was made" in done.out
        assert "The store cannot be asked" in done.err


def test_list_says_when_there_is_none(call: Call, filled: Path) -> None:
    done = call("list")
    assert (done.code, done.out) == (0, "")
    assert "There is no backup in m.db.backups" in done.err
    assert not Path("m.db.backups").exists()
    document = json.loads(call("list", "--json").out)
    assert document["newest"] is None
    assert all(place["backups"] == [] for place in document["directories"])


def test_verify_tells_what_is_whole_from_what_is_not_by_its_exit_code(
    call: Call, filled: Path, damaged: Callable[[Path], None]
) -> None:
    path = made(filled, "2026-03-01T12:00:00Z")
    done = call("verify", path)
    assert (done.code, done.err) == (0, "")
    assert "can be relied on" in done.out
    assert manifest.read(path).sha256 in done.out
    document = json.loads(call("verify", path, "--json").out)
    assert (document["ok"], document["problems"]) == (True, [])
    damaged(path)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    done = call("verify", path)
    assert done.code == 1
    assert "is damaged" in done.out
    assert "content has changed" in done.out
    done = call("verify", path, "--json")
    assert (done.code, json.loads(done.out)["ok"]) == (1, False)


def test_verify_needs_no_store(call: Call, filled: Path) -> None:
    path = made(filled, "2026-03-01T12:00:00Z")
    filled.unlink()
    assert call("verify", path).code == 0
    assert not filled.exists()


def test_prune_only_says_what_it_would_delete_until_it_is_told_to(call: Call, filled: Path) -> None:
    paths = [made(filled, f"2026-03-0{day}T12:00:00Z") for day in (1, 2, 3)]
    away = [made(filled, f"2026-03-0{day}T12:00:00Z", Path("away")) for day in (1, 2)]
    rules = ("--keep-last", 1, "--keep-daily", 0, "--keep-weekly", 0)
    done = call("prune", *rules)
    assert done.code == 0
    assert "Would delete 3 backups" in done.err
    assert "--execute" in done.err
    assert all(path.exists() for path in (*paths, *away))
    document = json.loads(call("prune", *rules, "--json").out)
    assert document["executed"] is False
    assert [item["kept"] for item in document["directories"][0]["backups"]] == [True, False, False]
    done = call("prune", "away", *rules, "--execute")
    assert "Deleted 1 backup" in done.err
    assert [path.exists() for path in away] == [False, True]
    assert all(path.exists() for path in paths)
    assert "Deleted 2 backups" in call("prune", *rules, "--execute").err
    assert [path.exists() for path in paths] == [False, False, True]
    assert "nothing to delete" in call("prune", *rules, "--execute").err


def test_prune_leaves_the_backups_of_another_store(
    call: Call, filled: Path, open_store: Callable[..., MetricsStore]
) -> None:
    other = open_store("other.db", new=True)
    other.close()
    shared = filled.with_name("shared")
    theirs = [made(Path(other.path), f"2026-03-0{n}T12:00:00Z", shared) for n in (1, 2)]
    mine = [made(filled, f"2026-03-0{n}T12:00:00Z", shared) for n in (1, 2)]
    call("prune", "shared", "--keep-last", 1, "--keep-daily", 0, "--keep-weekly", 0, "--execute")
    assert [path.exists() for path in (*theirs, *mine)] == [True, True, False, True]


def test_names_that_mean_harm_are_shown_and_not_obeyed(
    call: Call, filled: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "m.db.backups"
    path = made(filled, "2026-03-01T12:00:00Z")
    for n, name in enumerate(("[red]x[red]", "a\x1b[31mred", "line\nbreak", "-rf", "=cmd()")):
        copy = directory / f"{name}-2026030{n + 1}T120000000000.db"
        shutil.copyfile(path, copy)
        shutil.copyfile(manifest.path_of(path), manifest.path_of(copy))
    for command in (("list",), ("list", "--json"), ("prune",), ("prune", "--json")):
        done = call(*command)
        assert done.code == 0
        assert "\x1b" not in done.out
        assert "=cmd()" in done.out
    # A heading, a title, six backups, what is wrong with five of them, and the newest one.
    assert len(call("list").out.splitlines()) == 15
