"""Our JSON tracker beside others: nothing of anybody is lost, and nothing doubled."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_tracking import naive, records, total
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import (
    LegacyNotOverwritten,
)
from metrics_store.trackers.json_tracker import JsonMetricsTracker

FILES = Path(__file__).parent / "files"

Track = Callable[..., JsonMetricsTracker]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "m.json"


@pytest.fixture
def track(path: Path, clock: SettableClock) -> Track:
    """A tracker of the test's file, on the test's clock, in UTC."""

    def made(**kwargs: object) -> JsonMetricsTracker:
        kwargs = {"clock": clock, "zone": "UTC", **kwargs}
        return JsonMetricsTracker(kwargs.pop("file", path), **kwargs)  # type: ignore[arg-type]

    return made


def test_what_is_odd_in_a_file_is_kept(track: Track, path: Path) -> None:
    tracker = track()
    shutil.copyfile(FILES / "hand_edited.json", path)
    value = json.loads(path.read_text())
    value["version"] = {"of": "somebody"}
    value["skills"]["odd"] = 42
    value["skills"]["x"] = {"total_invocations": 7, "note": "by hand"}
    path.write_text(json.dumps(value))
    tracker.track_invocation("x")(duration_seconds=1)
    found = json.loads(path.read_text())
    assert str(found["invocations"][:-1]) == str(value["invocations"])  # NaN is not NaN
    assert found["version"] == value["version"]
    assert found["skills"]["odd"] == 42
    assert found["skills"]["x"]["note"] == "by hand"
    assert found["skills"]["x"]["total_invocations"] == 8
    with pytest.raises(LegacyNotOverwritten, match="odd"):
        tracker.get_all_metrics()
    assert tracker.get_skill_metrics("x") is not None


def test_totals_that_cannot_be_read_are_left_and_said(
    track: Track, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = track()
    path.write_text('{"invocations": [], "skills": {"x": {"total_invocations": "seven"}}}')
    tracker.track_invocation("x")()
    assert len(records(path)) == 1
    assert json.loads(path.read_text())["skills"]["x"] == {"total_invocations": "seven"}
    assert "not in the totals" in caplog.text
    with pytest.raises(LegacyNotOverwritten, match="seven"):
        tracker.get_skill_metrics("x")


def test_two_trackers_see_and_keep_what_the_other_wrote(track: Track, path: Path) -> None:
    one, other = track(), track()
    running = [tracker.track_invocation("x", f"{n}") for n in range(20) for tracker in (one, other)]
    for done in running[::-1]:
        done()
        assert one.get_summary() == other.get_summary()
    assert len(records(path)) == 40
    assert total(path) == 40
    assert one.get_all_metrics() == other.get_all_metrics()


def test_the_same_record_made_twice_is_there_twice(track: Track, path: Path) -> None:
    one, other = track(), track()
    for _ in range(2):
        for tracker in (one, other):
            tracker.track_invocation("x")()
    one.track_invocation("y")()
    assert [r["skill_name"] for r in records(path)] == ["x"] * 4 + ["y"]
    assert total(path) == 4


def test_what_a_legacy_tracker_erased_comes_back_once(
    track: Track, path: Path, clock: SettableClock
) -> None:
    tracker = track()
    tracker.track_invocation("x", "before")()
    legacy = LegacyTracker(path, naive(clock))
    pending = tracker.track_invocation("x", "pending")
    for n in range(3):
        clock.advance(1)
        tracker.track_invocation("x", f"ours {n}")()
        legacy.track_invocation("x", f"theirs {n}")()
        assert len(records(path)) == n + 2
    pending()
    paths = [str(record["workflow_path"]) for record in records(path)]
    expected = {
        "before",
        "pending",
        *(f"{who} {n}" for who in ("ours", "theirs") for n in range(3)),
    }
    assert sorted(paths) == sorted(expected)
    assert total(path) == 8
    assert json.loads(path.read_text())["skills"]["x"]["workflow_paths"] == dict.fromkeys(paths, 1)


def test_a_pending_record_of_ours_that_a_legacy_tracker_keeps_is_ended_in_its_place(
    track: Track, path: Path, clock: SettableClock
) -> None:
    tracker = track()
    pending = tracker.track_invocation("x", "pending")
    tracker.track_invocation("x", "saves the pending one too")()
    legacy = LegacyTracker(path, naive(clock))
    pending()
    legacy.track_invocation("x", "theirs")()  # the pending one is pending again
    assert total(path) == 2
    tracker.flush()
    tracker.track_invocation("x", "last")()
    assert [(r["workflow_path"], r["duration_seconds"] is None) for r in records(path)] == [
        ("pending", False),
        ("saves the pending one too", False),
        ("theirs", False),
        ("last", False),
    ]
    assert total(path) == 4


def test_a_file_that_was_removed_is_made_again_with_what_is_ours(track: Track, path: Path) -> None:
    tracker = track()
    tracker.track_invocation("x")()
    shutil.rmtree(path.parent)
    assert tracker.get_all_metrics() == {}
    tracker.track_invocation("x")()
    assert len(records(path)) == total(path) == 2


def test_threads_lose_nothing(track: Track, path: Path) -> None:
    tracker = track()
    errors = []

    def work(me: int) -> None:
        try:
            for n in range(20):
                tracker.track_invocation("x", f"{me}-{n}")()
                found = tracker.get_skill_metrics("x")
                assert found is not None
                assert found.workflow_paths[f"{me}-{n}"] == 1
                assert found.total_invocations == sum(found.workflow_paths.values())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    paths = [record["workflow_path"] for record in records(path)]
    assert sorted(map(str, paths)) == sorted(f"{me}-{n}" for me in range(16) for n in range(20))
    assert total(path) == 320


step = st.tuples(st.integers(0, 2), st.integers(-1, 2), st.booleans(), st.sampled_from([0, 0, 1]))


@given(steps=st.lists(step, max_size=40))
def test_trackers_of_ours_keep_every_record_even_identical_ones(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool, int]]
) -> None:
    path, clock = tmp_path_factory.mktemp("m") / "m.json", SettableClock()
    trackers = [JsonMetricsTracker(path, clock=clock, zone="UTC") for _ in range(3)]
    running: list[list[Callable[..., None]]] = [[], [], []]
    truth: Counter[str] = Counter()
    for who, end, fails, wait in steps:
        clock.advance(wait)
        if end < 0 or not running[who]:
            running[who].append(trackers[who].track_invocation("x"))
            continue
        done = running[who].pop(end % len(running[who]))
        done(completed=not fails)
        truth[str(done.record)] += 1  # type: ignore[attr-defined]
        ended = [one for one in records(path) if one["duration_seconds"] is not None]
        assert Counter(map(str, ended)) == truth
        assert total(path) == len(ended)
        assert len(records(path)) - len(ended) <= sum(map(len, running))
        found = trackers[0].get_skill_metrics("x")
        assert found is not None
        assert found.completed_invocations == sum(bool(one["completed"]) for one in ended)


@given(steps=st.lists(step, max_size=40))
def test_beside_a_legacy_tracker_ours_are_there_after_each_of_our_saves(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool, int]]
) -> None:
    path, clock = tmp_path_factory.mktemp("m") / "m.json", SettableClock()
    trackers = [JsonMetricsTracker(path, clock=clock, zone="UTC") for _ in range(2)]
    legacy = LegacyTracker(path, naive(clock))
    running: list[list[tuple[str, Callable[..., None]]]] = [[], [], []]
    made: list[set[str]] = [set(), set()]
    for n, (who, end, fails, wait) in enumerate(steps):
        clock.advance(wait)
        if who == 2 and end < 0 and fails:
            # Started anew, it takes what is in the file, pending ones of ours too, for its own.
            legacy, running[2] = LegacyTracker(path, naive(clock)), []
        if end < 0 or not running[who]:
            made_by = legacy if who == 2 else trackers[who]
            running[who].append((str(n), made_by.track_invocation("x", str(n))))
            continue
        name, done = running[who].pop(end % len(running[who]))
        before = records(path) if path.exists() else []
        done(completed=not fails)
        if who == 2:
            continue
        made[who].add(name)
        after = records(path)
        names = [one["workflow_path"] for one in after]
        assert len(names) == len(set(names))
        assert set(names) >= {one["workflow_path"] for one in before}
        ended = {one["workflow_path"] for one in after if one["duration_seconds"] is not None}
        assert ended >= made[who]
        assert total(path) == len(ended)
