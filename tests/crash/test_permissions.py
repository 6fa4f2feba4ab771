"""Who may not write reads as far as he may, and is told what is the matter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from neighbours import RECORDS, read, state, written
from unprivileged import as_user, command

from metrics_store import MetricsStore
from metrics_store.errors import StoreNotWritable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user"
)


READING = (
    ("skills", "list"),
    ("skills", "show", "deploy"),
    ("invocations",),
    ("export",),
    ("info",),
    ("schema", "status"),
)


def test_a_store_that_may_only_be_read_is_read(db: Path) -> None:
    before = state(db.parent)
    db.chmod(0o444)
    db.parent.chmod(0o555)

    def work() -> None:
        assert written(db) == "StoreNotWritable"
        assert read(db) == RECORDS
        with MetricsStore(db, read_only=True) as store:
            with pytest.raises(StoreNotWritable):
                store.record_invocation("deploy")
            assert store.get_summary().total_invocations == RECORDS
        for words in READING:
            done = command("--db", db, *words)
            assert done.code == 0, (words, done)
            assert done.out
        assert "is read as it is" in command("--db", db, "skills", "list").err
        for words in (("record", "x"), ("reap",), ("vacuum",), ("analyze",), ("checkpoint",)):
            done = command("--db", db, *words)
            assert done.code == 3, (words, done)
            assert done.out == ""
            assert "cannot be written" in done.err
            assert "hint: " in done.err

    as_user(work)
    db.parent.chmod(0o755)
    assert state(db.parent) == before


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_even_be_read_is_told_so(db: Path, what: str) -> None:
    (db if what == "file" else db.parent).chmod(0o000)

    def work() -> None:
        for told in (read(db), written(db)):
            assert told in ("StoreNotWritable", "ReadError", "OpenError")
        for words in (*READING, ("record", "x"), ("health",)):
            done = command("--db", db, *words)
            # Of a file that it finds, health says as its one finding what the others end with.
            found = words == ("health",) and what == "file"
            assert done.code == (1 if found else 3), (words, done)
            assert "hint: " in done.err or words == ("health",), (words, done)

    as_user(work)


def test_backups_that_may_not_be_written_are_told_of(db: Path, place: Path) -> None:
    if os.geteuid() == 0:
        for owned in (db, db.parent):
            os.chown(owned, 65534, 65534)
    folder = place / "backups"
    folder.mkdir()
    folder.chmod(0o555)

    def work() -> None:
        done = command("--db", db, "backup", "create", folder)
        assert done.code == 3, done
        assert "hint: " in done.err
        assert command("--db", db, "backup", "list").code == 0

    as_user(work)
    assert list(folder.iterdir()) == []
