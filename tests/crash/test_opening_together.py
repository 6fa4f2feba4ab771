"""Many processes open one file at the same moment: no error, and one store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore, Settings, schema
from metrics_store.clock import Clock
from metrics_store.connection import Database

_CROWD = 8
_EACH = 5
_ROUNDS = 25
#: Waits for its moment and opens the file then; what it needs is loaded before.
_OPEN = """
import sys, time, traceback
from metrics_store import MetricsStore
from metrics_store import yoyo_backend
print("ready", flush=True)
for line in sys.stdin:
    path, moment, me = line.rstrip("\\n").split("\\t")
    try:
        time.sleep(max(0.0, float(moment) - time.monotonic() - 0.002))
        while time.monotonic() < float(moment):
            pass
        store = MetricsStore(path, durability="normal")
        for n in range(%d):
            store.record_invocation("deploy", invocation_id=f"{me}-{n}")
        (found,) = store.query("SELECT value FROM store_property WHERE name = 'store_id'")
        store.close()
        print("opened", found["value"], flush=True)
    except BaseException:
        print("failed", repr(traceback.format_exc()), flush=True)
"""
Together = Callable[[Path], set[str]]


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    """Let eight processes open a file and record in it; the ids of the stores they saw."""
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN % _EACH],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        for _ in range(_CROWD)
    ]

    def said(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().rstrip("\n")

    def open_at_once(path: Path) -> set[str]:
        # The monotonic clock is the same for all processes.
        moment = time.monotonic() + 0.01
        for me, process in enumerate(crowd):
            assert process.stdin is not None
            process.stdin.write(f"{path}\t{moment}\t{me}\n")
            process.stdin.flush()
        answers = [said(process) for process in crowd]
        assert [answer for answer in answers if not answer.startswith("opened ")] == []
        return {answer.removeprefix("opened ") for answer in answers}

    for process in crowd:
        assert said(process) == "ready"
    yield open_at_once
    for process in crowd:
        process.communicate()


def _looked_at(path: Path, ids: set[str], before: int = 0) -> None:
    assert len(ids) == 1
    with MetricsStore(path) as store:
        assert store.get_summary().total_invocations == before + _CROWD * _EACH
        ledger = store.query("SELECT version FROM schema_migrations ORDER BY version")
        newest = schema.latest(schema.migrations_directory())
        assert [row["version"] for row in ledger] == list(range(1, newest + 1))


@pytest.mark.parametrize("there", ["nothing", "an empty file"])
def test_a_new_file_becomes_one_store(tmp_path: Path, together: Together, there: str) -> None:
    for number in range(_ROUNDS if there == "nothing" else 5):
        path = tmp_path / str(number) / "new" / "m.db"
        if there != "nothing":
            path.parent.mkdir(parents=True)
            path.touch()
        _looked_at(path, together(path))
        assert [file.name for file in path.parent.iterdir()] == ["m.db"]


def test_a_store_of_an_older_schema_is_brought_up_once(
    tmp_path: Path, new_file: Path, together: Together
) -> None:
    older = tmp_path / "older.db"
    shutil.copyfile(new_file, older)
    with MetricsStore(older) as store:
        store.record_invocations({"skill_name": "before"} for _ in range(50))
    database = Database(Settings(older), Clock())
    schema.roll_back(database, schema.version(database) - 1)
    database.close()
    for number in range(5):
        path = tmp_path / str(number) / "m.db"
        path.parent.mkdir()
        shutil.copyfile(older, path)
        _looked_at(path, together(path), before=50)


def test_a_store_that_is_up_to_date_is_opened_by_all(
    tmp_path: Path, new_file: Path, together: Together
) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.db"
        shutil.copyfile(new_file, path)
        _looked_at(path, together(path))


def test_one_that_was_killed_is_opened_by_all(
    tmp_path: Path, new_file: Path, together: Together
) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.db"
        shutil.copyfile(new_file, path)
        code = (
            "import os, sys\nfrom metrics_store import MetricsStore\n"
            "store = MetricsStore(sys.argv[1])\n"
            "for n in range(7):\n    store.record_invocation('before')\n"
            "os.kill(os.getpid(), 9)"
        )
        environment = {**os.environ, "PYTHONPATH": python_path()}
        subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
        assert Path(f"{path}-wal").stat().st_size > 0
        _looked_at(path, together(path), before=7)
