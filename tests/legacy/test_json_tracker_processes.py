"""The legacy tracker's replacement among processes: they lose nothing, whatever kills them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

from metrics_store.trackers.json_tracker import JsonMetricsTracker

HERE = str(Path(__file__).parent)
Run = Callable[..., subprocess.CompletedProcess[str]]


def begun(code: str, *args: object) -> subprocess.Popen[str]:
    """A script in a Python process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([python_path(), HERE])},
    )


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output


def contents(path: Path) -> tuple[list[str], int]:
    """The workflow paths of the records, and how many the totals of "x" count."""
    value = json.loads(path.read_text())
    paths = [str(record["workflow_path"]) for record in value["invocations"]]
    return paths, value["skills"]["x"]["total_invocations"]


OURS = """
import sys
from metrics_store.trackers.json_tracker import JsonMetricsTracker
tracker = JsonMetricsTracker(sys.argv[1])
pending = tracker.track_invocation("x", sys.argv[2] + " pending")
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    tracker.track_invocation("x", f"{sys.argv[2]} {n}")()
    print(n, flush=True)
pending()
"""


def test_processes_lose_nothing_and_a_reader_never_sees_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    writers = [begun(OURS, path, name, 100) for name in ("a", "b", "c")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    reader, seen = JsonMetricsTracker(path), 0
    while any(writer.poll() is None for writer in writers):
        found = reader.get_skill_metrics("x")
        now = 0 if found is None else found.total_invocations
        assert now >= seen
        seen = now
        if path.exists():
            json.loads(path.read_bytes())
    for writer in writers:
        ended(writer)
    paths, total = contents(path)
    each = [*map(str, range(100)), "pending"]
    assert sorted(paths) == sorted(f"{name} {n}" for name in "abc" for n in each)
    assert total == 303
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.json", "m.json.lock"]


LEGACY = """
import sys
from pathlib import Path
from legacy_tracker import LegacyTracker
tracker = LegacyTracker(Path(sys.argv[1]))
sys.stdin.readline()
for n in range(100):
    tracker.track_invocation("x", f"theirs {n}")()
"""


def test_what_a_legacy_process_erases_is_there_after_our_next_save(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    tracker = JsonMetricsTracker(path)
    legacy = begun(LEGACY, path)
    assert legacy.stdin is not None
    legacy.stdin.write("\n")
    legacy.stdin.flush()
    n = 0
    while legacy.poll() is None or n < 20:
        tracker.track_invocation("x", f"ours {n}")()
        n += 1
    ended(legacy)
    tracker.track_invocation("x", "last")()
    paths, total = contents(path)
    assert len(paths) == len(set(paths)) == total
    assert {f"ours {i}" for i in range(n)} <= set(paths)


KILLED = OURS.replace("range(int(sys.argv[3]))", "range(10**9)")


def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    acknowledged = set()
    for name in range(12):
        writer = begun(KILLED, path, name)
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
        for _ in range(3 + 2 * name):
            acknowledged.add(f"{name} {writer.stdout.readline().strip()}")
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        acknowledged |= {f"{name} {line}" for line in rest.splitlines() if line.isdigit()}
        paths, total = contents(path)
        assert acknowledged <= set(paths)
        assert len(paths) == len(set(paths))
        assert total == sum("pending" not in one for one in paths)
    JsonMetricsTracker(path).track_invocation("x", "after")()


FULL = """
import os, resource, sys
from pathlib import Path
from metrics_store.errors import LegacyNotWritable
from metrics_store.trackers.json_tracker import JsonMetricsTracker
path = Path(sys.argv[1])
tracker = JsonMetricsTracker(path)
for n in range(5):
    tracker.track_invocation("x", str(n))()
before = path.read_bytes()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
waiting = []
for n in range(5, 8):
    waiting.append(tracker.track_invocation("x", str(n)))
    try:
        waiting[-1]()
    except LegacyNotWritable as error:
        assert error.hint and str(path) in str(error)
    else:
        raise SystemExit("it was saved")
    assert path.read_bytes() == before
    assert tracker.get_skill_metrics("x").total_invocations == n + 1
assert sorted(os.listdir(path.parent)) == ["m.json", "m.json.lock"]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for done in waiting:
    done()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it is about a limit of POSIX")
def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, python: Run) -> None:
    python(FULL, tmp_path / "m.json")
    assert contents(tmp_path / "m.json") == ([str(n) for n in range(8)], 8)


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about fork")

FORKED = """
import os, sys
from metrics_store.trackers.json_tracker import JsonMetricsTracker
tracker = JsonMetricsTracker(sys.argv[1])
tracker.track_invocation("x", "before")()
open(sys.argv[1] + ".away", "w").write("torn")
os.rename(sys.argv[1], sys.argv[1] + ".kept")
os.rename(sys.argv[1] + ".away", sys.argv[1])
os.utime(sys.argv[1], (1, 1))
unsaved = tracker.track_invocation("x", "unsaved")
try:
    unsaved()
except Exception as error:
    assert type(error).__name__ == "LegacyNotOverwritten"
os.rename(sys.argv[1] + ".kept", sys.argv[1])
pending = tracker.track_invocation("x", "pending")
inherited = tracker.track_invocation("x", "inherited")
child = os.fork()
if child == 0:
    tracker.track_invocation("x", "child")()
    print(sorted(tracker.get_skill_metrics("x").workflow_paths), flush=True)
    inherited()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
pending()
print(sorted(tracker.get_skill_metrics("x").workflow_paths))
"""


@forks
def test_a_forked_child_leaves_to_its_parent_what_is_its_parents(
    tmp_path: Path, python: Run
) -> None:
    output = python(FORKED, tmp_path / "m.json").stdout.splitlines()
    assert output == [
        "['before', 'child']",
        "['before', 'child', 'inherited', 'pending', 'unsaved']",
    ]
    paths, total = contents(tmp_path / "m.json")
    # The parent never ended its own side of the inherited one: for it that is pending still.
    assert sorted(paths) == ["before", "child", "inherited", "inherited", "pending", "unsaved"]
    assert total == 5


BUSY = """
import os, sys, threading
from metrics_store.trackers.json_tracker import JsonMetricsTracker
tracker = JsonMetricsTracker(sys.argv[1], patience=60)
going = threading.Event()

def work(me):
    for n in range(60):
        tracker.track_invocation("x", f"{me} {n}")()
        going.set()

threads = [threading.Thread(target=work, args=(me,)) for me in range(3)]
for thread in threads:
    thread.start()
going.wait()
read, write = os.pipe()
children = []
for n in range(10):
    child = os.fork()
    if child == 0:
        os.close(write)
        tracker.track_invocation("x", f"child {n}")()
        os.read(read, 1)  # it lives on, with whatever it inherited
        os._exit(0)
    children.append(child)
for thread in threads:
    thread.join()
JsonMetricsTracker(sys.argv[1], patience=60).track_invocation("x", "another")()
os.close(write)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
"""


@forks
def test_forking_amid_saves_hangs_nobody(tmp_path: Path, python: Run) -> None:
    python(BUSY, tmp_path / "m.json", PYTHONWARNINGS="ignore::DeprecationWarning")
    paths, total = contents(tmp_path / "m.json")
    assert len(paths) == len(set(paths)) == total == 191
