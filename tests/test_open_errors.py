"""What keeps a store from being opened is told by name, and a file of somebody else's is left."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import MetricsStore, location, sqlite
from metrics_store.errors import (
    CorruptStore,
    ForeignDatabase,
    OpenError,
    StoreNotFound,
    StoreNotWritable,
    UnsafeFilesystem,
)

Open = Callable[..., MetricsStore]
Damaged = Callable[[object], None]
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".db-shm"}


def test_a_missing_file_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound) as caught:
        MetricsStore(tmp_path / "no" / "m.db", create=False)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_new_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = MetricsStore(tmp_path / "a" / "b" / "m.db")
    finally:
        os.umask(before)
    store.record_invocation("deploy")
    for file in (tmp_path / "a" / "b").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


@posix
def test_the_mode_of_a_file_that_was_there_is_kept(tmp_path: Path, open_store: Open) -> None:
    path = Path(open_store().path)
    path.chmod(0o664)
    MetricsStore(path).record_invocation("deploy")
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="a directory"):
        MetricsStore(tmp_path)


@posix
def test_a_named_pipe_is_refused_without_waiting_for_its_other_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.db")
    with pytest.raises(OpenError, match="a named pipe"):
        MetricsStore(tmp_path / "m.db")


@posix
def test_a_symlink_is_followed_once_and_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "far" / "m.db")
    store = MetricsStore(link)
    store.record_invocation("deploy")
    assert link.is_symlink()
    assert store.path == str(tmp_path / "far" / "m.db")


@posix
def test_a_symlink_to_itself_is_an_open_error(tmp_path: Path) -> None:
    (tmp_path / "m.db").symlink_to("m.db")
    with pytest.raises(OpenError):
        MetricsStore(tmp_path / "m.db")


def test_a_file_as_directory_is_an_open_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(OpenError):
        MetricsStore(tmp_path / "a" / "m.db")


@pytest.mark.parametrize(
    "name", ["it's.db", 'a "b".db', "a\nb.db", "é😀.db", "q?x=1#%41.db", " .db"]
)
def test_any_name_can_be_the_name_of_a_store(tmp_path: Path, name: str) -> None:
    store = MetricsStore(tmp_path / name)
    store.record_invocation("deploy")
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert MetricsStore(tmp_path / name).get_summary().total_invocations == 1


@pytest.mark.parametrize("content", [b"not a database\n" * 1000, b"{}", b"SQLite format 3\0" * 9])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    with pytest.raises(OpenError):
        MetricsStore(path)
    assert _bytes(tmp_path) == {"m.db": content}


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "m.db").touch()
    MetricsStore(tmp_path / "m.db").record_invocation("deploy")


def _foreign(path: Path, script: str) -> dict[str, bytes]:
    """Make a database of another program, in another process that ends without closing it."""
    code = "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    subprocess.run([sys.executable, "-c", f"{code}{script}\nos._exit(0)", str(path)], check=True)
    return _bytes(path.parent)


@pytest.mark.parametrize(
    "script",
    [
        "c.execute('CREATE TABLE t (x)')",
        "c.execute('PRAGMA application_id = 77')",
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('CREATE TABLE t (x)')",
    ],
    ids=["a table", "an application id", "a table in the WAL"],
)
def test_a_foreign_database_keeps_every_byte(tmp_path: Path, script: str) -> None:
    before = _foreign(tmp_path / "m.db", script)
    with pytest.raises(ForeignDatabase) as caught:
        MetricsStore(tmp_path / "m.db")
    assert caught.value.hint
    assert _bytes(tmp_path) == before


def _filled(open_store: Open) -> Path:
    store = open_store()
    store.record_invocations(
        {"skill_name": f"s{n % 9}", "attributes": {"x": "y" * 300}} for n in range(2000)
    )
    store.close()
    return Path(store.path)


def test_a_damaged_page_is_an_error_when_it_is_read(open_store: Open, damaged: Damaged) -> None:
    path = _filled(open_store)
    damaged(path)
    connection = sqlite.connect(str(path))
    page = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'rollup'"
    ).fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    store = MetricsStore(path)
    with pytest.raises(CorruptStore):
        store.get_all_metrics()
    with pytest.raises(CorruptStore):
        store.record_invocation("deploy")
    with pytest.raises(CorruptStore):
        store.get_skill_metrics("s1")


@pytest.mark.parametrize("part", [0.5, 0.1])
def test_a_truncated_file_is_an_error(open_store: Open, damaged: Damaged, part: float) -> None:
    path = _filled(open_store)
    damaged(path)
    os.truncate(path, int(path.stat().st_size * part))
    with pytest.raises((CorruptStore, OpenError)):
        MetricsStore(path).get_all_metrics()


def test_a_damaged_header_is_an_error(open_store: Open, damaged: Damaged) -> None:
    path = _filled(open_store)
    damaged(path)
    with path.open("r+b") as file:
        file.write(b"\0" * 16)
    with pytest.raises(OpenError):
        MetricsStore(path)


def test_a_network_file_system_is_refused_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location, "_filesystem", lambda path: "nfs4")
    with pytest.raises(UnsafeFilesystem) as caught:
        MetricsStore(tmp_path / "m.db")
    assert "allow_network_filesystem" in caught.value.hint
    monkeypatch.setenv("METRICS_STORE_ALLOW_NETWORK_FILESYSTEM", "1")
    MetricsStore(tmp_path / "m.db").record_invocation("deploy")


@posix
@pytest.mark.parametrize("what", ["new", "folder", "file"])
def test_what_may_not_be_written_is_told_at_once(
    tmp_path: Path, open_store: Open, what: str
) -> None:
    path = Path(open_store().path)
    path.with_suffix(".db").touch()
    folder = tmp_path / "read only"
    folder.mkdir()
    if what != "new":
        os.link(path, folder / "m.db")
    if what == "file":
        (folder / "m.db").chmod(0o444)
        os.chown(folder, 65534 if os.geteuid() == 0 else -1, -1)
    else:
        folder.chmod(0o555)
    target = folder / ("new.db" if what == "new" else "m.db")
    assert _as_nobody(tmp_path, target) == "StoreNotWritable"
    folder.chmod(0o755)


def _as_nobody(top: Path, target: Path) -> str:
    """The error's name when a user opens a store; root, who may do everything, becomes nobody."""
    for parent in (top, *top.parents):
        if os.geteuid() == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            MetricsStore(target).record_invocation("deploy")
            said = "nothing"
        except BaseException as error:
            said = type(error).__name__ if isinstance(error, StoreNotWritable) else repr(error)
        os.write(sending, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(sending)
    with os.fdopen(receiving, encoding="utf-8") as pipe:
        return pipe.read()
