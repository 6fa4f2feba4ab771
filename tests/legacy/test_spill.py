"""The spill: what the store did not take waits on the disk, whole or not, and leaves it once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path
from hypothesis import given
from hypothesis import strategies as st
from leaving import refused

from metrics_store.errors import LegacyNotWritable
from metrics_store.legacy import spill
from metrics_store.legacy.calls import Call
from metrics_store.legacy.spill import Spilled

Python = Callable[..., subprocess.CompletedProcess[str]]


def spilled(name: str, **more: object) -> Spilled:
    values = {
        "id": name,
        "skill_name": "x",
        "workflow_path": None,
        "raw_invoked_at": "2026-03-10T12:00:00",
        "invoked_us": 1,
        "completed": True,
        "duration_seconds": 0.5,
        "follow_up_actions": ("a", "b"),
        "error_type": None,
    }
    call = Call(**{**values, **more})  # type: ignore[arg-type]
    return Spilled(call, True, "StoreBusy: waited", "2026-03-10T12:00:00.000000Z")


@pytest.fixture
def json_file(tmp_path: Path) -> Path:
    return tmp_path / "m.json"


@pytest.fixture
def file(json_file: Path) -> Path:
    return Path(spill.spill_path(json_file))


def names(json_file: Path) -> list[str]:
    return [one.call.id for one in spill.contents(json_file).waiting]


def replayed(json_file: Path) -> list[str]:
    taken: list[str] = []
    spill.replay(json_file, lambda one: taken.append(one.call.id))
    return taken


def test_nothing_waits_where_nothing_was_spilled(json_file: Path) -> None:
    assert len(spill.contents(json_file)) == 0
    assert replayed(json_file) == []


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(text, st.none() | text, st.lists(text, max_size=3), st.none() | text, st.floats(0, 1e9))
def test_a_record_comes_back_as_it_was(
    tmp_path: Path,
    skill: str,
    path: str | None,
    actions: list[str],
    error: str | None,
    seconds: float,
) -> None:
    one = spilled(
        "a", skill_name=skill, workflow_path=path, follow_up_actions=tuple(actions),
        error_type=error, duration_seconds=seconds, session_id=path, attributes='{"é": [1]}',
    )  # fmt: skip
    json_file = tmp_path / "given.json"
    spill.add(json_file, one)
    spill.add(json_file, spilled("b"))
    found: list[Spilled] = []
    assert spill.replay(json_file, found.append) == 2
    assert found == [one, spilled("b")]
    assert len(spill.contents(json_file)) == 0


def test_records_leave_in_the_order_they_came_and_the_file_goes(json_file: Path) -> None:
    for name in "abc":
        spill.add(json_file, spilled(name))
    assert replayed(json_file) == ["a", "b", "c"]
    assert [p.name for p in json_file.parent.iterdir()] == ["m.json.spill.jsonl.lock"]


def test_it_is_private(json_file: Path, file: Path) -> None:
    spill.add(json_file, spilled("a"))
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_symlinked_legacy_file_has_one_spill(json_file: Path, tmp_path: Path) -> None:
    json_file.touch()
    link = tmp_path / "link.json"
    link.symlink_to(json_file)
    spill.add(link, spilled("a"))
    assert names(json_file) == ["a"]


def test_a_torn_last_line_swallows_neither_the_next_record_nor_itself(
    json_file: Path, file: Path
) -> None:
    spill.add(json_file, spilled("a"))
    spill.add(json_file, spilled("b"))
    file.write_bytes(file.read_bytes()[:-30])
    spill.add(json_file, spilled("c"))
    assert names(json_file) == ["a", "c"]
    assert len(spill.contents(json_file).damaged) == 1
    assert replayed(json_file) == ["a", "c"]
    assert len(spill.contents(json_file).damaged) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b'"x"', b'"y"'),  # whole JSON, and not what was written
        lambda line: b"\xff\xfe" + line[2:],
        lambda line: b"\x00" * len(line),
        lambda line: line[:40] + b"\x0b\x1c\x85" + line[43:],
        lambda line: b"[]",
    ],
)
def test_a_damaged_line_is_counted_and_kept_byte_for_byte_until_it_is_set_aside(
    json_file: Path, file: Path, damage: Callable[[bytes], bytes]
) -> None:
    for name in "abc":
        spill.add(json_file, spilled(name))
    lines = file.read_bytes().splitlines()
    lines[1] = damage(lines[1])
    file.write_bytes(b"\n".join(lines) + b"\n")
    assert len(spill.contents(json_file)) == 3
    assert replayed(json_file) == ["a", "c"]
    (left,) = spill.contents(json_file).damaged
    assert left.encode("utf-8", "surrogateescape") == lines[1]
    kept: list[str] = []
    assert spill.set_aside(json_file, kept.append) == 1
    assert [line.encode("utf-8", "surrogateescape") for line in kept] == [lines[1]]
    assert len(spill.contents(json_file)) == 0


def test_what_comes_after_a_damaged_line_is_replayed_though_that_line_still_waits(
    json_file: Path, file: Path
) -> None:
    file.write_text("what a full disk left\n")
    assert replayed(json_file) == []
    spill.add(json_file, spilled("a"))
    assert replayed(json_file) == ["a"]
    assert len(spill.contents(json_file).damaged) == 1


def test_what_is_refused_stays_and_what_was_taken_before_it_has_left(json_file: Path) -> None:
    for name in "abcd":
        spill.add(json_file, spilled(name))

    def take(one: Spilled) -> None:
        if one.call.id == "c":
            raise ConnectionError("the store is gone")

    with pytest.raises(ConnectionError):
        spill.replay(json_file, take)
    assert names(json_file) == ["c", "d"]
    assert replayed(json_file) == ["c", "d"]


def test_nobody_who_spills_waits_for_a_replay(json_file: Path) -> None:
    spill.add(json_file, spilled("a"))
    taking, go_on = threading.Event(), threading.Event()
    taken: list[str] = []

    def take(one: Spilled) -> None:
        taking.set()
        assert go_on.wait(30)
        taken.append(one.call.id)

    replay = threading.Thread(target=spill.replay, args=(json_file, take))
    replay.start()
    assert taking.wait(30)
    spill.add(json_file, spilled("b"), patience=0.0)
    assert names(json_file) == ["a", "b"]
    go_on.set()
    replay.join()
    assert taken + replayed(json_file) == ["a", "b"]


_REPLAY_AND_DIE = """
import os, signal, sys
from metrics_store.legacy import spill
left = [int(sys.argv[2])]
def take(one):
    print(one.call.id, flush=True)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
