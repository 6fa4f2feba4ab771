"""A pass that is killed, starved, doubled or overtaken goes on and ends as one that ran through."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from checking import problems, python_path

from metrics_store import MetricsStore
from metrics_store.errors import DiskFull, FileChanging, LegacyFileError
from metrics_store.legacy import importing, taking
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import ImportReport, Progress
from metrics_store.legacy.scratch import Scratch

FILES = Path(__file__).parent / "files"
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about POSIX processes")
Open = Callable[..., MetricsStore]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "BATCH", 7)
    monkeypatch.setattr(importing, "copy_stable", partial(copy_stable, sleep=lambda _: None))


def call(n: int, **members: object) -> dict[str, object]:
    moment = f"2025-02-10T12:{n // 60:02d}:{n % 60:02d}"
    base = {"skill_name": f"s{n % 3}", "invoked_at": moment, "workflow_path": "p"}
    return {
        **base,
        "completed": True,
        "duration_seconds": n / 7,
        "follow_up_actions": ["a"],
        **members,
    }


def unfinished(n: int) -> dict[str, object]:
    return call(n, completed=False, duration_seconds=None, follow_up_actions=[])


#: What was taken in before, and then: ended since, twins, lost, refused.
EARLIER = [unfinished(n) if n % 4 == 0 else call(n) for n in range(12)] + [call(90)]
RECORDS: list[object] = [
    *map(call, range(30)),
    5,
    call(3),
    call(3),
    call(4, x=1),
    5,
    unfinished(31),
]
RECORDS += [call(n, duration_seconds=9.0) for n in range(20, 29)]
TOTALS = {"s0": {"total_invocations": 50, "completed_invocations": 40, "workflow_paths": {"p": 50}}}


def document(records: list[object]) -> str:
    return json.dumps({"invocations": records, "skills": TOTALS, "last_updated": "1"}, indent=1)


@pytest.fixture
def file(tmp_path: Path, open_store: Open) -> Path:
    """The file, with an earlier copy of it in the store "before.db"."""
    path = tmp_path / "legacy.json"
    path.write_text(document(list(EARLIER)))
    with open_store("before.db") as store:
        take_in(store, path, zone="Europe/Berlin")
    path.write_text(document(RECORDS))
    return path


def state(store: MetricsStore) -> dict[str, object]:
    """Everything that a pass leaves but for row numbers."""
    tables = ("skill_inflight", "rollup", "legacy_flag", "legacy_baseline", "workflow_path")
    found: dict[str, object] = {
        table: store.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5")
        for table in tables
        if table != "workflow_path"
    }
    found["log"] = store.query("SELECT id, digest FROM skill_invocation ORDER BY id")
    found["quarantine"] = store.query(
        "SELECT position, reason, raw, digest, ordinal FROM legacy_quarantine ORDER BY 1"
    )
    found["metrics"] = store.get_all_metrics()
    return found


def numbers(report: ImportReport) -> dict[str, object]:
    told = report.as_dict()
    return {k: told[k] for k in told if k not in ("seconds", "database", "resumed_at")}


def killed_at(path: Path, file: Path, nth: int, *, before: bool) -> bool:
    """Take in within a child that is killed at its nth commit; False if it ran through."""
    child = os.fork()
    if child == 0:
        try:
            write, made = MetricsStore.record_rows, iter(range(1, 1000))

            def deadly(self: MetricsStore, *args: object) -> int:
                if not before:
                    written = write(self, *args)  # type: ignore[arg-type]
                if next(made) == nth:
                    os.kill(os.getpid(), signal.SIGKILL)
                return write(self, *args) if before else written  # type: ignore[arg-type]

            MetricsStore.record_rows = deadly  # type: ignore[method-assign]
            take_in(MetricsStore(path, durability="normal"), file)
        finally:
            os._exit(0)
    return bool(os.waitpid(child, 0)[1])


@posix
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_any_commit_it_goes_on_as_if_nothing_had_been(
    before: bool, torn: bool, file: Path, open_store: Open, tmp_path: Path
) -> None:
    if torn:
        file.write_text(file.read_text()[: file.read_text().index('"skills"') - 30])
    shutil.copy(tmp_path / "before.db", tmp_path / "through.db")
    through = open_store("through.db")
    expected = take_in(through, file)
    assert expected.upgraded == 3
    for nth in range(1, 100):
        name = f"{nth}.db"
        shutil.copy(tmp_path / "before.db", tmp_path / name)
        if not killed_at(tmp_path / name, file, nth, before=before):
            break
        with open_store(name) as store:
            report = take_in(store, file)
            assert (report.resumed_at > 0) == (nth > before)
            assert numbers(report) == numbers(expected)
            assert state(store) == state(through)
            assert os.listdir(f"{store.path}.legacy") == ["lock"]
            assert take_in(store, file).inserted == 0
    assert nth > 7


_CHILD = """
import sys
from pathlib import Path
from metrics_store import MetricsStore
from metrics_store.legacy import taking
from metrics_store.legacy.importing import take_in
taking.BATCH = 40
store = MetricsStore(sys.argv[1], durability="normal")
take_in(store, Path(sys.argv[2]), zone="UTC", progress=lambda p: print(p.stage, flush=True))
"""


@posix
def test_killed_again_and_again_at_random_moments_it_comes_to_an_end(
    open_store: Open, tmp_path: Path
) -> None:
    store, chosen = open_store("often.db"), random.Random(7)
    done = [0]
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, store.path, str(FILES / "typical.json")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        assert child.stdout is not None
        for _ in range(chosen.randrange(1, 60)):
            child.stdout.readline()
        child.kill()
        child.communicate()
        assert problems(store.path) == []
        position = store.query("SELECT max(position) AS n FROM legacy_pass")[0]["n"]
        done.append(position)
    assert done == sorted(done)
    report = take_in(store, FILES / "typical.json")
    assert (report.resumed_at, report.read, report.inserted) == (done[-1], 5000, 5000)
    assert report.fine
    through = open_store("through.db")
    take_in(through, FILES / "typical.json", zone="UTC")
    assert state(store) == state(through)


@posix
def test_a_file_that_changed_since_the_kill_is_begun_anew(
    file: Path, open_store: Open, tmp_path: Path
) -> None:
    assert killed_at(tmp_path / "before.db", file, 4, before=False)
    file.write_text(document([*RECORDS, call(40)]))
    store = open_store("before.db")
    report = take_in(store, file)
    assert (report.resumed_at, report.read) == (0, len(RECORDS) + 1)
    assert report.fine
    assert report.conserved
    rows = store.query("SELECT count(*) AS n FROM skill_invocation")[0]["n"]
    assert rows == 30 + 3 + 9 + 1 + 1
    stages = store.query("SELECT DISTINCT stage FROM legacy_pass")
    assert [row["stage"] for row in stages] == ["finished"]


def test_of_two_at_once_the_second_is_refused(file: Path, open_store: Open) -> None:
    store, refused = open_store("before.db"), []

    def second(_: Progress) -> None:
        with open_store("before.db") as other:
            try:
                take_in(other, file)
            except LegacyFileError as error:
                refused.append(str(error))

    report = take_in(store, file, progress=second)
    assert report.fine
    assert refused
    assert all("another process" in text for text in refused)
    assert take_in(store, file).inserted == 0


def test_a_full_disk_under_the_scratch_file_is_an_error_of_ours(
    file: Path, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Scratch.__init__

    def small(self: Scratch, directory: Path) -> None:
        make(self, directory)
        self._connection.execute("PRAGMA max_page_count = 5")

    store = open_store("before.db")
    file.write_text(document([call(n, skill_name="x" * 999 + str(n)) for n in range(900)]))
    with monkeypatch.context() as patch:
        patch.setattr(Scratch, "__init__", small)
        with pytest.raises(DiskFull):
            take_in(store, file)
    assert os.listdir(f"{store.path}.legacy") == ["lock"]
    assert take_in(store, file).fine


_STARVED = """
import resource, sys
from pathlib import Path
from metrics_store import MetricsStore
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy.importing import take_in
store = MetricsStore(sys.argv[1], durability="normal")
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    take_in(store, Path(sys.argv[2]), zone="UTC")
except MetricsStoreError as error:
    print(type(error).__name__)
