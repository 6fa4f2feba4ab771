"""A verify that is killed goes on from its last checkpoint and ends as one that ran through."""

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
from pathlib import Path

import pytest
from checking import problems, python_path

from metrics_store import MetricsStore
from metrics_store.connection import Database
from metrics_store.errors import DiskFull, LegacyFileError, StoreBusy, ZoneMismatch
from metrics_store.legacy import comparing, differences, verifying
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.report import Progress
from metrics_store.legacy.scratch import Scratch
from metrics_store.legacy.verifying import VerifyReport, verify

FILES = Path(__file__).parent / "files"
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about POSIX processes")
Open = Callable[..., MetricsStore]


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_KEYS", 2)
    monkeypatch.setattr(comparing, "_ROWS", 7)
    monkeypatch.setattr(verifying, "_STORED_AT_ONCE", 3)
    monkeypatch.setattr(verifying, "_REFUSED", 1)
    monkeypatch.setattr(verifying, "_PAUSES", (0.0, 0.0))


def call(n: int, **members: object) -> dict[str, object]:
    moment = f"2025-10-26T02:{n % 60:02d}:{n // 60:02d}"
    base = {"skill_name": f"s{n % 3}", "invoked_at": moment, "workflow_path": "p"}
    return {**base, "completed": True, "duration_seconds": n / 7, **members}


UNFINISHED = {"completed": False, "duration_seconds": None}
EARLIER: list[object] = [*map(call, range(20)), call(4), call(4), call(50), 5, call(3, x=1)]
#: Equal ones, twins, lost ones, new ones, changed ones, unfinished ones, an hour that came twice.
RECORDS: list[object] = [
    *map(call, range(12)), call(12, **UNFINISHED), call(13, error_type="E"), 5, 5, {"x": "é"},
    call(4), call(60), call(61), call(61), call(62, **UNFINISHED), call(14), call(3, x=1),
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, open_store: Open) -> Path:
    """The file; an earlier copy of it is in the store "before.db"."""
    path = tmp_path / "legacy.json"
    path.write_text(json.dumps({"invocations": EARLIER}))
    with open_store("before.db") as store:
        take_in(store, path, zone="Europe/Berlin")
    path.write_text(json.dumps({"invocations": RECORDS}))
    return path


def numbers(report: VerifyReport) -> dict[str, object]:
    told = report.as_dict()
    apart = ("seconds", "resumed_at", "started_at", "finished_at", "verify_id")
    return {name: told[name] for name in told if name not in apart}


def found(store: MetricsStore) -> list[tuple[object, ...]]:
    kept = differences.listed(store, limit=1000)
    return sorted(
        ((d.kind, d.subject, d.in_json, d.in_store, d.explanation) for d in kept), key=repr
    )


def killed_at(path: Path, file: Path, nth: int, *, before: bool, resume: bool = False) -> bool:
    """Verify within a child that is killed at its nth commit, anywhere; False if it ran through."""
    child = os.fork()
    if child == 0:
        try:
            made = iter(range(1, 10_000))

            def deadly(name: str, owner: type) -> None:
                commit = getattr(owner, name)

                def killing(self: object, *args: object, **options: object) -> object:
                    if before and next(made) == nth:
                        os.kill(os.getpid(), signal.SIGKILL)
                    done = commit(self, *args, **options)
                    if not before and next(made) == nth:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return done

                setattr(owner, name, killing)

            store = MetricsStore(path, durability="normal")
            deadly("commit", Scratch)
            deadly("write", Database)
            verify(store, file, batch=4, resume=resume)
        finally:
            os._exit(0)
    return bool(os.waitpid(child, 0)[1])


