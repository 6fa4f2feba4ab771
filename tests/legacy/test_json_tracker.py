"""The legacy tracker's replacement: the same calls, and the same bytes."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_tracking import naive, records, total
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.clock import to_datetime
from metrics_store.errors import (
    AlreadyEnded,
    ExportFailed,
    InvalidQuery,
    InvalidValue,
    LegacyNotOverwritten,
    LegacyNotWritable,
)
from metrics_store.trackers.json_tracker import JsonMetricsTracker
from metrics_store.trackers.numbers import SkillNumbers

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


text = st.text(st.characters(codec=None) | st.sampled_from('"\n🚀\ud800'), max_size=4)
call = st.fixed_dictionaries(
    {
        "wait": st.sampled_from([0, 0.5, 1, 0.000001, 12.345678, 86_399.999999]),
        "names": st.tuples(text.filter(bool), st.none() | text),
        "end": st.integers(-3, 5),
        "ending": st.fixed_dictionaries(
            {},
            optional={
                "completed": st.booleans(),
                "follow_up_actions": st.none() | st.lists(text, max_size=3),
                "error_type": st.none() | text,
            },
        ),
    }
)


@given(calls=st.lists(call, max_size=12))
def test_the_file_is_byte_for_byte_what_the_legacy_tracker_writes(
    tmp_path_factory: pytest.TempPathFactory, calls: list[dict[str, object]]
) -> None:
    folder, clock = tmp_path_factory.mktemp("m"), SettableClock()
    ours = JsonMetricsTracker(folder / "a.json", clock=clock, zone="UTC")
    theirs = LegacyTracker(folder / "b.json", naive(clock))
    running: list[tuple[Callable[..., None], Callable[..., None]]] = []
    for one in calls:
        clock.advance(one["wait"])  # type: ignore[arg-type]
        names = one["names"]
        running.append((ours.track_invocation(*names), theirs.track_invocation(*names)))  # type: ignore[misc]
        if 0 <= one["end"] < len(running):  # type: ignore[operator]
            clock.advance(0.25)
            for end in running.pop(one["end"]):  # type: ignore[call-overload]
                end(**one["ending"])
            assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    assert ours.get_summary() == theirs.get_summary()
    assert {name: m.to_dict() for name, m in ours.get_all_metrics().items()} == {
        name: m.to_dict() for name, m in theirs.get_all_metrics().items()
    }


@pytest.mark.parametrize("name", ["typical", "berlin_dst", "pruned", "double_completed"])
def test_a_real_file_goes_on_byte_for_byte_as_the_legacy_tracker_goes_on(
    track: Track, path: Path, clock: SettableClock, name: str
) -> None:
    tracker = track()
    other = path.with_name("other.json")
    for target in (path, other):
        shutil.copyfile(FILES / f"{name}.json", target)
    legacy = LegacyTracker(other, naive(clock))
    for made in (tracker, legacy):
        made.track_invocation("pending")
        made.track_invocation("session-start", "quick")(follow_up_actions=["git push"])
        made.track_invocation("new")(completed=False, error_type="OSError")
    assert path.read_bytes() == other.read_bytes()
    assert tracker.get_summary() == legacy.get_summary()


def test_moments_are_naive_local_time(track: Track, path: Path, clock: SettableClock) -> None:
    track(zone="Asia/Kolkata").track_invocation("x")()
    track(zone=None).track_invocation("y")()
    machine = to_datetime(clock.us).astimezone().replace(tzinfo=None).isoformat()
    assert [one["invoked_at"] for one in records(path)] == ["2026-03-10T17:30:00", machine]


def test_a_duration_is_measured_by_the_clock_that_only_goes_forward(
    track: Track, path: Path, clock: SettableClock
) -> None:
    done = track().track_invocation("x")
    clock.advance(1.25)
    clock.set("2026-03-10T11:00:00Z")
    done()
    track().track_invocation("y")(duration_seconds=2.5)
    assert [one["duration_seconds"] for one in records(path)] == [1.25, 2.5]


def test_the_default_file_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = JsonMetricsTracker()
    monkeypatch.chdir(tmp_path.parent)
    tracker.track_invocation("x")()
    file = tmp_path / ".session-buddy" / "skill_metrics.json"
    assert tracker.metrics_file == file.resolve()
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_making_a_tracker_fails_for_nothing_that_is_there(
    track: Track, path: Path, tmp_path: Path
) -> None:
    path.parent.mkdir()
    path.write_text("torn")
    track().track_invocation("x")
    (tmp_path / "file").touch()
    done = track(file=tmp_path / "file" / "m.json").track_invocation("x")
    with pytest.raises(LegacyNotWritable, match="file"):
        done()
    (tmp_path / "file").unlink()
    done()
    assert len(records(tmp_path / "file" / "m.json")) == 1


def test_a_completer_tells_its_record_once_the_file_has_it(
    track: Track, path: Path, clock: SettableClock
) -> None:
    done = track().track_invocation("x", "p")
    assert (done.skill_name, done.workflow_path) == ("x", "p")
    assert done.invoked_at == "2026-03-10T12:00:00"
    assert done.record is None
    clock.advance(1)
    done(follow_up_actions=("a", "b"))
    assert [done.record] == records(path)
    assert list(done.record or ()) == list(records(path)[0])


def test_a_second_ending_changes_nothing(
    track: Track, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = track().track_invocation("x")
    done()
    before = path.read_bytes()
    with pytest.raises(AlreadyEnded, match="'x'"):
        done(completed=False, error_type="E")
    done = track(on_error="log").track_invocation("y")
    done()
    with caplog.at_level(logging.WARNING, "metrics_store"):
        done()
    assert "already ended" in caplog.text
    assert path.read_bytes() != before
    assert total(path) == total(path, "y") == 1


@pytest.mark.parametrize("name", ['a"b\\', "a\nb\tc", "🚀 naïve", "lone \ud800", "\x00", "../x"])
def test_any_text_is_a_name(track: Track, path: Path, name: str) -> None:
    tracker = track()
    tracker.track_invocation(name, name)(follow_up_actions=[name], error_type=name)
    found = track().get_skill_metrics(name)
    assert found == tracker.get_skill_metrics(name)
    assert found is not None
    assert found.workflow_paths == found.common_errors == found.follow_up_actions == {name: 1}
    assert LegacyTracker(path).get_all_metrics()[name].to_dict() == found.to_dict()


BAD_STARTS = [("",), (None,), (7,), (b"x",), ("x", 7), ("x", ["p"])]
BAD_ENDINGS = [
    {"completed": 1},
    {"completed": None},
    {"follow_up_actions": "one"},
    {"follow_up_actions": [7]},
    {"follow_up_actions": {"a"}},
    {"error_type": ValueError("x")},
    {"duration_seconds": -1},
    {"duration_seconds": float("nan")},
]


@pytest.mark.parametrize("on_error", ["log", "raise"])
def test_what_is_no_text_or_number_is_refused(track: Track, path: Path, on_error: str) -> None:
    tracker = track(on_error=on_error)
    for names in BAD_STARTS:
        with pytest.raises(InvalidValue):
            tracker.track_invocation(*names)  # type: ignore[arg-type]
    done = tracker.track_invocation("x")
    for ending in BAD_ENDINGS:
        with pytest.raises(InvalidValue):
            done(**ending)  # type: ignore[arg-type]
    assert not path.exists()
    done()
    assert total(path) == 1
    with pytest.raises(InvalidValue, match="on_error"):
        track(on_error="ignore")


def test_reading_an_old_file_is_one_look_at_its_state(
    track: Track, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = track()
    tracker.track_invocation("x")()
    os.utime(path, (1, 1))
    before = tracker.get_all_metrics()
    monkeypatch.setattr("metrics_store.trackers.file_state.read", lambda _: pytest.fail("read"))
    assert tracker.get_all_metrics() == before
    assert tracker.get_skill_metrics("none") is None


@pytest.mark.parametrize("name", [None, 5, b"x", ["x"], {"x": 1}])
def test_what_is_no_name_has_no_numbers(track: Track, name: Any) -> None:
    tracker = track()
    tracker.track_invocation("x")()
    with pytest.raises(InvalidQuery, match="not text"):
        tracker.get_skill_metrics(name)


def test_numbers_are_values(track: Track) -> None:
    tracker = track()
    assert tracker.get_summary() == {
        "total_skills": 0,
        "total_invocations": 0,
        "overall_completion_rate": 0.0,
        "most_used_skill": None,
        "avg_duration_seconds": 0.0,
    }
    tracker.track_invocation("x", "p")(duration_seconds=3, follow_up_actions=["a"])
    tracker.track_invocation("x")(completed=False, error_type="E")
    tracker.track_invocation("y")(duration_seconds=1)
    moment = "2026-03-10T12:00:00"
    expected = SkillNumbers("x", 2, 1, 1, 3.0, {"p": 1}, {"E": 1}, {"a": 1}, moment, moment)
    assert tracker.get_skill_metrics("x") == expected
    assert expected.completion_rate() == 50.0
    assert expected.avg_duration_seconds() == 3.0
    assert tracker.get_summary() == {
        "total_skills": 2,
        "total_invocations": 3,
        "overall_completion_rate": 2 / 3 * 100,
        "most_used_skill": "x",
        "most_used_count": 2,
        "avg_duration_seconds": 2.0,
        "skills_by_usage": [("x", 2), ("y", 1)],
    }
    report = tracker.generate_report()
    assert "Most Used Skill: x (2 invocations)" in report
    assert "    - E: 1" in report


def test_an_export_can_be_loaded_by_the_legacy_tracker(
    track: Track, path: Path, tmp_path: Path
) -> None:
    tracker = track()
    tracker.track_invocation("x")()
    path.write_text("torn")
    os.utime(path, (1, 1))
    with pytest.raises(LegacyNotOverwritten):
        tracker.track_invocation("x")()
    path.unlink()
    tracker.export_metrics(tmp_path / "out.json")
    exported = LegacyTracker(tmp_path / "out.json").get_all_metrics()
    assert {name: m.to_dict() for name, m in exported.items()} == {
        name: m.to_dict() for name, m in tracker.get_all_metrics().items()
    }
    assert not path.exists()
    with pytest.raises(InvalidValue, match="own file"):
        tracker.export_metrics(path)
    with pytest.raises(ExportFailed):
        tracker.export_metrics(tmp_path / "none" / "out.json")


def test_importing_it_loads_no_heavy_library(python: Callable[..., object]) -> None:
    done = python(
        "import sys, metrics_store.trackers.json_tracker\n"
        "print([m for m in ('typer', 'rich', 'yoyo', 'sqlite_utils') if m in sys.modules])"
    )
    assert done.stdout == "[]\n"  # type: ignore[attr-defined]
