"""Dual-write and dual-read over any tracker with the classic methods: one call, one row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dual import KINDS, Kind, Late, ours, plain
from json_tracking import naive, records
from leaving import Migration, refused
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store import DualReadMetricsTracker, DualWriteMetricsTracker, MetricsStore
from metrics_store.errors import AlreadyEnded, InvalidValue
from metrics_store.legacy import importing, spill
from metrics_store.phases import reconciling
from metrics_store.trackers.outcome import Outcome

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.json"


@pytest.fixture
def writing(
    path: Path, clock: SettableClock, store: MetricsStore
) -> Callable[[Kind], DualWriteMetricsTracker]:
    return lambda kind: DualWriteMetricsTracker(kind(path, clock), store, zone="UTC")  # type: ignore[arg-type]


def rows(store: MetricsStore) -> list[dict[str, object]]:
    return store.query("SELECT * FROM skill_invocation ORDER BY invoked_at, seq")  # type: ignore[return-value]


def backfill(store: MetricsStore, path: Path) -> int:
    report = importing.take_in(store, path, zone="UTC")
    assert report.comparison.clean
    return report.inserted + report.upgraded


@every_kind
def test_a_call_is_one_record_and_one_row_of_the_same_identity(
    writing: Callable[[Kind], DualWriteMetricsTracker],
    kind: Kind,
    path: Path,
    store: MetricsStore,
    clock: SettableClock,
) -> None:
    tracker = writing(kind)
    for n in range(5):
        completer = tracker.track_invocation("s", f"p{n}" if n else None)
        clock.advance(0.75 + n)
        completer(completed=n != 2, follow_up_actions=["a", "é"][:n], error_type="E" * (n % 2))
        clock.advance(0.001)
    assert [
        (r["invoked_at"], r["workflow_path"], r["duration_seconds"]) for r in records(path)
    ] == [
        (
            json.loads(str(row["legacy"]))["invoked_at"],
            row["workflow_path"],
            row["duration_seconds"],
        )
        for row in rows(store)
    ]
    assert len(spill.contents(path)) == 0
    assert backfill(store, path) == 0
    assert len(rows(store)) == 5


@every_kind
def test_calls_that_overlap_find_their_own_records(
    writing: Callable[[Kind], DualWriteMetricsTracker],
    kind: Kind,
    path: Path,
    store: MetricsStore,
    clock: SettableClock,
) -> None:
    tracker = writing(kind)
    begun = []
    for _ in range(4):
        begun.append(tracker.track_invocation("s", "p"))
        clock.advance(0.01)
    for n in (2, 0, 3, 1):
        clock.advance(1)
        begun[n](error_type=f"E{n}", completed=False)
    assert [row["error_type"] for row in rows(store)] == ["E0", "E1", "E2", "E3"]
    assert backfill(store, path) == 0


@every_kind
def test_twins_of_one_moment_are_as_many_rows_as_calls(
    writing: Callable[[Kind], DualWriteMetricsTracker],
    kind: Kind,
    path: Path,
    store: MetricsStore,
) -> None:
    tracker = writing(kind)
    begun = [tracker.track_invocation("s", "p") for _ in range(3)]
    for completer in begun:
        completer()
    assert len(records(path)) == len(rows(store)) == 3
    assert backfill(store, path) == 0
    assert len(rows(store)) == 3


@every_kind
def test_a_backfill_that_sees_the_call_pending_makes_no_second_row(
    writing: Callable[[Kind], DualWriteMetricsTracker],
    kind: Kind,
    path: Path,
    store: MetricsStore,
    clock: SettableClock,
) -> None:
    tracker = writing(kind)
    long = tracker.track_invocation("s", "long")
    clock.advance(1)
    tracker.track_invocation("s", "short")()
    assert backfill(store, path) == 1
    clock.advance(1)
    long(follow_up_actions=["a"])
    assert backfill(store, path) == 0
    assert [row["workflow_path"] for row in rows(store)] == ["long", "short"]


@every_kind
def test_what_the_legacy_format_has_no_place_for_is_in_the_store_alone(
    writing: Callable[[Kind], DualWriteMetricsTracker],
    kind: Kind,
    path: Path,
    store: MetricsStore,
) -> None:
    tracker = writing(kind)
    tracker.track_invocation("s", None, "session", "/project", {"model": "m"})()
    (row,) = rows(store)
    assert (row["session_id"], row["project_path"]) == ("session", "/project")
    assert json.loads(str(row["attributes"])) == {"model": "m"}
    assert len(records(path)[0]) == 7
    assert backfill(store, path) == 0


@every_kind
def test_a_call_ends_once_on_both_sides(
    writing: Callable[[Kind], DualWriteMetricsTracker],
    kind: Kind,
    path: Path,
    store: MetricsStore,
) -> None:
    completer = writing(kind).track_invocation("s", "p")
    completer(completed=False)
    assert isinstance(refused(lambda: completer(completed=True)), AlreadyEnded)
    assert [r["completed"] for r in records(path)] == [False]
    assert [row["outcome"] for row in rows(store)] == ["failed"]
    assert json.loads(path.read_text())["skills"]["s"]["total_invocations"] == 1


@every_kind
def test_dual_write_answers_reads_as_the_json_tracker_does(
    writing: Callable[[Kind], DualWriteMetricsTracker], kind: Kind, store: MetricsStore
) -> None:
    tracker = writing(kind)
    tracker.track_invocation("s", "p")()
    store.track_invocation("only in the store").complete()
    assert set(tracker.get_all_metrics()) == {"s"}
    assert tracker.get_summary()["total_invocations"] == 1
    assert tracker.get_skill_metrics("only in the store") is None


@every_kind
def test_dual_read_answers_as_the_store_does_and_compares(
    kind: Kind, path: Path, clock: SettableClock, store: MetricsStore
) -> None:
    heard: list[Outcome] = []
    tracker = DualReadMetricsTracker(
        kind(path, clock), store, zone="UTC", on_outcome=heard.append  # type: ignore[arg-type]
    )  # fmt: skip
    for n in range(3):
        completer = tracker.track_invocation("s", "p")
        clock.advance(0.1 + 0.2)
        completer(completed=n > 0)
    assert tracker.get_skill_metrics("s").completed_invocations == 2  # type: ignore[union-attr]
    assert tracker.get_skill_metrics("nobody") is None
    assert set(tracker.get_all_metrics()) == {"s"}
    assert tracker.get_summary()["total_invocations"] == 3
    assert [outcome.kind for outcome in heard] == ["matched"] * 4
    store.track_invocation("only in the store").complete()
    assert set(tracker.get_all_metrics()) == {"s", "only in the store"}
    assert heard[-1].kind == "mismatched"


def test_a_tracker_that_lacks_something_is_refused(
    path: Path, store: MetricsStore, clock: SettableClock
) -> None:
    class Odd:
        metrics_file = path

        def track_invocation(self) -> None: ...

    error = refused(lambda: DualWriteMetricsTracker(Odd(), store))  # type: ignore[arg-type]
    assert isinstance(error, InvalidValue)
    for name in ("get_skill_metrics", "get_all_metrics", "get_summary"):
        assert name in error.detail
    for rate in (-0.1, 1.1, float("nan")):
        error = refused(
            lambda rate=rate: DualReadMetricsTracker(ours(path, clock), store, sample_rate=rate)  # type: ignore[misc]
        )
        assert isinstance(error, InvalidValue)


def test_a_symlinked_file_is_the_file_itself(
    tmp_path: Path, path: Path, clock: SettableClock, store: MetricsStore
) -> None:
    path.write_text('{"invocations": [], "skills": {}}')
    link = tmp_path / "link.json"
    link.symlink_to(path)
    tracker = DualWriteMetricsTracker(plain(link, clock), store, zone="UTC")
    tracker.track_invocation("s", "p")()
    assert backfill(store, path) == 0
    assert link.is_symlink()


def test_a_record_that_its_tracker_still_holds_waits_and_is_taken_once_it_is_written(
    migration: Migration, clock: SettableClock
) -> None:
    migration.to("dual_write")
    late = Late(migration.json_file, naive(clock))
    tracker = DualWriteMetricsTracker(late, migration.store, zone="UTC")
    completer = tracker.track_invocation("s", "p", "session")
    clock.advance(2)
    completer(follow_up_actions=["a"])
    (waits,) = migration.spilled().waiting
    assert "not found" in waits.reason
    late.flush()
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert len(migration.spilled()) == 0
    (row,) = rows(migration.store)
    assert (row["workflow_path"], row["session_id"]) == ("p", "session")
    assert row["duration_seconds"] == 2
    assert migration.backfill().first.inserted == 0


def test_two_plain_trackers_under_dual_write_erase_each_others_records_and_the_store_has_all(
    path: Path, clock: SettableClock, store: MetricsStore
) -> None:
    """What DESIGN names first of the legacy tracker's faults; the store is not subject to it."""
    first, second = (
        DualWriteMetricsTracker(LegacyTracker(path, naive(clock)), store, zone="UTC")
        for _ in range(2)
    )
    for n in range(6):
        clock.advance(1)
        (first if n % 2 else second).track_invocation("s", f"p{n}")()
    assert len(records(path)) == 3
    assert len(rows(store)) == 6
    assert backfill(store, path) == 0
