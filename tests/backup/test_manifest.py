"""The manifest beside a backup: written, read, and believed only as far as it can be."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelves import NOW, made

from metrics_store import MetricsStore, manifest
from metrics_store.errors import BackupDamaged
from metrics_store.families import FAMILIES
from metrics_store.manifest import Manifest
from metrics_store.settings import Settings

TEXT = st.text(st.characters(), max_size=20)


@given(TEXT, TEXT, st.integers(0, 2**63))
def test_what_is_written_is_what_is_read(source: str, row: str, size: int) -> None:
    directory = Path(os.environ["PYTEST_FOLDER"])
    known = made("a.db", source=source, size=size)
    known = replace(known, logs=(manifest.LogMark("skill_invocation", 1, size, row, row),))
    manifest.write(known, directory / "a.db")
    assert manifest.read(directory / "a.db") == known


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hypothesis calls a test many times with one folder.
    monkeypatch.setenv("PYTEST_FOLDER", str(tmp_path))


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    manifest.write(made("a.db"), tmp_path / "a.db")
    path = manifest.path_of(tmp_path / "a.db")
    assert path.name == "a.db.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _changed(**members: object) -> bytes:
    return json.dumps({**asdict(made("a.db")), **members}).encode()


def _without(name: str) -> bytes:
    document = asdict(made("a.db"))
    del document[name]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * 2_000_000,
        json.dumps(asdict(made("a.db"))).encode()[:-20],
        _without("sha256"),
        _without("logs"),
        _without("format"),
        _changed(format=2),
        _changed(format=True),
        _changed(sha256="0" * 63),
        _changed(sha256="G" * 64),
        _changed(size=-1),
        _changed(size="1"),
        _changed(size=1.0),
        _changed(findings=True),
        _changed(file="../a.db"),
        _changed(file="/etc/passwd"),
        _changed(file=""),
        _changed(file=".."),
        _changed(reason="for fun"),
        _changed(made_at="yesterday"),
        _changed(made_at="2026-03-10T12:00:00"),
        _changed(made_at="0001-01-01T00:00:00+23:59"),
        _changed(logs={}),
        _changed(logs=["skill_invocation"]),
        _changed(logs=[{"table": "skill_invocation"}]),
    ],
)
def test_one_that_is_torn_or_foreign_is_refused_and_shown(tmp_path: Path, raw: bytes) -> None:
    backup = tmp_path / f"m-{NOW}.db"
    backup.write_bytes(b"x")
    manifest.path_of(backup).write_bytes(raw)
    with pytest.raises(BackupDamaged):
        manifest.read(backup)
    [entry] = manifest.of_directory(tmp_path)
    assert entry.manifest is None
    assert str(manifest.path_of(backup)) in entry.problem


def test_one_that_is_missing_a_link_a_pipe_or_a_directory_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(BackupDamaged, match="no manifest"):
        manifest.read(tmp_path / "none.db")
    assert manifest.find(tmp_path / "none.db") is None
    manifest.write(made("whole.db"), tmp_path / "whole.db")
    (tmp_path / "linked.db.json").symlink_to("whole.db.json")
    os.mkfifo(tmp_path / "pipe.db.json")
    (tmp_path / "folder.db.json").mkdir()
    for name in ("linked.db", "pipe.db", "folder.db"):
        with pytest.raises(BackupDamaged):
            manifest.read(tmp_path / name)


def test_a_directory_shows_backups_newest_first_and_nothing_else(
    tmp_path: Path, shelf: Callable[..., Path]
) -> None:
    for name in ("b.db", "a.db"):
        shelf(name, made_at="2026-03-10T12:00:00.000000Z")
    shelf("old.db", made_at="2026-03-09T12:00:00.000000Z")
    unnamed = tmp_path / "m-20260310T120000000000-2.db"
    unnamed.write_bytes(b"")
    os.utime(unnamed, (0, 0))
    (tmp_path / "live.db").write_bytes(b"")
    (tmp_path / f".m-{NOW}.db.tmp").write_bytes(b"")
    (tmp_path / f"link-{NOW}.db").symlink_to("old.db")
    (tmp_path / f"folder-{NOW}.db").mkdir()
    manifest.write(made("gone.db"), tmp_path / "gone.db")
    found = manifest.of_directory(tmp_path)
    assert [entry.path.name for entry in found] == ["b.db", "a.db", "old.db", unnamed.name]
    assert found[-1].problem == "it has no manifest"
    assert found[-1].made_at == "1970-01-01T00:00:00.000000Z"
    assert not any(entry.problem for entry in found[:-1])
    assert manifest.of_directory(tmp_path / "none") == ()


def test_one_of_another_file_or_another_size_is_noticed(
    tmp_path: Path, shelf: Callable[..., Path]
) -> None:
    (tmp_path / "renamed.db").write_bytes(shelf("a.db").read_bytes())
    (tmp_path / "renamed.db.json").write_bytes((tmp_path / "a.db.json").read_bytes())
    shelf("longer.db").write_bytes(b"1234567")
    problems = {entry.path.name: entry.problem for entry in manifest.of_directory(tmp_path)}
    assert problems == {
        "a.db": "",
        "renamed.db": "its manifest is that of a.db",
        "longer.db": "it has 7 bytes, not 4",
    }


def test_the_newest_is_known_by_its_log_within_a_generation_and_by_its_moment_else(
    tmp_path: Path, shelf: Callable[..., Path]
) -> None:
    def mark(seq: int) -> tuple[manifest.LogMark, ...]:
        return (manifest.LogMark("skill_invocation", seq, seq, "x", "y"),)

    shelf("before.db", generation="g", logs=mark(5), made_at="2027-03-10T12:00:00.000000Z")
    shelf("after.db", generation="g", logs=mark(9), made_at="2026-03-10T12:00:00.000000Z")
    shelf("other.db", generation="h", logs=mark(99), made_at="2026-01-10T12:00:00.000000Z")
    shelf("foreign.db", store_id="t", generation="g", logs=mark(99))
    shelf("unsound.db", generation="g", logs=mark(99), findings=1, reason="before repair")
    shelf("cut.db", generation="g", logs=mark(99)).write_bytes(b"1")

    def file(found: Manifest | None) -> str | None:
        return None if found is None else found.file

    assert file(manifest.newest([tmp_path], "s", "g")) == "after.db"
    assert file(manifest.newest([tmp_path], "s")) == "before.db"
    assert file(manifest.newest([tmp_path, tmp_path / "none"], "s", "h")) == "other.db"
    assert manifest.newest([tmp_path], "s", "g", reasons=["cutover"]) is None
    assert manifest.newest([tmp_path / "a.db", tmp_path / "none"], "s") is None


def test_a_store_tells_how_far_its_log_goes_and_who_it_is(store: MetricsStore) -> None:
    with store.database.read() as connection:
        marks = manifest.marks(connection)
        assert marks[0] == manifest.LogMark("skill_invocation", 0, 0, "", "")
        assert {mark.table for mark in marks} == {family.table for family in FAMILIES}
    store.record_invocation("a", invocation_id="one")
    store.record_invocation("a", invocation_id="two")
    with store.database.read() as connection:
        mark, *others = manifest.marks(connection)
        assert not any(other.rows for other in others)
        assert (mark.rows, mark.last_seq, mark.last_id) == (2, 2, "two")
        assert mark.last_digest
        assert len(manifest.property_of(connection, "store_id") or "") == 32
        assert manifest.property_of(connection, "unheard of") is None


@pytest.mark.parametrize("value", ["", "{", "{}", "7", '[7, null, "relative", "/a\\u0000"]'])
def test_what_a_store_remembers_is_taken_with_care(store: MetricsStore, value: str) -> None:
    store.database.write(
        lambda c: c.execute(
            "INSERT INTO store_property (name, value) VALUES ('backup_directories', ?)", (value,)
        )
    )
    with store.database.read() as connection:
        assert manifest.remembered(connection) == ()


def test_backups_may_lie_in_the_configured_place_beside_the_json_and_where_some_were_put(
    store: MetricsStore, tmp_path: Path
) -> None:
    store.database.write(
        lambda c: c.execute(
            "INSERT INTO store_property (name, value) VALUES ('backup_directories', ?)",
            (json.dumps(["/mnt/a", str(tmp_path / "m.db.backups")]),),
        )
    )
    settings = Settings(database=tmp_path / "m.db")
    usual = (tmp_path / "m.db.backups", tmp_path / "m.db.legacy" / "backups")
    assert manifest.directories(settings) == usual
    with store.database.read() as connection:
        assert manifest.directories(settings, connection) == (*usual, Path("/mnt/a"))
