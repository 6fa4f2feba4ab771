"""The sink, killed at any call of the system: each line is there once, in one file."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statuses import raw

from metrics_store.snapshots import rotation
from metrics_store.snapshots.sink import SnapshotSink

_CALLS = ("open", "write", "fsync", "rename", "replace", "close", "lseek", "stat", "chmod")


def _die_at(call: int, half: int) -> None:
    """Let this process be killed at one of its calls, a write perhaps half done."""
    left = call

    def deadly(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def called(*arguments: object, **more: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                if name == "write":
                    data = bytes(arguments[1])  # type: ignore[call-overload]
                    real(arguments[0], data[: len(data) * half // 4])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return called

    for name in _CALLS:
        setattr(os, name, deadly(name))


def _append_and_die(path: str, first: int, call: int, half: int) -> list[int]:
    """In a process of its own append numbers from `first` on until it is killed; gives those that
    it had been told were appended."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(told)
            sink = SnapshotSink(path, max_mb=0.0004, fsync=bool(half % 2))
            say = os.write
            _die_at(call, half)
            for n in range(first, first + 30):
                sink.append({"files_total": n, "x": "y" * (n * 37 % 150)})
                say(tell, b"%d\n" % n)
        finally:
            os._exit(7)
    os.close(tell)
    with os.fdopen(told) as file:
        appended = [int(line) for line in file]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 7
    return appended


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """A folder for each example."""

    def numbered() -> Iterator[Path]:
        n = 0
        while True:
            n += 1
            folder = tmp_path / str(n)
            folder.mkdir()
            yield folder

    return numbered()  # type: ignore[return-value]


def _found(path: Path) -> list[int]:
    """The numbers of all whole lines of all files that a reader would take."""
    numbers = []
    for file in SnapshotSink(path).files():
        for line in raw(file).split(b"\n"):
            try:
                numbers.append(json.loads(line)["payload"]["files_total"])
            except ValueError:
                continue  # half a line, which nobody was told of
    return numbers


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 4)), min_size=1, max_size=4))
def test_killed_at_any_call_no_line_is_lost_and_none_is_there_twice(
    folders: Iterator[Path], kills: list[tuple[int, int]]
) -> None:
    folder = next(folders)
    path = folder / "s.jsonl"
    told: list[int] = []
    for turn, (call, half) in enumerate(kills):
        told += _append_and_die(str(path), turn * 100, call, half)
        found = _found(path)
        assert len(set(found)) == len(found), "a line is there twice"
        assert set(told) <= set(found), "a line is lost"
        # Beyond those that were told, at most the one that each process died with.
        assert len(found) - len(told) <= turn + 1
    last = SnapshotSink(path, max_mb=0.0004)
    last.append({"files_total": 9999})
    assert sorted(_found(path)) == sorted([*found, 9999])
    assert all(file.endswith(".gz") for file in last.files()[:-1])
    for file in last.files()[:-1]:
        gzip.decompress(Path(file).read_bytes())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_killed_at_each_call_of_one_rotation_the_lines_are_in_one_file(tmp_path: Path) -> None:
    met = set()
    call, told = 0, []
    while not told:
        folder = tmp_path / str(call)
        folder.mkdir()
        sink = SnapshotSink(folder / "s.jsonl")
        for n in (1, 2):
            sink.append({"files_total": n, "x": "y" * 150})
        told = _append_and_die(str(folder / "s.jsonl"), 3, call, 2)[:1]
        assert sorted(_found(folder / "s.jsonl"))[:2] == [1, 2]
        met |= {
            (_kind(name.name), name.read_bytes()[:2] == rotation.GZIP) for name in folder.iterdir()
        }
        call += 1
    # So that this is not blind: every state on the way was really met.
    assert {("aside", False), ("aside", True), ("compressed", True)} <= met
    assert {("temporary", False)} <= met or {("temporary", True)} <= met
    assert call > 15


def _kind(name: str) -> str:
    if name.endswith((".gz", ".tmp")):
        return "compressed" if name.endswith(".gz") else "temporary"
    return "aside" if "T" in name else "sink"