spill.replay(sys.argv[1], take)
"""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_replay_that_is_killed_loses_nothing(json_file: Path, python: Python, after: int) -> None:
    for name in "abc":
        spill.add(json_file, spilled(name))
    done = python(_REPLAY_AND_DIE, json_file, after, check=False)
    assert done.returncode == -9
    spill.add(json_file, spilled("d"))
    # Taken twice is taken once: every record has its call's id.
    assert names(json_file) == ["a", "b", "c", "d"]
    assert replayed(json_file) == ["a", "b", "c", "d"]


_SPILL = """
import sys
sys.path.insert(0, sys.argv[2])
from test_spill import spilled
from metrics_store.legacy import spill
n = 0
while True:
    spill.add(sys.argv[1], spilled(f"{n}", attributes="x" * 5000))
    print(n, flush=True)
    n += 1
"""


def test_a_process_killed_while_it_spills_leaves_all_that_it_acknowledged(
    json_file: Path, file: Path, tmp_path: Path
) -> None:
    here = str(Path(__file__).parent)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _SPILL, str(json_file), here],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{python_path()}:{here}"},
        ) as runner:
            assert runner.stdout is not None
            acknowledged = [runner.stdout.readline() for _ in range(20)]
            runner.kill()
            acknowledged += runner.stdout.read().split("\n")[:-1]
        assert names(json_file) == [str(n) for n in range(len(names(json_file)))]
        assert len(names(json_file)) >= len(acknowledged)
        file.unlink()


def test_a_spill_that_cannot_be_written_or_read_says_so(json_file: Path, file: Path) -> None:
    file.mkdir()
    assert isinstance(refused(lambda: spill.add(json_file, spilled("a"))), LegacyNotWritable)
    assert isinstance(refused(lambda: spill.contents(json_file)), LegacyNotWritable)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nobody says what a handle is of")
def test_the_first_record_is_on_the_disk_with_the_name_of_its_file(
    json_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    path = os.path.realpath(spill.spill_path(json_file))
    spill.add(json_file, spilled("a"))
    assert synced == [path, os.path.dirname(path)]
    spill.add(json_file, spilled("b"))
    assert synced[2:] == [path]


def test_a_full_disk_tears_no_record_that_was_there(json_file: Path, python: Python) -> None:
    spill.add(json_file, spilled("a"))
    code = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from test_spill import spilled
from metrics_store.errors import LegacyNotWritable
from metrics_store.legacy import spill
resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
try:
    spill.add(sys.argv[1], spilled("b", attributes="y" * 1000))
except LegacyNotWritable as error:
    print(error.detail)
"""
    done = python(code, json_file, Path(__file__).parent)
    assert "File too large" in done.stdout
    spill.add(json_file, spilled("c"))
    assert names(json_file) == ["a", "c"]
    assert spill.contents(json_file).damaged == ()
