"""Invocations that begin in one tracker and end in another: each is one record."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from json_tracking import finished, records, total
from settable_clock import SettableClock

from metrics_store.errors import (
    AlreadyEnded,
    InvalidValue,
    LegacyLocked,
    LegacyNotOverwritten,
)
from metrics_store.legacy import locks
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


def test_a_moment_can_be_given_as_the_file_is_to_have_it(track: Track, path: Path) -> None:
    tracker = track()
    tracker.begin("x", None, "2026-03-10T12:00:00.5")()
    assert records(path)[0]["invoked_at"] == "2026-03-10T12:00:00.5"
    for odd in ("yesterday", "", 7, None):
        with pytest.raises(InvalidValue, match="invoked_at"):
            tracker.begin("x", None, odd)  # type: ignore[arg-type]


def test_what_was_started_elsewhere_ends_in_the_place_of_its_pending_record(
    track: Track, path: Path, clock: SettableClock
) -> None:
    before = track()
    done = before.track_invocation("x")
    before.track_invocation("y")()
    done.forget()
    after = track()
    after.finish(finished(duration_seconds=2))
    assert [r["skill_name"] for r in records(path)] == ["x", "y"]
    assert records(path)[0] == finished(duration_seconds=2.0)
    after.finish(finished(duration_seconds=3))
    assert [r["duration_seconds"] for r in records(path)] == [2.0, 0.0, 3.0]
    before.track_invocation("z")()
    assert [r["skill_name"] for r in records(path)] == ["x", "y", "x", "z"]
    assert total(path) == 2
    with pytest.raises(AlreadyEnded):
        done()


def test_a_record_that_somebody_wrote_for_us_is_not_written_again(track: Track, path: Path) -> None:
    tracker, other = track(patience=0.01), track()
    for seconds in (1, 2):
        with locks.held(locks.data_lock(path)), pytest.raises(LegacyLocked):
            tracker.finish(finished(duration_seconds=seconds), may_be_there=True)
        other.finish(finished(duration_seconds=seconds))
        other.track_invocation("y")()
    tracker.track_invocation("y")()
    assert [r["duration_seconds"] for r in records(path)] == [1.0, 0.0, 2.0, 0.0, 0.0]
    assert total(path) == 2
    other.finish(finished(duration_seconds=1))  # its own second one of the kind
    assert total(path) == 3


def test_a_pending_record_is_found_wherever_it_stands_in_the_file(
    track: Track, path: Path, clock: SettableClock
) -> None:
    before, after = track(), track()
    begun = []
    for n in range(6):
        clock.advance(1)
        begun.append(before.track_invocation("x", str(n)))
        before.track_invocation("y")()
    for done in begun:
        done.forget()
    for n in (3, 1, 5):
        moment = begun[n].invoked_at
        after.finish(finished(invoked_at=moment, workflow_path=str(n)))
        after.track_invocation("y")()
    assert [r["duration_seconds"] for r in records(path) if r["skill_name"] == "x"] == [
        None, 1.5, None, 1.5, None, 1.5,
    ]  # fmt: skip
    assert total(path) == 3


def test_what_somebody_else_ended_is_not_written_as_pending_again(track: Track, path: Path) -> None:
    before = track()
    done = before.track_invocation("x")
    before.track_invocation("y")()
    track().finish(finished())
    before.track_invocation("y")()
    assert [r["skill_name"] for r in records(path)] == ["x", "y", "y"]
    done()  # it did not know, and says something else: both are kept
    assert [r["duration_seconds"] for r in records(path)] == [1.5, 0.0, 0.0, 0.0]


def test_finishing_can_be_tried_again(track: Track, path: Path) -> None:
    tracker = track()
    path.write_text("torn")
    os.utime(path, (1, 1))
    for _ in range(3):
        with pytest.raises(LegacyNotOverwritten):
            tracker.finish(finished())
    path.unlink()
    tracker.finish(finished())
    tracker.track_invocation("y")()
    assert total(path) == 1
    tracker.finish(finished())
    assert total(path) == 2


@pytest.mark.parametrize(
    "members",
    [
        {"more": 1},
        {"skill_name": ""},
        {"invoked_at": "?"},
        {"workflow_path": 1},
        {"completed": "yes"},
        {"duration_seconds": float("nan")},
        {"duration_seconds": True},
        {"follow_up_actions": "x"},
        {"completed": False, "duration_seconds": None},
    ],
)
def test_only_a_record_that_has_ended_can_be_finished(
    track: Track, path: Path, members: dict[str, object]
) -> None:
    with pytest.raises(InvalidValue):
        track().finish(finished(**members))
    assert not path.exists()
