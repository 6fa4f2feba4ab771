"""A disk that fills up under an operator: the old phase serves on; the command can be repeated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path
from leaving import FILES, Migration

from metrics_store.legacy import control

#: Runs a command again and again with a limit on the size of files, read from its input: a disk
#: that is full for the larger ones of them.
_UNDER_LIMITS = """
import resource, sys
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy.control import Gates
from metrics_store.phases import beginning, cutting_over, reconciling, rolling_back
from metrics_store.phases.operator import Operator
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def run(operator, command):
    match command:
        case "start":
            beginning.start(operator, zone="UTC", wanted=Gates(), execute=True)
        case "backfill":
            beginning.backfill(operator)
        case "cutover":
            cutting_over.cutover(operator, execute=True, force=True, reason="a test")
        case "rollback":
            rolling_back.rollback(operator, execute=True)
        case "rehearse":
            rolling_back.rehearse(operator)
        case "reconcile":
            reconciling.reconcile(operator, "json", execute=True)

for line in sys.stdin:
    operator = Operator(sys.argv[1], sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(line), hard))
    said = "done"
    try:
        run(operator, sys.argv[3])
        operator.close()
    except MetricsStoreError as error:
        said = f"{type(error).__name__}: {error}"
    except BaseException as error:
        said = f"not ours: {error!r}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    operator.close()
    print(said, flush=True)
"""
#: Bytes: too few for anything, for the copy, for the scratch file, for the store's log, for none.
LIMITS = (300, 3_000, 20_000, 60_000, 100_000, 200_000, 10_000_000)
Run = Callable[[int], str]


@pytest.fixture
def operating() -> Iterator[Callable[[Path, Path, str], Run]]:
    """An operator in a process of its own, on a disk of a size that is told each time."""
    running: list[subprocess.Popen[str]] = []

    def start(json_file: Path, db: Path, command: str) -> Run:
        process = subprocess.Popen(
            [sys.executable, "-c", _UNDER_LIMITS, str(json_file), str(db), command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        running.append(process)

        def run(limit: int) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{limit}\n")
            process.stdin.flush()
            said = process.stdout.readline().strip()
            assert said
            assert not said.startswith("not ours"), said
            return said

        return run

    yield start
    for process in running:
        process.communicate()


def test_start_begins_nothing_until_there_is_room(
    tmp_path: Path, operating: Callable[[Path, Path, str], Run]
) -> None:
    json_file = tmp_path / "skill_metrics.json"
    json_file.write_bytes((FILES / "two_writers.json").read_bytes())
    before = json_file.read_bytes()
    run = operating(json_file, tmp_path / "m.db", "start")
    for limit in LIMITS:
        said = run(limit)
        assert json_file.read_bytes() == before
        assert (control.read(json_file) is not None) == (said == "done")
        if said == "done":
            break
    assert limit > LIMITS[2]
    assert said == "done"


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("backfill", "dual_write"),
        ("reconcile", "dual_write"),
        ("rehearse", "dual_read"),
        ("cutover", "dual_read"),
        ("rollback", "database"),
    ],
)
def test_a_full_disk_leaves_the_old_phase_serving_and_the_command_can_be_repeated(
    tmp_path: Path, operating: Callable[[Path, Path, str], Run], command: str, phase: str
) -> None:
    migration = Migration(tmp_path, source=FILES / "double_completed.json").to("dual_write")
    if command != "backfill":
        assert migration.backfill().fine
    migration.to(phase)
    tracker, called, said = migration.tracker(), 0, ""
    run = operating(migration.json_file, migration.db, command)
    for limit in LIMITS:
        file = migration.json_file.read_bytes()
        said = run(limit)
        if said == "done":
            break
        if migration.phase != phase:
            # It failed after its commit point: there is only the way on.
            assert migration.operator.control().intent is not None
            continue
        if command != "reconcile":
            assert migration.json_file.read_bytes() == file
        migration.call(tracker, f"served {called}")
        called += 1
        assert tracker.get_skill_metrics("s").total_invocations == called  # type: ignore[union-attr]
    assert said == "done"
    assert called > 2
    assert migration.phase == {"cutover": "database", "rollback": "dual_write"}.get(command, phase)
    assert migration.operator.control().intent is None
    assert not list(tmp_path.glob("*.tmp"))
    if command != "rollback":
        migration.to("database").rollback()
    assert migration.json_total() == 321 + called
    assert len(migration.records()) == 300 + called
    assert migration.backfill().first.inserted == 0
    assert migration.store_total() == 321 + called
