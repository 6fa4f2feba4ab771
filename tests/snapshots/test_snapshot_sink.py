"""The sink: what went in comes out, each line once, whoever writes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock
from statuses import HOSTILE, SHORT, raw, written

from metrics_store import MetricsStore
from metrics_store.errors import InvalidSetting, InvalidValue, WriteError
from metrics_store.snapshots.sink import SnapshotSink


def payloads(sink: SnapshotSink) -> list[object]:
    return [line["payload"] for line in written(sink.files())]


def test_a_line_has_an_id_its_moment_and_what_was_said_to_the_letter(
    tmp_path: Path, clock: SettableClock
) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl", clock=clock)
    one = sink.append(SHORT, zone="Europe/Berlin")
    two = sink.append('{\n  "files_total": 1.0,\r\n  "x": 1.10\n}')
    three = sink.append({"files_total": 3}, "2026-01-01T00:00:00Z")
    now = '"appended_at":"2026-03-10T12:00:00.000000Z","payload":'
    assert (tmp_path / "s.jsonl").read_bytes().decode() == (
        f'{{"id":"{one.id}","recorded_at":"2026-02-06T10:00:00.000000Z",{now}{SHORT}}}\n'
        f'{{"id":"{two.id}","recorded_at":"2026-03-10T12:00:00.000000Z",{now}'
        f'{{   "files_total": 1.0,    "x": 1.10 }}}}\n'
        f'{{"id":"{three.id}","recorded_at":"2026-01-01T00:00:00.000000Z",{now}'
        f'{{"files_total":3}}}}\n'
    )
    assert (tmp_path / "s.jsonl").stat().st_mode & 0o777 == 0o600 or sys.platform == "win32"
    assert one.rotated_to is None


def test_hostile_names_stay_in_their_line(tmp_path: Path) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl", fsync=False)
    for name in HOSTILE:
        sink.append({"idx_file": name, name: name})
    assert payloads(sink) == [{"idx_file": name, name: name} for name in HOSTILE]


def test_a_new_day_begins_a_new_file_and_the_old_one_is_compressed(
    tmp_path: Path, clock: SettableClock
) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl", daily=True, clock=clock)
    for day in range(3):
        clock.set(f"2026-03-1{day}T00:00:00Z")
        done = sink.append({"files_total": day}, "1999-01-01T00:00:00Z")
        clock.set(f"2026-03-1{day}T23:59:59.999999Z")
        # The day is that of writing, of whichever moment the snapshot is.
        late = sink.append({"files_total": day + 10}, "2025-01-01T00:00:00Z")
        assert late.rotated_to is None
        assert (done.rotated_to is None) == (day == 0)
    assert [Path(file).name for file in sink.files()] == [
        "s.jsonl.20260311T000000000000.gz",
        "s.jsonl.20260312T000000000000.gz",
        "s.jsonl",
    ]
    assert [said["files_total"] for said in payloads(sink)] == [0, 10, 1, 11, 2, 12]  # type: ignore[index]
    for file in sink.files()[:2]:
        assert Path(file).stat().st_mode & 0o777 == 0o600 or sys.platform == "win32"


def test_a_file_of_other_lines_is_as_old_as_its_last_change(
    tmp_path: Path, clock: SettableClock
) -> None:
    (tmp_path / "s.jsonl").write_text(f"{SHORT}\n")
    os.utime(tmp_path / "s.jsonl", (1, 1))
    sink = SnapshotSink(tmp_path / "s.jsonl", daily=True, clock=clock)
    assert sink.append(SHORT, zone="UTC").rotated_to
    assert raw(sink.files()[0]) == f"{SHORT}\n".encode()


def test_a_file_does_not_grow_past_its_size(tmp_path: Path, clock: SettableClock) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl", max_mb=0.001, fsync=False, clock=clock)
    for n in range(40):
        sink.append({"files_total": n, "x": "y" * (n * 7 % 300)})
    files = sink.files()
    assert len(files) > 8
    assert all(file.endswith(".gz") for file in files[:-1])
    assert max(len(raw(file)) for file in files) <= 1000
    assert [said["files_total"] for said in payloads(sink)] == list(range(40))  # type: ignore[index]
    # A line that is larger than a file may be has one of its own.
    sink.append({"files_total": 40, "x": "y" * 2000})
    assert len(payloads(sink)) == 41


def test_what_is_no_json_object_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl")
    for wrong in ("[]", "{", b"\xff", 3, {"x": float("nan")}, {"ts": "soon"}):
        with pytest.raises(InvalidValue):
            sink.append(wrong)  # type: ignore[arg-type]
    assert sink.files() == []
    for size in (0, -1, float("nan"), 1e12):
        with pytest.raises(InvalidSetting):
            SnapshotSink(tmp_path / "s.jsonl", max_mb=size)


def test_a_half_line_of_a_killed_process_does_not_swallow_the_next(tmp_path: Path) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl")
    sink.append({"files_total": 1})
    with (tmp_path / "s.jsonl").open("a") as file:
        file.write('{"id":"x","reco')
    sink.append({"files_total": 2})
    lines = (tmp_path / "s.jsonl").read_text().splitlines()
    assert lines[1] == '{"id":"x","reco'
    assert len(lines) == 3
    assert json.loads(lines[2])["payload"] == {"files_total": 2}


@pytest.mark.skipif(sys.platform == "win32", reason="symlinks")
def test_a_symlink_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "s.jsonl").symlink_to(tmp_path / "there" / "real.jsonl")
    sink = SnapshotSink(tmp_path / "s.jsonl", max_mb=0.0001)
    for n in range(3):
        sink.append({"files_total": n})
    assert (tmp_path / "s.jsonl").is_symlink()
    assert len(payloads(sink)) == 3
    assert all(Path(file).parent.name == "there" for file in sink.files())


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a pipe with a name")
def test_what_is_no_file_and_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "nowhere" / "s.jsonl", tmp_path):
        with pytest.raises(WriteError) as caught:
            SnapshotSink(path, patience=0.2).append(SHORT)
        assert caught.value.hint


_LIMITED = """
import resource, signal, sys
from metrics_store.errors import WriteError
from metrics_store.snapshots.sink import SnapshotSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = SnapshotSink(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
n = 0
try:
    while True:
        sink.append({"files_total": n})
        n += 1
except WriteError as error:
    print(n, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it needs limits")
def test_where_there_is_no_room_nothing_of_the_line_stays(
    tmp_path: Path, python: Callable[..., object]
) -> None:
    done = python(_LIMITED, tmp_path / "s.jsonl")
    n, message = done.stdout.split(" ", 1)  # type: ignore[attr-defined]
    assert "too large" in message
    sink = SnapshotSink(tmp_path / "s.jsonl")
    assert payloads(sink) == [{"files_total": i} for i in range(int(n))]
    sink.append({"files_total": 100})
    assert len(payloads(sink)) == int(n) + 1


def test_a_file_that_cannot_be_compressed_waits_and_the_line_is_there(
    tmp_path: Path, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl", max_mb=0.0001, clock=clock)
    sink.append({"files_total": 1})
    # A directory where the temporary is to be, whoever runs this.
    in_the_way = tmp_path / ".s.jsonl.20260310T120000000000.tmp"
    in_the_way.mkdir()
    done = sink.append({"files_total": 2})
    assert "directory" in done.not_compressed
    assert "not compressed" in caplog.text
    assert [Path(file).name for file in sink.files()] == [
        "s.jsonl.20260310T120000000000",
        "s.jsonl",
    ]
    assert payloads(sink) == [{"files_total": 1}, {"files_total": 2}]
    in_the_way.rmdir()
    assert sink.append({"files_total": 3}).not_compressed == ""
    assert [file.endswith(".gz") for file in sink.files()] == [True, True, False]
    assert payloads(sink) == [{"files_total": n} for n in (1, 2, 3)]


def test_the_sink_works_while_the_store_is_locked_or_gone(
    store: MetricsStore, tmp_path: Path, hold_lock: Callable[..., Callable[[], None]]
) -> None:
    sink = SnapshotSink(tmp_path / "s.jsonl")
    let_go = hold_lock(store.path)
    sink.append({"files_total": 1}, "2026-03-10T01:00:00Z")
    let_go()
    aside = shutil.move(store.path, tmp_path / "aside")
    sink.append({"files_total": 2}, "2026-03-10T02:00:00Z")
    shutil.move(aside, store.path)
    os.chmod(store.path, 0o400)
    sink.append({"files_total": 3}, "2026-03-10T03:00:00Z")
    os.chmod(store.path, 0o600)
    store.import_snapshots(*sink.files())
    assert [s.files_total for s in store.snapshots()] == [1, 2, 3]
    assert [s.id for s in store.snapshots()] == [line["id"] for line in written(sink.files())]


_WRITER = """
import sys
from metrics_store.snapshots.sink import SnapshotSink
sink = SnapshotSink(sys.argv[1], max_mb=0.004, fsync=False)
print("ready", flush=True)
sys.stdin.readline()
for n in range(150):
    sink.append({"files_total": n, "x": "y" * (n % 90)})
"""


def test_two_processes_write_one_sink_through_its_rotations(
    tmp_path: Path, pair: Callable[[str, str], list[str]]
) -> None:
    pair(_WRITER, str(tmp_path / "s.jsonl"))
    sink = SnapshotSink(tmp_path / "s.jsonl")
    lines = written(sink.files())
    assert sorted(line["payload"]["files_total"] for line in lines) == sorted([*range(150)] * 2)  # type: ignore[index]
    assert len({line["id"] for line in lines}) == 300
    assert len(sink.files()) > 5


# Kills -----------------------------------------------------------------------------------------

#: Calls of the operating system that a sink makes; a killed process has made some of them.
