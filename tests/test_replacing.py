"""Replacing a file whole: a reader, and a crash, sees the old content or the new one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

from metrics_store.replacing import replace_text, replaced, sync_directory

Python = Callable[..., subprocess.CompletedProcess[str]]
_ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_file_is_made_with_the_mode_that_was_asked_for(file: Path) -> None:
    old = os.umask(0o077)
    try:
        replace_text(file, "é\n", mode=0o644)
    finally:
        os.umask(old)
    assert file.read_bytes() == "é\n".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    replace_text(file.with_name("private"), "")
    assert stat.S_IMODE(file.with_name("private").stat().st_mode) == 0o600
    assert names(file.parent) == {"file.json", "private"}


@pytest.mark.parametrize("mode", [0o664, 0o600, 0o444, 0o2775])
def test_the_mode_of_a_file_that_is_there_is_kept(file: Path, mode: int) -> None:
    file.write_text("old")
    file.chmod(mode)
    replace_text(file, "new", mode=0o600)
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert file.read_text() == "new"


@_ONLY_ROOT
def test_the_owner_of_a_file_that_is_there_is_kept(file: Path) -> None:
    file.write_text("old")
    os.chown(file, 65534, 65533)
    file.chmod(0o2755)
    replace_text(file, "new")
    status = file.stat()
    assert (status.st_uid, status.st_gid) == (65534, 65533)
    assert stat.S_IMODE(status.st_mode) == 0o2755


def test_through_a_symlink_its_target_is_replaced(file: Path, tmp_path: Path) -> None:
    file.write_text("old")
    link, chain = tmp_path / "link", tmp_path / "chain"
    link.symlink_to(file)
    chain.symlink_to("link")
    replace_text(chain, "new")
    assert chain.is_symlink()
    assert link.is_symlink()
    assert not file.is_symlink()
    assert file.read_text() == "new"


def test_a_symlink_that_leads_nowhere_yet_gets_its_target(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    replace_text(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_line_ends_and_nul_are_written_as_they_are(file: Path) -> None:
    replace_text(file, "a\r\nb\n\0\u2028")
    assert file.read_bytes() == "a\r\nb\n\0\u2028".encode()


def test_an_error_while_it_is_written_leaves_what_was_there(file: Path) -> None:
    file.write_text("old")

    def fail() -> None:
        with replaced(file) as new:
            new.write("half of the new")
            raise KeyError("in the midst")

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(UnicodeEncodeError):
        replace_text(file, "half a character: \ud800")
    assert file.read_text() == "old"
    assert names(file.parent) == {"file.json"}


@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_is_no_file_is_not_replaced(file: Path, what: str) -> None:
    file.mkdir() if what == "folder" else os.mkfifo(file)
    with pytest.raises(OSError, match="not a regular file"):
        replace_text(file, "new")
    assert names(file.parent) == {"file.json"}


def test_a_folder_that_is_missing_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_text(tmp_path / "gone" / "file", "new")


def test_a_full_disk_leaves_what_was_there_and_no_litter(file: Path, python: Python) -> None:
    file.write_text("old")
    code = """
import resource, sys
from metrics_store.replacing import replace_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    replace_text(sys.argv[1], "x" * 5000)
except OSError as error:
    print(error.strerror)
"""
    assert python(code, file).stdout == "File too large\n"
    assert file.read_text() == "old"
    assert names(file.parent) == {"file.json"}


_REPLACE = """
import sys
from metrics_store.replacing import replace_text
n = 0
while True:
    n += 1
    replace_text(sys.argv[1], f"{n} " * 20_000)
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_the_old_content_or_the_new_one(file: Path) -> None:
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _REPLACE, str(file)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        ) as writer:
            assert writer.stdout is not None
            last = [writer.stdout.readline() for _ in range(5)][-1]
            writer.kill()
            last = (writer.stdout.read().split() or [last])[-1]
        words = file.read_text().split()
        assert len(set(words)) == 1
        assert len(words) == 20_000
        # What was acknowledged is there; one more may have been under way.
        assert int(last) <= int(words[0]) <= int(last) + 1


def test_a_reader_never_sees_part_of_it(file: Path) -> None:
    replace_text(file, "0" * 100_000)
    stop = threading.Event()
    seen: list[set[str]] = []

    def read() -> None:
        while not stop.is_set():
            text = file.read_text()
            if len(text) != 100_000 or len(set(text)) != 1:
                seen.append(set(text))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(60):
        replace_text(file, str(n % 10) * 100_000)
    stop.set()
    reader.join()
    assert seen == []


def test_writers_at_once_each_replace_it_whole(file: Path) -> None:
    threads = [
        threading.Thread(
            target=lambda word=word: [replace_text(file, word * 50_000) for _ in range(10)]
        )  # type: ignore[misc]
        for word in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(file.read_text())) == 1
    assert names(file.parent) == {"file.json"}


def test_a_folder_can_be_synced_and_one_that_is_gone_is_said(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "gone")
