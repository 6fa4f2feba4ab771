"""Restoring where the disk is full, or may not be written: said why, and nothing changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contents import contents, ids, record, settings_of
from forked import NOBODY, in_child
from kept import FIRST, SINCE, Kept

from metrics_store import MetricsStore
from metrics_store.backup import restoring, restoring_room
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError, NoSpace
from metrics_store.integrity import check_file

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="it works in a forked child")


@needs_fork
def test_files_that_may_not_grow_fail_a_restore_whole_and_it_works_again_after(
    kept: Kept,
) -> None:
    import resource

    kept.store.close()
    size = kept.backup.stat().st_size
    before, wanted = contents(kept.path), contents(kept.backup)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Too small for anything, for the copy, for the safety copy's last page, for the log it goes by.
    limits = [200, 5_000, size // 2, size - 1, size + 1, size + size // 200, size * 2, size * 4]

    def restored_under(limit: int) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            done = restoring.restore(kept.backup, kept.settings, Clock())
        except MetricsStoreError as error:
            return type(error).__name__ if error.hint else "no hint"
        return "; ".join(done.problems) or "restored"

    said = []
    for limit in limits:
        said.append(in_child(lambda limit=limit: restored_under(limit)))  # type: ignore[misc]
        there = contents(kept.path)
        if said[-1] == "restored":
            assert there == wanted
            break
        assert there == before, (limit, said)
        assert check_file(kept.path, level="deep").ok
        assert not list(kept.path.parent.glob("*.restore"))
    assert {*said} <= {"NoSpace", "DiskFull", "RestoreFailed", "StoreNotWritable", "restored"}, said
    assert len(said) > 4
    done = restoring.restore(kept.backup, kept.settings, Clock())
    assert done.problems == ()
    assert contents(kept.path) == wanted
    with MetricsStore(kept.path) as store:
        record(store, ["after"])


def test_what_has_no_room_is_not_begun(tmp_path: Path) -> None:
    restoring_room.require({tmp_path / "not" / "there": 1})
    with pytest.raises(NoSpace, match="free, restoring takes"):
        restoring_room.require({tmp_path: 1 << 62, tmp_path / "not" / "there": 1})
    # On one file system the needs add up.
    half = os.statvfs(tmp_path)
    most = half.f_bavail * half.f_frsize
    with pytest.raises(NoSpace):
        restoring_room.require({tmp_path: most * 3 // 4, tmp_path / "there": most * 3 // 4})


def as_somebody_else(kept: Kept) -> str:
    """What a restore comes to for a user who is not the store's owner, where there is one."""
    if os.geteuid() == 0:
        for parent in [*kept.path.parents][:4]:
            parent.chmod(parent.stat().st_mode | 0o055)
        for path in (kept.backup, Path(f"{kept.backup}.json")):
            path.chmod(0o644)
        kept.backup.parent.chmod(0o755)

    def refused() -> str:
        try:
            restoring.restore(kept.backup, kept.settings, Clock())
        except MetricsStoreError as error:
            return f"{type(error).__name__} {error}; {error.hint}"
        return "restored"

    return str(in_child(refused, NOBODY))


@needs_fork
def test_a_directory_that_may_not_be_written_is_named(kept: Kept, tmp_path: Path) -> None:
    kept.store.close()
    kept.path.chmod(0o644)
    tmp_path.chmod(0o555)
    try:
        said = as_somebody_else(kept)
    finally:
        tmp_path.chmod(0o755)
    assert "Permission denied" in said
    assert "owner and mode" in said
    assert ids(kept.path) == {*FIRST, *SINCE}


@needs_fork
def test_a_store_that_may_only_be_read_is_left_as_it_is(kept: Kept, tmp_path: Path) -> None:
    kept.store.close()
    kept.path.chmod(0o444)
    tmp_path.chmod(0o777)
    kept.settings = settings_of(kept.path, backup_directory=tmp_path / "elsewhere")
    said = as_somebody_else(kept)
    kept.path.chmod(0o600)
    assert said.startswith("StoreNotWritable")
    assert "owner and mode" in said
    assert ids(kept.path) == {*FIRST, *SINCE}


def test_backups_that_may_not_be_put_anywhere_fail_it_before_anything_is_changed(
    kept: Kept, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    before = contents(kept.path)
    settings = settings_of(kept.path, backup_directory=tmp_path / "taken")
    with pytest.raises(MetricsStoreError, match="taken"):
        restoring.restore(kept.backup, settings, kept.clock)
    assert contents(kept.path) == before
    record(kept.store, ["it goes on"])


def test_an_interruption_while_the_lock_is_held_changes_nothing(kept: Kept) -> None:
    before = contents(kept.path)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "restoring" and done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restoring.restore(kept.backup, kept.settings, kept.clock, progress=interrupt)
    assert contents(kept.path) == before
    assert list(kept.backup.parent.glob("*.db")) == [kept.backup]
    assert not list(kept.path.parent.glob("*.restore"))
    record(kept.store, ["it goes on"])
    kept.restore()
    assert ids(kept.path) == {*FIRST}


def test_an_interruption_just_after_the_commit_keeps_the_copy_of_what_was_there(
    kept: Kept,
) -> None:
    committed = False

    def interrupt(stage: str, done: int, total: int) -> None:
        nonlocal committed
        if committed and stage != "restoring":
            raise KeyboardInterrupt
        committed = committed or (stage == "restoring" and done == total)

    with pytest.raises(KeyboardInterrupt):
        restoring.restore(kept.backup, kept.settings, kept.clock, progress=interrupt)
    assert ids(kept.path) == {*FIRST}
    kept.clock.advance(5)
    told = kept.undo(execute=False)
    assert (told.gained, told.findings) == (len(SINCE), ())
    assert told.reason == "before restore"  # the look put the manifest there that was missing
    kept.undo()
    assert ids(kept.path) == {*FIRST, *SINCE}


@needs_fork
def test_a_child_forked_in_the_midst_of_it_is_refused_the_store(kept: Kept) -> None:
    said: list[str] = []

    def fork(stage: str, done: int, total: int) -> None:
        if stage == "restoring" and not said:
            said.append(threaded(lambda: in_child(opened)))

    def opened() -> str:
        try:
            MetricsStore(kept.path).close()
        except MetricsStoreError as error:
            return type(error).__name__
        return "opened"

    restoring.restore(kept.backup, kept.settings, kept.clock, progress=fork)
    assert said == ["ForkedInUse"]
    assert in_child(opened) == "opened"
    assert ids(kept.path) == {*FIRST}


def threaded(work: Callable[[], Any]) -> Any:
    """What some work gives in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
