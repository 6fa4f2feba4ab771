"""What our JSON tracker cannot write or cannot parse: nothing is lost, and nothing hidden."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from json_tracking import records, total
from settable_clock import SettableClock

from metrics_store.errors import (
    AlreadyEnded,
    LegacyLocked,
    LegacyNotOverwritten,
    MetricsStoreError,
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


@pytest.mark.parametrize("data", [b"", b'{"invocations": [{"skill', (FILES / "torn.json")])
def test_a_torn_file_is_never_overwritten(track: Track, path: Path, data: bytes | Path) -> None:
    tracker = track()
    torn = data.read_bytes() if isinstance(data, Path) else data
    path.write_bytes(torn)
    os.utime(path, (1, 1))
    done = tracker.track_invocation("x")
    with pytest.raises(LegacyNotOverwritten, match=r"m\.json") as caught:
        done()
    for read in (tracker.get_summary, tracker.get_all_metrics, tracker.generate_report):
        with pytest.raises(LegacyNotOverwritten):
            read()
    assert "legacy import" in caught.value.hint
    assert path.read_bytes() == torn
    assert done.record is None
    shutil.copyfile(FILES / "typical.json", path)
    before = len(records(path))
    tracker.track_invocation("y")()
    assert [one["skill_name"] for one in records(path)[before:]] == ["x", "y"]
    done()  # the retry of a caller that was told of a failure
    assert total(path) == 1
    with pytest.raises(AlreadyEnded):
        done()


def test_a_failed_save_is_tried_again_by_the_next_call(track: Track, path: Path) -> None:
    tracker = track()
    path.write_text("torn")
    os.utime(path, (1, 1))
    done = tracker.track_invocation("x")
    for _ in range(2):
        with pytest.raises(LegacyNotOverwritten):
            done(follow_up_actions=["a"])
    path.unlink()
    assert tracker.get_skill_metrics("x") is not None  # what is not saved yet counts
    done(follow_up_actions=["not this"])
    assert [one["follow_up_actions"] for one in records(path)] == [["a"]]
    assert total(path) == 1
    tracker.flush()


def test_an_interrupted_save_can_be_tried_again(
    track: Track, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = track(on_error="log").track_invocation("x")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("metrics_store.trackers.ledger.replace_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            done()
    done()
    assert total(path) == 1


def test_with_on_error_log_a_failure_is_logged_with_what_to_do(
    track: Track, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = track(on_error="log")
    path.write_text("torn")
    os.utime(path, (1, 1))
    tracker.track_invocation("x")()
    assert [entry.levelname for entry in caplog.records] == ["ERROR"]
    assert "cannot be parsed" in caplog.text
    assert "Move it aside" in caplog.text
    path.unlink()
    tracker.flush()
    assert total(path) == 1
    assert len(caplog.records) == 1


def test_a_lock_that_is_not_had_in_time_is_said(track: Track, path: Path) -> None:
    tracker = track(patience=0.01)
    done = tracker.track_invocation("x")
    with locks.held(locks.data_lock(path)), pytest.raises(LegacyLocked):
        done()
    assert not path.exists()
    done()
    assert total(path) == 1


def test_a_directory_in_the_files_place_is_left_alone(track: Track, path: Path) -> None:
    tracker = track()
    path.mkdir()
    with pytest.raises(MetricsStoreError, match=r"m\.json"):
        tracker.track_invocation("x")()
    assert path.is_dir()


def test_a_symlink_stays_one_and_modes_are_kept(track: Track, path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    real = tmp_path / "elsewhere.json"
    real.write_text('{"invocations": [], "skills": {}}')
    real.chmod(0o664)
    path.symlink_to(real)
    tracker = track()
    tracker.track_invocation("x")()
    assert path.is_symlink()
    assert tracker.metrics_file == real.resolve()
    assert stat.S_IMODE(real.stat().st_mode) == 0o664
    assert total(real) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "elsewhere.json", "elsewhere.json.lock", "metrics",
    ]  # fmt: skip
