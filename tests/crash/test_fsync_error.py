"""A disk that says at the end of a commit that it could not keep it: the outcome is unknown.

The error is injected by strace into the system call itself; SQLite, and we, see what a failing disk
would show.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore

Open = Callable[..., MetricsStore]
_SYNCS = "fsync,fdatasync"


@cache
def _cannot_trace() -> str:
    if shutil.which("strace") is None:
        return "strace is not installed"
    inject = ["strace", "-f", "-o", os.devnull, "-e", f"inject={_SYNCS}:error=EIO:when=1"]
    done = subprocess.run([*inject, "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"


@pytest.fixture(autouse=True)
def _traceable() -> None:
    if reason := _cannot_trace():
        pytest.skip(reason)


#: Works on a store, says what was acknowledged, and which error anything else ended with.
_WORK = """
import sys
from pathlib import Path
from metrics_store import MetricsStore, Settings
from metrics_store.errors import MetricsStoreError
path, what, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def fields(name):
    return {"skill_name": what, "invocation_id": name, "workflow_path": "p",
            "invoked_at": "2026-03-10T12:00:00Z", "attributes": {"note": "x" * 300}}

def record(store, ids):
    for name in ids:
        assert store.record_invocation(**fields(name)) == name
        yield name

def batch(store, ids):
    done = store.record_invocations(map(fields, ids))
    assert done.ids == tuple(ids)
    yield from ids

def buffered(store, ids):
    buffer = store.buffered(max_delay=3600)
    for name in ids:
        buffer.record_invocation(**fields(name))
    try:
        buffer.flush()
    finally:
        buffer.close()  # which tries once more
        yield from ids

def track(store, ids):
    with store.track_invocation("track") as started:
        pass
    yield started.invocation_id

try:
    store = MetricsStore(settings=Settings(Path(path), checkpoint_mb=0.1 if what == "fold" else 4))
    work = {"record": record, "batch": batch, "buffered": buffered, "track": track, "fold": record}
    for n in range(rounds):
        ids = [f"{what}-{n}-{m}" for m in range(20 if what == "fold" else 3)]
        for again in range(6):
            try:
                for name in work[what](store, ids):
                    print("kept", name)
                break
            except MetricsStoreError as error:
                print("error", type(error).__name__, bool(error.hint), error)
                # Reading goes on, and tells what became of it.
                store.get_summary()
                print("found", *(name for name in ids if store.get_invocation(name)))
    store.close()
except MetricsStoreError as error:
    print("error", type(error).__name__, bool(error.hint), error)
"""


class Traced:
    """What a traced process said, and how often it synced."""

    def __init__(self, path: str, what: str, rounds: int, when: str = "") -> None:
        log = f"{path}.strace"
        trace = ["strace", "-f", "-qq", "-o", log, "-e", f"trace={_SYNCS}"]
        if when:
            trace += ["-e", f"inject={_SYNCS}:error=EIO:when={when}"]
        done = subprocess.run(
            [*trace, sys.executable, "-c", _WORK, path, what, str(rounds)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path(), "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.lines = [line.split() for line in done.stdout.splitlines()]
        self.kept = [words[0] for kind, *words in self.lines if kind == "kept"]
        self.errors = [words[0] for kind, *words in self.lines if kind == "error"]
        traced = Path(log).read_text()
        self.syncs = len(re.findall(r"\bf(?:data)?sync\(", traced))
        self.failed = traced.count("(INJECTED)")
        assert all(words[1] == "True" for kind, *words in self.lines if kind == "error")


def _in_log(store: MetricsStore) -> list[str]:
    return [str(row["id"]) for row in store.query("SELECT id FROM skill_invocation ORDER BY id")]


@pytest.mark.parametrize("what", ["record", "batch", "buffered", "track"])
def test_when_syncing_fails_for_good_the_outcome_is_unknown_and_can_be_looked_up(
    open_store: Open, tmp_path: Path, what: str
) -> None:
    open_store().close()
    syncs = Traced(str(tmp_path / "m.db"), what, 1).syncs
    assert syncs > 0
    whole = _in_log(store := open_store())
    store.close()
    for first in range(1, syncs + 1):
        name = f"{first}.db"
        open_store(name).close()
        found = Traced(str(tmp_path / name), what, 1, f"{first}+")
        if first > 1 and not found.failed:
            break  # each thread's calls are counted by themselves
        assert found.failed > 0
        with open_store(name, durability="full") as store:
            there = _in_log(store)
            assert set(found.kept) <= set(there)
            assert found.errors or first > 1
            if not found.errors:
                assert found.kept  # it failed after all was kept: while the log was folded back
                continue
            # What comes after it finds the disk failing still, and writes nothing.
            assert found.errors[0] == "OutcomeUnknown"
            assert set(found.errors) <= {"OutcomeUnknown", "WriteError"}
            if what != "track":
                # Once more under the same ids: whatever became of them, they are there once.
                store.record_invocations(
                    {"skill_name": what, "invocation_id": name} for name in whole
                )
                assert _in_log(store) == whole
                assert store.get_summary().total_invocations == len(whole)


@pytest.mark.parametrize(
    ("what", "when"),
    [
        ("record", "1+2"),
        ("record", "2+3"),
        ("batch", "2+3"),
        ("buffered", "1+2"),
        ("track", "2+3"),
        ("fold", "2+3"),
    ],
)
def test_where_one_sync_in_a_few_fails_nothing_acknowledged_is_lost_and_nothing_is_twice(
    open_store: Open, tmp_path: Path, what: str, when: str
) -> None:
    open_store().close()
    found = Traced(str(tmp_path / "m.db"), what, 8, when)
    assert found.failed > 1
    assert set(found.errors) <= {"OutcomeUnknown", "WriteError"}
    with open_store() as store:
        there = _in_log(store)
        assert set(found.kept) <= set(there)
        if what != "track":
            # A retry under the same ids made every one of them succeed in the end.
            assert sorted(set(found.kept)) == there
        assert store.get_summary().total_invocations == len(there)


def test_a_new_store_whose_disk_fails_is_made_at_the_next_attempt(
    open_store: Open, tmp_path: Path
) -> None:
    for when in ("1+", "2+", "3+", "1", "2"):
        path = tmp_path / f"{when}.db"
        found = Traced(str(path), "record", 1, when)
        assert found.failed > 0
        assert set(found.errors) <= {"OutcomeUnknown", "WriteError", "DiskFailed"}
        with MetricsStore(path) as store:
            assert set(found.kept) <= set(_in_log(store))
            store.record_invocation("deploy")
