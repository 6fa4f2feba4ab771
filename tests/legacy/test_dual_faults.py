"""What fails under the dual trackers: the candidate reaches nobody, the control its caller."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dual import KINDS, Kind, plain
from json_tracking import records
from leaving import Migration
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store import DualReadMetricsTracker, DualWriteMetricsTracker, MetricsStore, sqlite
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import spill
from metrics_store.phases import reconciling
from metrics_store.trackers import candidate
from metrics_store.trackers.outcome import Outcome

#: Seconds in which a machine under load gets round to something.
SLACK = 2.0
Hold = Callable[[Path], Callable[[], None]]
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def in_store(store: MetricsStore) -> list[object]:
    found = store.query("SELECT workflow_path FROM skill_invocation ORDER BY workflow_path")
    return [row["workflow_path"] for row in found]


def reconciled(migration: Migration) -> None:
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert len(migration.spilled()) == 0


def test_a_locked_store_costs_one_bounded_wait_while_it_is_down(
    tmp_path: Path, hold_lock: Hold
) -> None:
    migration = Migration(tmp_path).to("dual_write")
    legacy = LegacyTracker(migration.json_file)
    with MetricsStore(migration.db) as store:
        tracker = DualWriteMetricsTracker(legacy, store, patience=0.2)
        let_go = hold_lock(migration.db)
        took = []
        for n in range(3):
            completer = tracker.track_invocation("s", f"p{n}")
            began = time.monotonic()
            completer()
            took.append(time.monotonic() - began)
        let_go()
    assert 0.2 <= took[0] < 0.2 + SLACK
    assert max(took[1:]) < SLACK
    assert len(migration.spilled().waiting) == 3
    reconciled(migration)
    assert migration.in_store() == {"p0": 1, "p1": 1, "p2": 1}
    assert migration.backfill().first.inserted == 0


@every_kind
def test_a_store_that_breaks_reaches_no_caller_and_is_tried_again_after_the_cool_down(
    migration: Migration,
    kind: Kind,
    clock: SettableClock,
    damaged: Callable[[Path], None],
) -> None:
    migration.to("dual_write")
    damaged(migration.db)
    store = MetricsStore(migration.db, clock=clock)
    tracker = DualWriteMetricsTracker(kind(migration.json_file, clock), store, zone="UTC")  # type: ignore[arg-type]
    tracker.track_invocation("s", "a")()
    connection = sqlite.connect(str(migration.db))
    connection.execute("ALTER TABLE skill_invocation RENAME TO gone")
    for name in "bc":
        clock.advance(1)
        tracker.track_invocation("s", name)()
    connection.execute("ALTER TABLE gone RENAME TO skill_invocation")
    connection.close()
    assert [one.call.workflow_path for one in migration.spilled().waiting] == ["b", "c"]
    clock.advance(candidate.COOL_DOWN)
    tracker.track_invocation("s", "d")()
    assert in_store(store) == ["a", "d"]
    reconciled(migration)
    assert in_store(store) == ["a", "b", "c", "d"]
    assert migration.backfill().first.inserted == 0


def test_a_closed_store_reaches_no_caller(
    path: Path, clock: SettableClock, store: MetricsStore
) -> None:
    tracker = DualWriteMetricsTracker(plain(path, clock), store, zone="UTC")
    store.close()
    tracker.track_invocation("s", "a")()
    assert [one.reason.split(":")[0] for one in spill.contents(path).waiting] == ["StoreClosed"]
    assert len(records(path)) == 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.json"


def test_a_full_disk_for_the_store_alone_reaches_no_caller(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    migration = Migration(tmp_path).to("dual_write")
    migration.operator.close()
    code = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from legacy_tracker import LegacyTracker
from metrics_store import DualWriteMetricsTracker, MetricsStore
store = MetricsStore(sys.argv[2])
tracker = DualWriteMetricsTracker(LegacyTracker(Path(sys.argv[1])), store)
tracker.track_invocation("s", "before")()
# The JSON file and the spill are small; the store's log is not.
resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, resource.RLIM_INFINITY))
for n in range(3):
    tracker.track_invocation("s", f"full {n}")()
"""
    python(code, migration.json_file, migration.db, Path(__file__).parent)
    assert len(migration.records()) == 4
    assert len(migration.spilled().waiting) == 3
    reconciled(migration)
    assert migration.in_store() == migration.in_json()


