"""`vacuum`, `analyze`, `checkpoint`, `info` from the command line, and stores one may only read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics_store import MetricsStore, schema, sqlite
from metrics_store.cli.options import open_database


@pytest.fixture
def full_of_holes(filled: Path) -> Path:
    """A store with thousands of free pages."""
    with MetricsStore(filled) as store:
        store.database.write(lambda connection: connection.execute("CREATE TABLE junk (a BLOB)"))
        many = [(sqlite.binding.Binary(bytes(4000)),)] * 2000
        store.database.write(lambda c: c.executemany("INSERT INTO junk VALUES (?)", many))
        store.database.write(lambda connection: connection.execute("DROP TABLE junk"))
    return filled


@pytest.fixture
def not_mine(filled: Path) -> Iterator[Path]:
    """A store that nobody but its owner may write, in a folder likewise."""
    with MetricsStore(filled) as store:
        store.checkpoint(truncate=True)
    folder = filled.parent
    filled.chmod(0o444)
    folder.chmod(0o555)
    try:
        if os.access(filled, os.W_OK):
            pytest.skip(
                "root may write everything; tests/crash/test_permissions.py changes its user"
            )
        yield filled
    finally:
        folder.chmod(0o755)
        filled.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_space_is_given_back(call, full_of_holes: Path) -> None:
    size = full_of_holes.stat().st_size
    done = call("vacuum", "--db", full_of_holes)
    assert done.code == 0
    assert done.out.startswith("Gave 8.")
    assert "a writer waited at most" in done.out
    assert full_of_holes.stat().st_size < size / 4
    again = json.loads(call("vacuum", "--json", "--db", full_of_holes).out)
    assert (again["kind"], again["steps"], again["free_before"]) == ("incremental", 0, 0)
    assert call("vacuum", "--db", full_of_holes).out == "Nothing to give back.\n"


def test_an_old_file_is_not_shortened_piece_by_piece_and_the_way_out_is_told(
    call, full_of_holes: Path
) -> None:
    connection = sqlite.connect(str(full_of_holes))
    connection.execute("PRAGMA auto_vacuum = NONE")
    connection.execute("VACUUM")
    connection.close()
    done = call("vacuum", "--db", full_of_holes)
    assert done.code == 1
    assert "vacuum --full" in done.err
    assert call("vacuum", "--full", "--db", full_of_holes).code == 0
    assert call("vacuum", "--db", full_of_holes).code == 0


def test_statistics_are_renewed(call, filled: Path) -> None:
    assert call("analyze", "--db", filled).out.startswith("Renewed the statistics in ")
    assert json.loads(call("analyze", "--db", filled, "--json").out)["seconds"] >= 0


def test_a_checkpoint_says_what_it_folded(call, filled: Path) -> None:
    store = MetricsStore(filled)
    store.record_invocation("docs")
    done = call("checkpoint", "--db", filled)
    assert done.code == 0
    assert done.out.startswith("Folded ")
    with store.database.read():
        store.database.write(lambda c: c.execute("DELETE FROM skill_inflight"))
        kept = call("checkpoint", "--db", filled)
    assert kept.code == 1
    assert "health" in kept.err
    emptied = json.loads(call("checkpoint", "--truncate", "--json", "--db", filled).out)
    assert (emptied["truncated"], emptied["bytes_after"]) == (True, 0)


def test_info_tells_what_a_store_is_and_applies_nothing(call, filled: Path) -> None:
    done = call("info", "--db", filled)
    assert (done.code, done.err) == (0, "")
    assert "skill_invocation  14 rows" in done.out
    assert "given back beside writers" in done.out
    with open_database(filled) as database:
        schema.roll_back(database, 3)
    known = json.loads(call("info", "--json", "--db", filled).out)
    assert known["schema_version"] == 3
    assert known["store_id"] == ""
    assert set(known["logs"][0]) == {"table", "rows", "last_seq"}
    with open_database(filled) as database:
        assert schema.status(database).pending


def test_reading_goes_on_where_nothing_can_be_written(run, not_mine: Path) -> None:
    for command in ("skills list", "invocations", "info", "schema status"):
        done = run(*command.split(), "--db", not_mine)
        assert done.code == 0, done
        assert done.out
    listed = run("skills", "list", "--db", not_mine)
    assert "cannot be written" in listed.err
    for command in ("record x", "reap", "vacuum", "analyze", "checkpoint"):
        done = run(*command.split(), "--db", not_mine)
        assert done.code == 3, done
        assert "hint: " in done.err


@pytest.mark.parametrize("command", ["vacuum", "analyze", "checkpoint", "info"])
def test_there_has_to_be_a_store(call, command: str, tmp_path: Path) -> None:
    done = call(command, "--db", tmp_path / "none.db")
    assert done.code == 3
    assert "There is no store here" in done.err
    assert not (tmp_path / "none.db").exists()