"""


@posix
@pytest.mark.parametrize("limit", [500_000, 1_600_000, 3_000_000])
def test_a_limit_on_the_size_of_files_is_an_error_of_ours_and_nothing_is_lost(
    limit: int, open_store: Open, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    store = open_store()
    done = python(_STARVED, store.path, FILES / "typical.json", limit)
    assert done.stdout.strip() in {"NoSpace", "DiskFull", "OutcomeUnknown", "LegacyFileError"}
    assert problems(store.path) == []
    report = take_in(store, FILES / "typical.json")
    assert (report.read, report.inserted, report.fine) == (5000, 5000, True)


_REWRITER = """
import sys, threading
path, text, stop = sys.argv[1], open(sys.argv[1]).read(), threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
print("ready", flush=True)
while not stop.is_set():
    with open(path, "w") as file:
        for at in range(0, len(text), 5000):
            file.write(text[at:at + 5000])
            file.flush()
"""


def test_a_file_that_is_rewritten_all_the_time_is_taken_in_whole_or_not_at_all(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hot.json"
    path.write_bytes((FILES / "two_writers.json").read_bytes())
    # The file's time moves on by the kernel's ticks, some milliseconds: a fifth of a pause does.
    hurried = partial(copy_stable, sleep=lambda seconds: time.sleep(seconds / 5))
    monkeypatch.setattr(importing, "copy_stable", hurried)
    writer = subprocess.Popen(
        [sys.executable, "-c", _REWRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    outcomes = []
    for _ in range(5):
        try:
            outcomes.append(take_in(store, path, zone="UTC").read)
        except FileChanging:
            outcomes.append(-1)
    writer.communicate()
    assert set(outcomes) <= {99, -1}
    assert take_in(store, path).fine
    assert store.get_summary().total_invocations == 99
