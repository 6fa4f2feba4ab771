"""Retention beside other processes: writers, a second one of its kind, and one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from checking import problems, python_path

from metrics_store import MetricsStore

Open = Callable[..., MetricsStore]

RETAIN = """
import sys
from metrics_store import MetricsStore
with MetricsStore(sys.argv[1], durability="normal") as store:
    print("ready", flush=True)
    sys.stdin.readline()
    done = store.retain({"skill": "5 years"}, trust_clock=True)
    print(sum(deleted.rows for deleted in done.families))
"""
WRITE = """
import sys
from metrics_store import MetricsStore
with MetricsStore(sys.argv[1], durability="normal") as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(sys.argv[2])):
        store.record_invocation("beside", invocation_id=f"beside {n}")
        print(n, flush=True)
"""


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _old(store: MetricsStore, rows: int) -> None:
    store.record_invocations(
        [
            {"skill_name": f"s{n % 5}", "invoked_at": "2020-01-01T00:00:00Z", "duration_seconds": n}
            for n in range(rows)
        ]
    )
    store.record_invocation("newest")


def test_two_at_once_and_a_writer_lose_and_double_nothing(open_store: Open) -> None:
    store = open_store()
    _old(store, 3000)
    before = store.get_skill_metrics("s1")
    processes = [_start(RETAIN, store.path), _start(RETAIN, store.path)]
    processes.append(_start(WRITE, store.path, 100))
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=300)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert int(said[0][0]) + int(said[1][0]) == 3000
    assert len(said[2]) == 100
    assert store.query("SELECT count(*) AS n FROM skill_invocation") == [{"n": 101}]
    assert store.get_summary().total_invocations == 3101
    assert store.get_skill_metrics("s1") == before


def test_one_that_is_killed_has_done_a_part_and_the_next_does_the_rest(open_store: Open) -> None:
    store = open_store()
    _old(store, 6000)
    total = store.get_summary()
    for _ in range(3):
        process = _start(RETAIN, store.path)
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        count = "SELECT count(*) AS n FROM skill_invocation"
        [before] = store.query(count)
        while store.query(count) == [before] and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert problems(store.path) == []
        assert store.get_summary() == total
    store.retain({"skill": "5 years"}, trust_clock=True)
    assert store.query("SELECT count(*) AS n FROM skill_invocation") == [{"n": 1}]
    assert store.get_summary() == total


def test_the_commands_tell_what_goes_and_delete_it(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    _old(store, 30)
    store.close()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "metrics_store.cli", "--db", str(store.path), *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
            check=False,
            cwd=tmp_path,
        )

    plan = json.loads(run("retain", "plan", "--keep", "skill=1 year", "--json").stdout)
    assert plan["families"][0]["due"] == 30
    done = run("retain", "apply", "--keep", "skill = 1 year", "--trust-clock")
    assert done.returncode == 0
    assert done.stdout.startswith("Deleted 30 rows in ")
    wrong = run("retain", "apply", "--keep", "skill")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Such as --keep" in wrong.stderr
    again = run("retain", "plan", "--keep", "skill=1 year")
    assert "Nothing is past its time." in again.stdout
