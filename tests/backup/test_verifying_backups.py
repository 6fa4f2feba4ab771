"""Verifying a backup: what is whole is said to be, and every damage is found."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from metrics_store import MetricsStore, manifest, sqlite
from metrics_store.backup.creating import create
from metrics_store.backup.verifying import Verified, verify
from metrics_store.errors import BackupNotFound


@pytest.fixture
def backup(store: MetricsStore, damaged: Callable[[Path], None]) -> Path:
    """A backup that may be damaged."""
    store.record_invocations(
        {"skill_name": f"s{n % 5}", "duration_seconds": n, "attributes": {"note": "x" * 200}}
        for n in range(200)
    )
    path = create(store.database).path
    damaged(path)
    return path


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a directory, with its bytes and when it was written."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in directory.iterdir()}


def test_a_whole_backup_is_said_to_be_and_nothing_is_written(backup: Path) -> None:
    before = contents(backup.parent)
    found = verify(backup)
    assert found.ok
    assert (found.problems, found.notes) == ((), ())
    assert found.manifest == manifest.read(backup)
    assert contents(backup.parent) == before


def test_every_flipped_bit_is_found(backup: Path) -> None:
    whole = backup.read_bytes()
    rng = random.Random(4)
    for _ in range(20):
        torn = bytearray(whole)
        torn[rng.randrange(len(torn))] ^= 1 << rng.randrange(8)
        backup.write_bytes(torn)
        found = verify(backup)
        assert not found.ok
        assert "content has changed" in found.problems[0]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 4096, 10_000, -1, -4096])
def test_one_that_was_cut_off_is_found(backup: Path, size: int) -> None:
    os.truncate(backup, size if size >= 0 else backup.stat().st_size + size)
    found = verify(backup)
    assert not found.ok
    assert "when it was made" in found.problems[0]


def test_one_without_a_manifest_is_judged_by_its_content(backup: Path) -> None:
    manifest.path_of(backup).unlink()
    found = verify(backup)
    assert found.ok
    assert (found.manifest, found.problems) == (None, ())
    assert found.notes == ("It has no manifest: whether it is what it was cannot be told.",)
    spoilt = sqlite.connect(str(backup))
    spoilt.execute("UPDATE rollup SET n = n + 1 WHERE kind = 'total'")
    spoilt.close()
    found = verify(backup)
    assert not found.ok
    assert "rollup_differs" in found.report.kinds


def test_a_torn_or_foreign_manifest_is_a_problem(backup: Path, tmp_path: Path) -> None:
    beside = manifest.path_of(backup)
    text = beside.read_bytes()
    for torn in (b"", text[:50], b"[]", b'{"format": 1}'):
        beside.write_bytes(torn)
        found = verify(backup)
        assert not found.ok
        assert found.manifest is None
        assert str(beside) in found.problems[0]
    beside.unlink()
    beside.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(text)
    assert not verify(backup).ok


def test_the_manifest_of_another_backup_is_a_problem_and_a_new_name_is_none(
    backup: Path, store: MetricsStore
) -> None:
    store.record_invocation("one more")
    other = create(store.database).path
    beside = manifest.path_of(backup)
    beside.write_bytes(manifest.path_of(other).read_bytes())
    assert verify(backup).problems == (f"Its manifest is that of {other.name}.",)
    renamed = other.with_name("renamed.db")
    shutil.copyfile(other, renamed)
    shutil.copyfile(manifest.path_of(other), manifest.path_of(renamed))
    found = verify(renamed)
    assert found.ok
    assert found.notes == (f"It was called {other.name} when it was made.",)


def test_a_manifest_whose_hash_was_edited_too_still_meets_the_check_of_the_content(
    backup: Path,
) -> None:
    spoilt = sqlite.connect(str(backup))
    spoilt.execute("DELETE FROM rollup WHERE kind = 'total'")
    spoilt.close()
    found = verify(backup)
    known = replace(manifest.read(backup), sha256=found.sha256, size=found.size)
    manifest.write(known, backup)
    found = verify(backup)
    assert not found.problems
    assert not found.ok


def test_a_copy_for_safety_of_a_damaged_store_says_what_it_is(
    store: MetricsStore, tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    damaged(tmp_path / "m.db")
    store.record_invocation("deploy")
    store.database.write(lambda c: c.execute("DELETE FROM rollup WHERE kind = 'total'"))
    path = create(store.database, reason="before repair").path
    damaged(path)
    found = verify(path)
    assert not found.ok
    assert "made before repair" in found.notes[0]


def test_what_cannot_be_a_backup_is_refused(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("none")
    for name in ("none", "folder", "pipe", "nowhere", "m.db/below"):
        with pytest.raises(BackupNotFound):
            verify(tmp_path / name)


def test_a_live_store_is_never_read_raw(store: MetricsStore, tmp_path: Path) -> None:
    store.record_invocation("deploy")
    for path in (tmp_path / "m.db", tmp_path / "link.db"):
        if not path.exists():
            path.symlink_to("m.db")
        with pytest.raises(BackupNotFound, match="in use") as refused:
            verify(path)
        assert "metrics-store check" in refused.value.hint


def test_a_link_to_a_backup_leads_to_it_and_its_manifest(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(backup)
    found: Verified = verify(tmp_path / "latest")
    assert (found.ok, found.path, found.manifest) == (True, backup, manifest.read(backup))