@posix
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_any_commit_it_goes_on_and_ends_the_same(
    before: bool, file: Path, open_store: Open, tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "before.db", tmp_path / "through.db")
    through = open_store("through.db")
    expected = verify(through, file)
    assert set(expected.unexplained) == {"only_in_file", "different", "quarantined"}
    assert set(expected.explained) == {"only_in_store", "store_ahead", "quarantined"}
    went_on = 0
    for nth in range(1, 200):
        name = f"{nth}.db"
        shutil.copy(tmp_path / "before.db", tmp_path / name)
        if not killed_at(tmp_path / name, file, nth, before=before):
            break
        with open_store(name) as store:
            if not store.query("SELECT id FROM legacy_verify WHERE finished_at IS NULL"):
                # It was killed before it had begun, or when all was done.
                report = verify(store, file)
            else:
                report = verify(store, file, resume=True)
                went_on += report.resumed_at > 0
            assert numbers(report) == numbers(expected)
            assert found(store) == found(through)
            assert len(found(store)) == sum(expected.explained.values()) + sum(
                expected.unexplained.values()
            )
            assert os.listdir(f"{store.path}.verify") == ["lock"]
    assert went_on > 20


@posix
def test_killed_at_every_step_of_one_verify_it_still_ends_the_same(
    file: Path, open_store: Open, tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "before.db", tmp_path / "through.db")
    expected = verify(open_store("through.db"), file)
    kills = 0
    # (What nothing explains is looked at several times before any of it is kept.)
    while killed_at(tmp_path / "before.db", file, 4 + kills, before=False, resume=kills > 0):
        kills += 1
        assert kills < 60
    assert kills > 5
    store = open_store("before.db")
    report = verifying.last(store)
    assert report is not None
    assert numbers(report) == numbers(expected)
    assert found(store) == found(open_store("through.db"))


_CHILD = """
import sys
from pathlib import Path
from metrics_store import MetricsStore
from metrics_store.legacy.verifying import verify
store = MetricsStore(sys.argv[1], durability="normal")
verify(store, Path(sys.argv[2]), resume=sys.argv[3] == "1", batch=40,
       progress=lambda p: print(p.stage, p.records, flush=True))
"""


@posix
def test_killed_at_random_moments_it_comes_to_an_end(open_store: Open, tmp_path: Path) -> None:
    store, chosen = open_store(), random.Random(3)
    path = tmp_path / "typical.json"
    document = json.loads((FILES / "typical.json").read_text())
    path.write_text(json.dumps(document))
    take_in(store, path, zone="UTC")
    for n in range(0, 5000, 50):
        document["invocations"][n]["error_type"] = "changed"
    path.write_text(json.dumps(document))
    resumed = "0"
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, store.path, str(path), resumed],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        assert child.stdout is not None
        for _ in range(chosen.randrange(1, 40)):
            child.stdout.readline()
        time.sleep(chosen.random() / 100)
        child.kill()
        child.communicate()
        assert problems(store.path) == []
        resumed = "1"
    report = verify(store, path, resume=True)
    assert (report.compared, report.equal) == (5000, 4900)
    assert report.unexplained == {"different": 100}
    assert report.resumed_at > 0
    assert len(differences.listed(store, limit=1000)) == 100


# What there is to go on with


@pytest.fixture
def cut_short(file: Path, open_store: Open) -> MetricsStore:
    """A store with a verify that was cut short half way."""
    store = open_store("before.db")

    def stop(progress: Progress) -> None:
        if progress.records >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(store, file, batch=4, progress=stop)
    return store


def unfinished(store: MetricsStore) -> int:
    return len(store.query("SELECT id FROM legacy_verify WHERE finished_at IS NULL"))


def test_it_goes_on_over_the_copy_whatever_the_file_is_now(
    cut_short: MetricsStore, file: Path
) -> None:
    file.write_text(json.dumps({"invocations": []}))
    report = verify(cut_short, file, resume=True)
    assert (report.resumed_at, report.compared) == (8, 21)
    with pytest.raises(LegacyFileError, match="no verify"):
        verify(cut_short, file, resume=True)


def test_it_goes_on_in_the_zone_that_it_was_begun_with(cut_short: MetricsStore, file: Path) -> None:
    with pytest.raises(ZoneMismatch, match="Europe/Berlin, not UTC"):
        verify(cut_short, file, resume=True, zone="UTC")
    assert verify(cut_short, file, resume=True, zone="Europe/Berlin").zone == "Europe/Berlin"


