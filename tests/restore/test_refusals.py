"""What is not restored, each with a real file: why, and that nothing was changed."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contents import contents, record, settings_of
from kept import FIRST, Kept

from metrics_store import MetricsStore, manifest, sqlite
from metrics_store.backup import restoring
from metrics_store.errors import BackupNotFound, MetricsStoreError, RestoreRefused

Damaged = Callable[[str | os.PathLike[str]], None]


@pytest.fixture
def refused(kept: Kept) -> Iterator[Callable[[Path, str], MetricsStoreError]]:
    """Restore a file, see it refused with a reason, and the store unchanged."""
    before = contents(kept.path)
    there = sorted(os.listdir(kept.path.parent))

    def refuse(file: Path, reason: str) -> MetricsStoreError:
        for attempt in (kept.plan, kept.restore):
            with pytest.raises(MetricsStoreError, match=reason) as error:
                attempt(file)
            assert error.value.exit_code == 2
            assert error.value.hint
        return error.value

    yield refuse
    assert contents(kept.path) == before
    left = set(os.listdir(kept.path.parent)) - set(there)
    assert not [name for name in left if "restore" in name], left
    record(kept.store, ["it goes on"])


@pytest.fixture
def plain(kept: Kept, tmp_path: Path) -> Path:
    """The backup, without its manifest."""
    file = tmp_path / "plain.bak"
    shutil.copyfile(kept.backup, file)
    return file


Refused = Callable[[Path, str], MetricsStoreError]


def edit(file: Path, *statements: str) -> None:
    """Change a finished copy by SQL; it stays one file."""
    connection = sqlite.connect(str(file))
    connection.execute("PRAGMA journal_mode = DELETE")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_file_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path / "none.db", "no such backup"), BackupNotFound)
    refused(tmp_path / "m.db" / "inside", "no such backup")


def test_a_symlink_even_to_a_good_backup(refused: Refused, kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kept.backup)
    assert str(kept.backup) in refused(tmp_path / "link", "a symlink").hint


def test_a_symlink_to_nothing(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    refused(tmp_path / "link", "a symlink")


def test_a_directory(refused: Refused, tmp_path: Path) -> None:
    refused(tmp_path, "a directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_without_waiting_for_it(refused: Refused, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "a named pipe")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no such device")
def test_a_device(refused: Refused) -> None:
    refused(Path("/dev/zero"), "a device")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no such sockets")
def test_a_socket(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        refused(tmp_path / "s", "a socket")


def test_a_name_that_no_file_can_have(refused: Refused) -> None:
    refused(Path("a\0b"), "null")


def test_an_empty_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    refused(tmp_path / "empty", "is empty")


def test_the_store_itself_by_whatever_name(refused: Refused, kept: Kept, tmp_path: Path) -> None:
    refused(kept.path, "the store itself")
    refused(Path(f"{kept.path}-wal"), "the store itself")
    os.link(kept.path, tmp_path / "hard-link")
    refused(tmp_path / "hard-link", "the store itself")
    (tmp_path / "hard-link").unlink()


@pytest.mark.parametrize("content", [b"x", b"SQLite format 3\0", b"{}\n" * 5000])
def test_a_file_that_is_no_database(refused: Refused, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text").write_bytes(content)
    refused(tmp_path / "text", "not an SQLite database")


def test_the_database_of_another_program(refused: Refused, tmp_path: Path) -> None:
    edit(tmp_path / "foreign", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    refused(tmp_path / "foreign", "not a metrics store")


def test_a_store_without_a_schema(refused: Refused, plain: Path, tmp_path: Path) -> None:
    edit(tmp_path / "bare", "PRAGMA application_id = 0x4D535452", "VACUUM")
    refused(tmp_path / "bare", "no schema")


def test_a_newer_schema(refused: Refused, plain: Path) -> None:
    edit(plain, "PRAGMA user_version = 99")
    assert "pgrade" in refused(plain, "has schema 99").hint


def test_a_file_that_was_cut_off(
    refused: Refused, kept: Kept, plain: Path, damaged: Damaged
) -> None:
    damaged(kept.backup)
    os.truncate(plain, plain.stat().st_size // 2)
    refused(plain, "cut off")
    os.truncate(kept.backup, kept.backup.stat().st_size - 1)
    refused(kept.backup, "it was cut off")


def test_a_file_to_which_something_was_added(refused: Refused, kept: Kept) -> None:
    with kept.backup.open("ab") as file:
        file.write(b"\0" * 4096)
    refused(kept.backup, "something was added")


def test_a_flipped_bit_anywhere_with_a_manifest(
    refused: Refused, kept: Kept, damaged: Damaged
) -> None:
    damaged(kept.backup)
    rng = random.Random(5)
    whole = kept.backup.read_bytes()
    for place in [0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(8))]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        kept.backup.write_bytes(flipped)
        refused(kept.backup, "manifest disagree")


def test_a_flipped_bit_in_a_row_without_a_manifest(refused: Refused, plain: Path) -> None:
    content = plain.read_bytes()
    for name in FIRST[::5]:
        # Everywhere: a page that was split may still have it where nothing is any more.
        plain.write_bytes(content.replace(f'of {name}"'.encode(), f"of {name}#".encode()))
        refused(plain, "is not whole")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (
            "CREATE TRIGGER steal AFTER INSERT ON slow_call BEGIN DELETE FROM rollup; END",
            "extra_trigger.*steal",
        ),
        ("CREATE VIEW peek AS SELECT 1", "extra_view.*peek"),
        ("DROP TRIGGER skill_invocation_immutable", "missing_trigger"),
        ("DROP VIEW skill_metrics", "missing_view"),
        ("DROP INDEX skill_invocation_by_time", "missing_index"),
        ("UPDATE rollup SET n = n + 1 WHERE kind = 'total'", "rollup_differs"),
        ("UPDATE schema_migrations SET checksum = 'x' WHERE version = 2", "ledger"),
    ],
)
def test_a_schema_or_a_content_that_we_did_not_make(
    refused: Refused, plain: Path, statement: str, reason: str
) -> None:
    edit(plain, statement)
    refused(plain, reason)


def test_a_view_in_place_of_a_table_is_not_even_read(refused: Refused, plain: Path) -> None:
    edit(
        plain,
        "DROP TABLE slow_call",
        "CREATE VIEW slow_call AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT i AS id FROM n",
    )
    refused(plain, "slow_call")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', "null", "\xff"])
def test_a_manifest_that_is_torn_or_not_ours(refused: Refused, kept: Kept, text: str) -> None:
    manifest.path_of(kept.backup).write_text(text, encoding="latin-1")
    assert "aside" in refused(kept.backup, "manifest disagree").hint


def test_a_manifest_of_another_file(refused: Refused, kept: Kept, other: Path) -> None:
    shutil.copyfile(manifest.path_of(other), manifest.path_of(kept.backup))
    refused(kept.backup, "manifest disagree")


def test_a_manifest_that_is_a_symlink_or_a_pipe(refused: Refused, kept: Kept) -> None:
    beside = manifest.path_of(kept.backup)
    moved = beside.with_suffix(".moved")
    beside.rename(moved)
    beside.symlink_to(moved)
    refused(kept.backup, "manifest disagree")


def test_a_backup_with_the_journal_of_a_transaction_that_was_cut_short(
    refused: Refused, plain: Path
) -> None:
    connection = sqlite.connect(str(plain))
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA cache_size = 2")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN")
    connection.execute("UPDATE rollup SET n = n + 1, label = label || hex(zeroblob(5000))")
    torn = {side: Path(f"{plain}{side}").read_bytes() for side in ("", "-journal")}
    connection.execute("ROLLBACK")
    connection.close()
    for side, content in torn.items():
        Path(f"{plain}{side}").write_bytes(content)
    refused(plain, "cannot be read together with its log")


def test_the_file_of_a_store_that_this_process_has_open_is_read_with_its_log(
    kept: Kept, open_store: Callable[..., MetricsStore]
) -> None:
    live = open_store("live.db", new=True)
    record(live, ["seen"])
    with pytest.raises(RestoreRefused, match="of another store"):
        kept.plan(kept.path.with_name("live.db"))
    record(live, ["its locks are as they were"])


def test_a_store_of_another_program_is_not_restored_into(kept: Kept, tmp_path: Path) -> None:
    target = tmp_path / "theirs.sqlite"
    edit(target, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    before = target.read_bytes()
    for attempt in (restoring.plan, restoring.restore):
        with pytest.raises(RestoreRefused, match="another program"):
            attempt(kept.backup, settings_of(target), kept.clock)
    assert target.read_bytes() == before
