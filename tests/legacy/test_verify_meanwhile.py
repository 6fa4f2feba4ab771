"""A verify while runners write: what lands meanwhile is found, what came later is told apart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.errors import LegacyFileError
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.report import Progress
from metrics_store.legacy.verifying import verify

UNFINISHED = {"completed": False, "duration_seconds": None}
Write = Callable[..., Path]


def call(n: int, **members: object) -> dict[str, object]:
    base = {"skill_name": "s", "invoked_at": f"2025-02-10T00:00:{n:02d}", "completed": True}
    return {**base, "duration_seconds": 1.0, **members}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a legacy file of these records."""

    def written(*calls: object, name: str = "f.json") -> Path:
        (tmp_path / name).write_text(json.dumps({"invocations": calls}))
        return tmp_path / name

    return written


def stored(store: MetricsStore) -> list[dict[str, object]]:
    return [
        dict(row)
        for row in store.query(
            "SELECT explanation, explained_by FROM legacy_difference ORDER BY id"
        )
    ]


def landing(at: str, land: Callable[[], object]) -> Callable[[Progress], None]:
    """Do something once, when a stage begins."""
    done: list[object] = []

    def progress(progress: Progress) -> None:
        if progress.stage == at and not done:
            done.append(progress)
            land()

    return progress


def test_a_record_that_lands_during_the_verify_is_found(
    store: MetricsStore, write: Write, open_store: Callable[..., MetricsStore]
) -> None:
    path = write(call(0), call(1), call(1), call(2, **UNFINISHED))
    take_in(store, write(call(0), call(1), call(2, **UNFINISHED)), zone="UTC")
    write(call(0), call(1), call(1), call(2), call(3))
    with open_store() as other:
        land = landing("settling", lambda: take_in(other, path))
        report = verify(store, path, progress=land)
    assert (report.equal, report.clean, stored(store)) == (5, True, [])


def test_it_waits_a_moment_for_a_write_that_is_under_way_and_no_longer(
    store: MetricsStore, write: Write, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(call(0), call(1))
    take_in(store, write(call(0)), zone="UTC")
    write(call(0), call(1))
    begin, slept = clock.monotonic, []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)
        if len(slept) == 3:
            take_in(store, path)

    monkeypatch.setattr(clock, "sleep", sleep)
    assert verify(store, path).clean
    assert len(slept) == 3
    slept.clear()
    write(call(0), call(1), call(2))
    monkeypatch.setattr(clock, "sleep", lambda seconds: clock.advance(seconds))
    begin = clock.monotonic
    assert verify(store, path).unexplained == {"only_in_file": 1}
    assert 0 < clock.monotonic - begin <= 2_000_000


def test_what_was_recorded_after_the_copy_was_taken_is_explained_by_that(
    store: MetricsStore, write: Write, open_store: Callable[..., MetricsStore]
) -> None:
    path = write(call(0), call(1, **UNFINISHED))
    take_in(store, path, zone="UTC")
    later = write(call(0), call(1), call(2), name="later.json")

    def land() -> None:
        shutil.copy(later, path)
        with open_store() as other:
            take_in(other, path)

    report = verify(store, path, progress=landing("comparing", land))
    assert (report.equal, report.explained) == (1, {"store_ahead": 1, "only_in_store": 1})
    assert [row["explanation"] for row in stored(store)] == [
        "it ended after the copy was taken",
        "it was recorded after the copy was taken",
    ]
    assert all(row["explained_by"] == "metrics-store" for row in stored(store))


_RUNNER = """
import json, os, sys
from pathlib import Path
from metrics_store import MetricsStore
from metrics_store.legacy_format import record
from metrics_store.legacy_format.moments import ZoneReader
path, zone = Path(sys.argv[2]), ZoneReader("UTC")
store = MetricsStore(sys.argv[1], durability="normal")
document = json.loads(path.read_text())
print("ready", flush=True)
for n in range(100_000):
    new = {"skill_name": "t", "invoked_at": f"2025-02-11T00:00:00.{n:06d}", "completed": True,
           "duration_seconds": 1.0}
    document["invocations"].append(new)
    path.with_suffix(".new").write_text(json.dumps(document))
    os.replace(path.with_suffix(".new"), path)
    u = record.understand(new, zone, False, 0)
    store.record_rows([record.row_of(u, u.id(1), 1, origin="live")])
"""


def test_a_runner_that_writes_both_sides_all_the_time_leaves_nothing_unexplained(
    open_store: Callable[..., MetricsStore], write: Write
) -> None:
    store = open_store(clock=None)
    path = write(*map(call, range(50)))
    take_in(store, path, zone="UTC")
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, store.path, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    try:
        assert runner.stdout is not None
        runner.stdout.readline()
        reports = [verify(store, path, batch=20) for _ in range(6)]
    finally:
        runner.kill()
        runner.communicate()
    assert all(report.clean for report in reports)
    compared = [report.compared for report in reports]
    assert compared == sorted(compared)
    assert compared[-1] > compared[0]
    assert all(report.equal == report.compared for report in reports)
    assert {row["explanation"] for row in stored(store)} <= {
        "it was recorded after the copy was taken"
    }


def test_of_two_at_once_the_second_is_refused_and_an_import_is_not(
    store: MetricsStore, write: Write, open_store: Callable[..., MetricsStore]
) -> None:
    path, refused = write(call(0)), []
    take_in(store, path, zone="UTC")

    def meanwhile(progress: Progress) -> None:
        if progress.stage != "settling":
            return
        with open_store() as other:
            assert take_in(other, path).fine
            with pytest.raises(LegacyFileError, match="another process") as refusal:
                verify(other, path)
            refused.append(refusal)

    assert verify(store, path, progress=meanwhile).clean
    assert refused