def test_an_import_runs_while_a_verify_waits_to_go_on(cut_short: MetricsStore, file: Path) -> None:
    assert take_in(cut_short, file).conserved
    report = verify(cut_short, file, resume=True)
    assert report.resumed_at == 8
    assert report.unexplained == {"different": 1}


@pytest.mark.parametrize("damage", ["gone", "changed", "longer"])
def test_without_its_copy_it_is_abandoned(damage: str, cut_short: MetricsStore, file: Path) -> None:
    (copy,) = Path(f"{cut_short.path}.verify").glob("legacy-*.json")
    if damage == "gone":
        copy.unlink()
    else:
        text = copy.read_text()
        copy.write_text(text + " " if damage == "longer" else text.replace("s1", "s2"))
    with pytest.raises(LegacyFileError, match="gone or was changed") as refusal:
        verify(cut_short, file, resume=True)
    assert "verify" in refusal.value.hint
    assert unfinished(cut_short) == 0
    assert os.listdir(f"{cut_short.path}.verify") == ["lock"]
    assert verifying.last(cut_short) is None
    assert verify(cut_short, file).resumed_at == 0


@pytest.mark.parametrize("damage", ["gone", "no database", "torn"])
def test_without_a_sound_scratch_file_it_begins_the_copy_anew(
    damage: str, cut_short: MetricsStore, file: Path, open_store: Open, tmp_path: Path
) -> None:
    for left in Path(f"{cut_short.path}.verify").glob("scratch.db*"):
        if damage == "gone":
            left.unlink()
        elif damage == "torn":
            os.truncate(left, left.stat().st_size // 2 // 4096 * 4096)
        else:
            left.write_text("no database" * 1000)
    report = verify(cut_short, file, resume=True)
    assert (report.resumed_at, report.compared) == (0, 21)


def test_another_verify_takes_its_place(cut_short: MetricsStore, file: Path) -> None:
    assert verify(cut_short, file).resumed_at == 0
    assert unfinished(cut_short) == 0
    assert os.listdir(f"{cut_short.path}.verify") == ["lock"]


@posix
def test_what_an_abandoned_one_had_stored_is_taken_back(
    file: Path, open_store: Open, tmp_path: Path
) -> None:
    for nth in range(100, 10, -1):
        store_file = shutil.copy(tmp_path / "before.db", tmp_path / f"{nth}.db")
        killed_at(store_file, file, nth, before=False)
        with open_store(f"{nth}.db") as store:
            half = store.query("SELECT count(*) AS n FROM legacy_difference")[0]["n"]
            if not half or not unfinished(store):
                continue
            assert differences.listed(store) == ()
            report = verify(store, file)
            (n,) = store.query("SELECT count(*) AS n FROM legacy_difference")
            assert n["n"] == sum((*report.explained.values(), *report.unexplained.values()))
            if n["n"] > half:
                return
    raise AssertionError("no kill left differences behind")


def test_a_full_disk_under_the_scratch_file_is_an_error_of_ours_and_costs_nothing(
    file: Path, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Scratch._prepare

    def small(self: Scratch) -> None:
        prepare(self)
        self._connection.execute("PRAGMA max_page_count = 20")

    store = open_store("before.db")
    many = [call(n, skill_name="x" * 999 + str(n)) for n in range(50)]
    file.write_text(json.dumps({"invocations": many}))
    with monkeypatch.context() as patch:
        patch.setattr(Scratch, "_prepare", small)
        with pytest.raises(DiskFull):
            verify(store, file, batch=4)
    assert verify(store, file, resume=True).compared == 50


def test_a_store_that_stays_locked_cuts_it_short_and_costs_nothing(
    file: Path, open_store: Open, hold_lock: Callable[[str], Callable[[], None]]
) -> None:
    store, release = open_store("before.db"), []

    def lock(progress: Progress) -> None:
        if progress.records >= 8 and not release:
            release.append(hold_lock(store.path))

    with pytest.raises(StoreBusy):
        verify(store, file, batch=4, progress=lock)
    release[0]()
    report = verify(store, file, resume=True)
    assert (report.compared, report.resumed_at > 0) == (21, True)
