"""What is no file, cannot be read, or has no room is not copied, and nothing of it stays."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest
from copying import Interference, Pauses

from metrics_store.errors import (
    InvalidValue,
    LegacyFileError,
    LegacyFileNotFound,
    NoSpace,
)
from metrics_store.legacy.private_copy import copy_stable


def test_a_missing_file_and_a_broken_link_are_told_apart(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(LegacyFileNotFound) as missing:
        copy_stable(tmp_path / "none.json", directory)
    (tmp_path / "link").symlink_to("gone.json")
    with pytest.raises(LegacyFileNotFound, match=r"symlink to gone\.json") as broken:
        copy_stable(tmp_path / "link", directory)
    assert missing.value.hint
    assert broken.value.hint


def test_a_circle_of_links_is_an_error(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(LegacyFileError, match="symbolic links"):
        copy_stable(tmp_path / "a", directory)


def test_a_directory_a_pipe_a_socket_and_a_device_are_refused_without_hanging(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path has little room
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path, name in (
            (tmp_path, "directory"),
            (tmp_path / "pipe", "pipe"),
            (tmp_path / "socket", "socket"),
            (Path("/dev/zero"), "device"),
        ):
            with pytest.raises(LegacyFileError, match=f"is a {name}") as caught:
                copy_stable(path, directory)
            assert caught.value.hint
    assert list(directory.iterdir()) == []


def test_a_pipe_put_in_the_place_of_the_file_does_not_hang(source: Path, directory: Path) -> None:
    source.write_bytes(b"")

    def put_a_pipe() -> None:
        source.unlink()
        os.mkfifo(source)

    with pytest.raises(LegacyFileError, match="is a pipe"):
        copy_stable(source, directory, sleep=Pauses(put_a_pipe))
    assert list(directory.iterdir()) == []


def test_a_file_that_may_not_be_read_is_a_clear_error(source: Path, directory: Path) -> None:
    source.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(LegacyFileError, match="may not be read") as caught:
            copy_stable(source, directory)
    finally:
        os.seteuid(user)
    assert caught.value.hint


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_without_room_is_noticed_before_the_copy(
    source: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = source.stat().st_size + (1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, needed - 1))
    with pytest.raises(NoSpace, match=str(needed)) as caught:
        copy_stable(source, directory)
    assert caught.value.hint
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, needed))
    copy_stable(source, directory)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left"), NoSpace),
        (OSError(errno.EIO, "Input/output error"), LegacyFileError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_in_the_middle_leaves_no_partial_copy(
    source: Path,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    def fail() -> None:
        raise failure

    Interference(monkeypatch, fail, times=1)
    with pytest.raises(raised):
        copy_stable(source, directory)
    assert list(directory.iterdir()) == []


def test_no_attempts_at_all_is_an_invalid_value(source: Path, directory: Path) -> None:
    with pytest.raises(InvalidValue):
        copy_stable(source, directory, attempts=0)


def test_copying_changes_nothing_in_the_source(source: Path, directory: Path) -> None:
    content, before = source.read_bytes(), source.stat()
    copy_stable(source, directory)
    after = source.stat()
    assert source.read_bytes() == content
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_mode, after.st_ino) == (
        before.st_mtime_ns,
        before.st_ctime_ns,
        before.st_mode,
        before.st_ino,
    )