class Failing:
    """A JSON tracker that fails when it is told to."""

    def __init__(self, kind: Kind, path: Path, clock: SettableClock) -> None:
        self._within = kind(path, clock)
        self.metrics_file = path
        self.fails: set[str] = set()

    def __getattr__(self, name: str) -> object:
        if name in self.fails:
            raise OSError(28, f"no {name}")
        return getattr(self._within, name)

    def track_invocation(self, skill: str, path: str | None = None) -> Callable[..., None]:
        if "begin" in self.fails:
            raise OSError(28, "no begin")
        completer = self._within.track_invocation(skill, path)  # type: ignore[attr-defined]

        def end(**ending: object) -> None:
            if "end" in self.fails:
                raise OSError(28, "no end")
            completer(**ending)

        return end


@every_kind
def test_the_json_side_failing_is_the_callers_and_the_store_does_not_run_ahead(
    path: Path, kind: Kind, clock: SettableClock, store: MetricsStore
) -> None:
    failing = Failing(kind, path, clock)
    tracker = DualWriteMetricsTracker(failing, store, zone="UTC")  # type: ignore[arg-type]
    failing.fails = {"begin"}
    with pytest.raises(OSError, match="no begin"):
        tracker.track_invocation("s", "a")
    failing.fails = {"end"}
    completer = tracker.track_invocation("s", "b")
    for _ in range(2):
        with pytest.raises(OSError, match="no end"):
            completer()
    assert in_store(store) == []
    failing.fails = set()
    completer()
    assert in_store(store) == ["b"]
    assert len(records(path)) == 1


@every_kind
@pytest.mark.parametrize("method", ["get_skill_metrics", "get_all_metrics", "get_summary"])
def test_of_a_dual_read_the_json_side_failing_is_an_outcome_and_no_more(
    path: Path, kind: Kind, method: str, clock: SettableClock, store: MetricsStore
) -> None:
    heard: list[Outcome] = []
    failing = Failing(kind, path, clock)
    tracker = DualReadMetricsTracker(
        failing, store, zone="UTC", on_outcome=heard.append  # type: ignore[arg-type]
    )  # fmt: skip
    tracker.track_invocation("s", "a")()
    failing.fails = {method}
    answer = getattr(tracker, method)(*["s"] * (method == "get_skill_metrics"))
    assert answer
    (outcome,) = heard
    assert (outcome.kind, outcome.in_json) == ("mismatched", None)
    assert "no " + method in outcome.reason
    assert outcome.in_store
    assert store.query("SELECT n, outcome FROM legacy_read") == [{"n": 1, "outcome": "mismatched"}]


def test_of_a_dual_read_the_store_failing_is_the_callers(
    path: Path, clock: SettableClock, store: MetricsStore
) -> None:
    tracker = DualReadMetricsTracker(plain(path, clock), store, zone="UTC")
    tracker.track_invocation("s", "a")()
    store.close()
    for read in (
        lambda: tracker.get_skill_metrics("s"),
        tracker.get_all_metrics,
        tracker.get_summary,
        tracker.generate_report,
    ):
        with pytest.raises(MetricsStoreError):
            read()


def test_a_file_that_is_torn_just_then_costs_no_record(
    migration: Migration, clock: SettableClock
) -> None:
    """A neighbour rewrites the file while the record of a call is looked for."""
    migration.to("dual_write")
    within = KINDS["stranger"](migration.json_file, clock)
    whole: list[str] = []

    class Tearing:
        metrics_file = migration.json_file
        get_skill_metrics = within.get_skill_metrics
        get_all_metrics = within.get_all_metrics
        get_summary = within.get_summary

        def track_invocation(self, skill: str, path: str | None = None) -> Callable[..., None]:
            completer = within.track_invocation(skill, path)

            def end(**ending: object) -> None:
                completer(**ending)
                whole.append(migration.json_file.read_text())
                migration.json_file.write_text(whole[-1][:60])

            return end

    tracker = DualWriteMetricsTracker(Tearing(), migration.store, zone="UTC")
    tracker.track_invocation("s", "p")(follow_up_actions=["a"])
    assert len(migration.spilled().waiting) == 1
    migration.json_file.write_text(whole[-1])
    reconciled(migration)
    assert migration.in_store() == {"p": 1}
    assert migration.backfill().first.inserted == 0
