"""Checking and repairing while others write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checking import problems, python_path
from damaging import KEPT_FOR_EVER, LOG, content, tamper

from metrics_store import MetricsStore, Settings
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.integrity import check, check_file
from metrics_store.integrity.repairing import repair

WRITERS = 8
_WRITE = """
import sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1], durability="normal")
print("begun", flush=True)
n = 0
while n < 100_000 and not sys.stdin.closed:
    n += 1
    store.record_invocation(f"skill-{n % 3}", workflow_path=f"way {n % 50}", session_id=sys.argv[2])
    if n % 20 == 0:
        store.record_invocations({"skill_name": "batch", "duration_seconds": k} for k in range(30))
        store.track_invocation("tracked", "way").complete(True)
    if n % 5 == 0:
        print(n, flush=True)
"""


@pytest.fixture
def writers(sound: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Eight processes that write to the store until the test ends."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITE, str(sound), f"writer-{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        for n in range(WRITERS)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
    yield processes
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def test_a_check_sees_one_moment_while_eight_processes_write(
    sound: Path, writers: list[subprocess.Popen[str]]
) -> None:
    seen = []
    for level in ("quick", "deep", "standard", "deep"):
        report = check_file(sound, level=level)
        # One that has just begun is killed below, and not yet here.
        assert report.findings == ()
        seen.append(report.rows or 0)
    assert sorted(seen) == seen
    assert seen[0] < seen[-1]
    assert [writer.poll() for writer in writers] == [None] * WRITERS


def test_a_check_of_a_stores_own_reader_sees_one_moment_too(
    sound: Path, writers: list[subprocess.Popen[str]]
) -> None:
    with MetricsStore(sound, durability="normal") as store:
        with store.database.read() as connection:
            before = connection.execute(f"SELECT count(*) FROM {LOG}").fetchone()[0]
            report = check(connection, store.path, level="deep")
            assert (report.rows, report.findings) == (before, ())
            assert connection.in_transaction
        assert store.check("deep").findings == ()


def test_a_repair_waits_its_turn_and_loses_nothing_that_others_write(
    sound: Path, writers: list[subprocess.Popen[str]]
) -> None:
    tamper_patiently(sound)
    database = Database(Settings(sound, durability="normal"), Clock(), create=False)
    try:
        first = content(sound, [LOG])[LOG]
        done = repair(database)
        assert done.left == ()
        assert {one.table for one in done.done} >= {f"{LOG}_by_time", "rollup"}
        after = check_file(sound, level="deep")
        assert after.findings == ()
        assert set(first) <= set(content(sound, [LOG])[LOG])
    finally:
        database.close()
    assert [writer.poll() for writer in writers] == [None] * WRITERS


def tamper_patiently(path: Path) -> None:
    """Damage a store that is in use."""
    store = MetricsStore(path, durability="normal")
    store.database.write(
        lambda connection: (
            connection.execute(f"DROP INDEX {LOG}_by_time"),
            connection.execute("UPDATE rollup SET n = n + 1 WHERE kind = 'total'"),
        )
    )
    store.close()


_REPAIR = """
import os, signal, sys
from pathlib import Path
from metrics_store import Settings
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.integrity import mending
from metrics_store.integrity.repairing import repair

step, name = int(sys.argv[2]), sys.argv[3]
database = Database(Settings(Path(sys.argv[1]), durability="normal"), Clock(), create=False)
seen = 0
run = mending.Mending.run

def counted(self, *args, **names):
    global seen
    changed = run(self, *args, **names)
    seen += 1
    if seen == step:
        os.kill(os.getpid(), signal.SIGKILL)
    return changed

mending.Mending.run = counted
repair(database)
print(seen)
"""


def test_a_repair_that_is_killed_at_any_step_leaves_the_store_as_it_was(
    spoilt: Path,
) -> None:
    tamper(
        spoilt,
        f"DROP INDEX {LOG}_by_time",
        f"DROP TRIGGER {LOG}_landed",
        "CREATE VIEW mine AS SELECT 1",
        "DROP VIEW skill_day",
        "DELETE FROM rollup WHERE kind = 'total'",
        "DELETE FROM bucket_bound WHERE bucket > 900",
        "DELETE FROM workflow_path",
        "INSERT INTO rollup_deferred VALUES ('skill', 290)",
    )
    tables = [*KEPT_FOR_EVER, "rollup", "bucket_bound", "workflow_path", "rollup_deferred"]
    before = content(spoilt, [*tables, "sqlite_schema"])
    found = check_file(spoilt, level="deep").findings
    steps = 0
    for step in range(1, 100):
        done = subprocess.run(
            [sys.executable, "-c", _REPAIR, str(spoilt), str(step), "x"],
            env={**os.environ, "PYTHONPATH": python_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        steps += 1
        assert content(spoilt, [*tables, "sqlite_schema"]) == before
        assert check_file(spoilt, level="deep").findings == found
    assert steps == int(done.stdout)
    assert steps >= 8
    assert problems(spoilt) == []
    assert check_file(spoilt, level="deep").findings == ()
