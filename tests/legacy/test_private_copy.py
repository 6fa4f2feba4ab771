"""Copying a legacy file from under its writer: whole, private, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from copying import FILES, Interference, Pauses

from metrics_store.errors import (
    FileChanging,
    NotLegacyFile,
    TornFile,
)
from metrics_store.legacy.json_file import read
from metrics_store.legacy.private_copy import PrivateCopy, copy_stable


def make_old(path: Path) -> None:
    os.utime(path, ns=(0, 1_600_000_000_000_000_000))


@pytest.mark.parametrize("age", ["fresh", "old"])
def test_a_quiet_file_is_copied_at_once_and_described(
    source: Path, directory: Path, age: str
) -> None:
    if age == "old":
        make_old(source)
    pauses = Pauses()
    copy = copy_stable(source, directory, sleep=pauses)
    content, status = source.read_bytes(), source.stat()
    assert copy.path.read_bytes() == content
    assert copy == PrivateCopy(
        copy.path,
        source,
        len(content),
        hashlib.sha256(content).hexdigest(),
        status.st_mtime_ns,
        status.st_ino,
    )
    assert copy.path.parent == directory
    assert pauses.seconds == []


def test_every_copy_has_its_own_name(source: Path, directory: Path) -> None:
    paths = {copy_stable(source, directory).path for _ in range(3)}
    assert paths == set(directory.iterdir())
    assert len(paths) == 3


def test_a_symlink_is_followed_to_the_file_itself(
    source: Path, directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(source)
    assert copy_stable(tmp_path / "first", directory).source == source.resolve()


def test_a_file_larger_than_a_block_is_copied_whole(source: Path, directory: Path) -> None:
    content = json.dumps({"invocations": ["x" * 3_000_000, "é"]}, ensure_ascii=False).encode()
    source.write_bytes(content)
    assert copy_stable(source, directory).path.read_bytes() == content


# A writer in the way -----------------------------------------------------------------------------


def test_a_torn_file_is_read_again_and_its_copy_thrown_away(source: Path, directory: Path) -> None:
    whole = source.read_bytes()
    source.write_bytes(b"")
    pauses = Pauses(
        lambda: source.write_bytes(whole[:8192]),
        # Cut behind the closing brace of a record.
        lambda: source.write_bytes(whole[: whole.index(b"}", 9000) + 1]),
        lambda: source.write_bytes(whole),
    )
    copy = copy_stable(source, directory, sleep=pauses)
    assert copy.path.read_bytes() == whole
    assert list(directory.iterdir()) == [copy.path]
    assert pauses.seconds == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("attempts", [1, 5])
def test_a_file_that_stays_torn_is_returned_and_reading_it_says_so(
    source: Path, directory: Path, attempts: int
) -> None:
    torn = (FILES / "torn.json").read_bytes()
    source.write_bytes(torn)
    pauses = Pauses()
    copy = copy_stable(source, directory, attempts=attempts, sleep=pauses)
    assert copy.path.read_bytes() == torn
    assert list(directory.iterdir()) == [copy.path]
    assert len(pauses.seconds) == attempts - 1
    with pytest.raises(TornFile):
        list(read(copy.path))


def test_a_file_that_is_torn_otherwise_each_time_is_changing(source: Path, directory: Path) -> None:
    torn = (FILES / "torn.json").read_bytes()
    source.write_bytes(torn)
    pauses = Pauses(*[lambda n=n: source.write_bytes(torn[: n * 1000]) for n in (10, 20, 30, 40)])
    with pytest.raises(FileChanging, match="in 5 attempts"):
        copy_stable(source, directory, sleep=pauses)
    assert list(directory.iterdir()) == []


def test_a_file_that_stays_empty_is_no_legacy_file(source: Path, directory: Path) -> None:
    source.write_bytes(b"")
    pauses = Pauses()
    with pytest.raises(NotLegacyFile, match="is empty"):
        copy_stable(source, directory, sleep=pauses)
    assert len(pauses.seconds) == 4
    assert list(directory.iterdir()) == []


def rewrite_without_a_trace(path: Path) -> None:
    """Other content, of the same size, within one grain of the file's time."""
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"true", b"null"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(path: Path) -> None:
    """Another file of the same name, size and time."""
    status = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


INTERFERENCES: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(path.read_bytes() + b" "),
    lambda path: path.write_bytes(b""),
    lambda path: os.utime(path),
    rewrite_without_a_trace,
    replace,
]
NAMES = ["longer", "shorter", "touched", "same size and time", "replaced"]


@pytest.mark.parametrize("interfere", INTERFERENCES, ids=NAMES)
def test_a_write_during_the_copy_makes_it_start_again(
    source: Path,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    interfere: Callable[[Path], object],
) -> None:
    if interfere not in (rewrite_without_a_trace,):
        make_old(source)
    whole = source.read_bytes()
    Interference(monkeypatch, lambda: interfere(source), times=1)
    pauses = Pauses(lambda: source.write_bytes(source.read_bytes() or whole))
    copy = copy_stable(source, directory, sleep=pauses)
    assert pauses.seconds == [0.1]
    assert copy.path.read_bytes() == source.read_bytes()
    assert copy.inode == source.stat().st_ino
    assert list(directory.iterdir()) == [copy.path]


def test_a_file_that_never_rests_is_reported_and_nothing_is_left(
    source: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Interference(monkeypatch, lambda: source.write_bytes(source.read_bytes() + b" "), times=99)
    with pytest.raises(FileChanging) as caught:
        copy_stable(source, directory, attempts=3, sleep=Pauses())
    assert caught.value.hint
    assert list(directory.iterdir()) == []


WRITER = """
import json, sys, time, pathlib
path = pathlib.Path(sys.argv[1])
generation = 1_000_000
print("ready", flush=True)
while True:
    generation += 1
    records = [{"generation": generation, "text": "x" * 100} for _ in range(500)]
    whole = json.dumps({"invocations": records, "last_updated": generation}, indent=2)
    with open(path, "w") as file:
        for begin in range(0, len(whole), 8192):
            file.write(whole[begin:begin + 8192])
            file.flush()
    # As a tracker works between two savings; without it no reader could ever see a whole file.
    time.sleep(0.002)
"""


def test_a_writer_that_rewrites_the_file_in_place_never_gives_a_torn_or_mixed_copy(
    source: Path, directory: Path
) -> None:
    source.write_text('{"invocations": [], "last_updated": 0}')
    writer = subprocess.Popen([sys.executable, "-c", WRITER, source], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        generations: set[int] = set()
        runs = 0
        while runs < 200 or len(generations) < 10:
            runs += 1
            try:
                copy = copy_stable(source, directory, attempts=50, sleep=lambda _: None)
            except FileChanging:
                continue
            except NotLegacyFile:
                # "Is empty": without pauses, a writer held up just after emptying it looks done.
                continue
            document = json.loads(copy.path.read_bytes())
            (generation,) = {record["generation"] for record in document["invocations"]} or {0}
            assert generation == document["last_updated"]
            generations.add(generation)
            copy.path.unlink()
    finally:
        writer.kill()
        writer.communicate()
    assert list(directory.iterdir()) == []
