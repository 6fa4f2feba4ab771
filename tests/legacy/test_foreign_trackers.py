"""Finding the record that a tracker which is not ours wrote for a call."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.clock import to_datetime
from metrics_store.timeline import zone_named
from metrics_store.trackers import foreign
from metrics_store.trackers.foreign import Sought, invoked_at_of, record_of
from metrics_store.trackers.json_tracker import JsonMetricsTracker

ZONE = "Europe/Berlin"
DONE = {"completed": True, "follow_up_actions": [], "error_type": None}
FAILED = {"completed": False, "follow_up_actions": ["undo"], "error_type": "OSError"}
Completer = Callable[..., object]


def local(clock: SettableClock) -> datetime:
    return to_datetime(clock.us).astimezone(zone_named(ZONE)).replace(tzinfo=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.json"


@pytest.fixture
def legacy(path: Path, clock: SettableClock) -> LegacyTracker:
    """The tests' legacy tracker, somewhere in Germany."""
    return LegacyTracker(path, lambda: local(clock))


class Hidden:
    """A completer that shows nothing of what it holds, and fails when it is looked at."""

    __slots__ = ("__call",)

    def __init__(self, completer: Completer) -> None:
        holds = [completer]  # a list is not looked into
        self.__call = lambda **ending: holds[0](**ending)

    def __call__(self, **ending: object) -> object:
        return self.__call(**ending)

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class HidingTracker(LegacyTracker):
    """Only its file tells."""

    def track_invocation(self, skill_name: str, workflow_path: str | None = None) -> Completer:
        return Hidden(super().track_invocation(skill_name, workflow_path))


class OtherMoments(HidingTracker):
    """Writes its moments in another way."""

    style: Callable[[datetime], str] = str

    def _save(self) -> None:
        for one in self._invocations:
            moment = datetime.fromisoformat(one.invoked_at)
            one.invoked_at = type(self).style(moment)
        super()._save()
        for one in self._invocations:
            one.invoked_at = local_again(one.invoked_at)


def local_again(moment: str) -> str:
    read = datetime.fromisoformat(moment)
    if read.tzinfo is not None:
        read = read.astimezone(zone_named(ZONE)).replace(tzinfo=None)
    return read.isoformat()


def called(
    tracker: LegacyTracker, clock: SettableClock, skill: str = "x", path: str | None = "p"
) -> tuple[Completer, Sought]:
    before = clock.us
    clock.advance(0.000_010)
    completer = tracker.track_invocation(skill, path)
    clock.advance(0.000_010)
    return completer, Sought(skill, path, before, clock.us, ZONE)


def recorded(
    path: Path, completer: Completer, sought: Sought, ending: Mapping[str, object] = DONE
) -> dict[str, object] | None:
    """Call the completer, and find its record."""
    completer(**ending)
    return record_of(completer, sought, path, ending)


def in_file(path: Path) -> list[dict[str, object]]:
    return json.loads(path.read_text())["invocations"]  # type: ignore[no-any-return]


def test_the_legacy_trackers_completer_tells_its_record(
    legacy: LegacyTracker, path: Path, clock: SettableClock
) -> None:
    completer, sought = called(legacy, clock)
    raw = invoked_at_of(completer, sought)
    clock.advance(1.5)
    found = recorded(path.with_name("none.json"), completer, sought, FAILED)
    assert [found] == in_file(path)
    assert found is not None
    assert found["invoked_at"] == raw


def test_the_record_is_found_whatever_the_completer_is(
    legacy: LegacyTracker, path: Path, clock: SettableClock
) -> None:
    def wrapped(completer: Completer) -> Completer:
        @functools.wraps(completer)
        def wrapper(**ending: object) -> object:
            return completer(**ending)

        return wrapper

    class Holding:
        def __init__(self, completer: Completer) -> None:
            self.completer = completer

        def end(self, **ending: object) -> object:
            return self.completer(**ending)

        __call__ = end

    for dress in (
        wrapped,
        Holding,
        lambda completer: functools.partial(completer),
        lambda completer: Holding(completer).end,
    ):
        completer, sought = called(legacy, clock)
        dressed = dress(completer)
        assert invoked_at_of(dressed, sought) is not None
        assert recorded(path.with_name("none.json"), dressed, sought) == in_file(path)[-1]
        clock.advance(1)


def test_our_own_trackers_completer_tells_its_record(path: Path, clock: SettableClock) -> None:
    tracker = JsonMetricsTracker(path, clock=clock, zone=ZONE)
    sought = Sought("x", None, clock.us, clock.us, ZONE)
    completer = tracker.track_invocation("x")
    assert invoked_at_of(completer, sought) == completer.invoked_at
    completer()
    assert record_of(completer, sought, path, DONE) == completer.record


@pytest.mark.parametrize("held", [dict, lambda **members: SimpleNamespace(**members)])
def test_an_object_that_does_not_know_the_end_is_not_the_record(
    path: Path, clock: SettableClock, held: Callable[..., object]
) -> None:
    moment = local(clock).isoformat()
    begun = held(skill_name="x", invoked_at=moment, workflow_path=None, completed=False,
                 duration_seconds=None, follow_up_actions=[], error_type=None)  # fmt: skip

    def completer(**_: object) -> object:
        return begun

    sought = Sought("x", None, clock.us, clock.us, ZONE)
    assert invoked_at_of(completer, sought) == moment
    assert record_of(completer, sought, path, DONE) is None


@pytest.mark.parametrize("skill", ["x", 'a"b\n', "🚀 naïve", "lone \ud800"])
def test_a_tracker_that_hides_everything_is_read_from_its_file(
    path: Path, clock: SettableClock, skill: str
) -> None:
    tracker = HidingTracker(path, lambda: local(clock))
    running = [called(tracker, clock, skill, f"{n}") for n in range(5)]
    for n, (completer, sought) in enumerate(running):
        clock.advance(1)
        assert invoked_at_of(completer, sought) is None
        assert recorded(path, completer, sought) == in_file(path)[n]


@pytest.mark.parametrize("layout", ["indent 4", "no indent", "other order", "not ASCII"])
def test_a_file_in_another_layout_is_parsed(path: Path, clock: SettableClock, layout: str) -> None:
    completer, sought = called(HidingTracker(path, lambda: local(clock)), clock, "ü")
    completer()
    value = json.loads(path.read_text())
    if layout == "other order":
        value["invocations"] = [dict(reversed(one.items())) for one in value["invocations"]]
    indent = {"indent 4": 4, "no indent": None}.get(layout, 2)
    text = json.dumps(value, indent=indent, ensure_ascii=layout != "not ASCII")
    path.write_text(text, encoding="utf-8")
    found = record_of(completer, sought, path, DONE)
    assert found == in_file(path)[0]
    assert found is not None
    assert next(iter(found)) == "skill_name"


STYLES: dict[str, Callable[[datetime], str]] = {
    "UTC": lambda at: at.replace(tzinfo=zone_named(ZONE)).astimezone(UTC).isoformat(),
    "Z": lambda at: f"{at.replace(tzinfo=zone_named(ZONE)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    "whole seconds": lambda at: at.isoformat(timespec="seconds"),
    "milliseconds": lambda at: at.isoformat(timespec="milliseconds"),
    "rounded up": lambda at: (at.replace(microsecond=0) + timedelta(seconds=1)).isoformat(),
    "a blank": lambda at: at.isoformat(" "),
    "another offset": lambda at: (
        at.replace(tzinfo=zone_named(ZONE)).astimezone(zone_named("Asia/Kolkata")).isoformat()
    ),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_moment_may_be_written_in_many_ways(
    path: Path, clock: SettableClock, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    monkeypatch.setattr(OtherMoments, "style", staticmethod(STYLES[style]))
    clock.advance(0.75)
    completer, sought = called(OtherMoments(path, lambda: local(clock)), clock)
    found = recorded(path, completer, sought)
    assert found is not None
    assert [found] == in_file(path)


def test_a_moment_of_the_hour_that_comes_twice_is_found_in_both(
    path: Path, clock: SettableClock
) -> None:
    for moment in ("2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"):
        clock.set(moment)
        completer, sought = called(HidingTracker(path, lambda: local(clock)), clock)
        found = recorded(path, completer, sought)
        assert found is not None
        assert found["invoked_at"] == "2025-10-26T02:30:00.000010"


def test_another_calls_record_is_not_taken(path: Path, clock: SettableClock) -> None:
    tracker = HidingTracker(path, lambda: local(clock))
    called(tracker, clock)[0]()
    clock.advance(5)
    called(tracker, clock, "x", "other")[0]()
    called(tracker, clock, "other")[0]()
    elsewhere = HidingTracker(path.with_name("elsewhere.json"), lambda: local(clock))
    completer, sought = called(elsewhere, clock)
    assert recorded(path, completer, sought) is None
    assert record_of(completer, sought, path.with_name("none.json"), DONE) is None
    assert record_of(completer, sought, path.parent, DONE) is None


def test_of_several_that_fit_the_one_that_says_the_same_is_taken(
    path: Path, clock: SettableClock
) -> None:
    tracker = HidingTracker(path, lambda: local(clock))
    sought = Sought("x", None, clock.us, clock.us, ZONE)
    running = [tracker.track_invocation("x") for _ in range(4)]
    endings = [DONE, FAILED, {**DONE, "follow_up_actions": ["a"]}]
    for completer, ending in zip(running, endings, strict=False):
        completer(**ending)
    for n, ending in enumerate(endings):
        assert record_of(running[n], sought, path, ending) == in_file(path)[n]
    # The fourth is pending: none is its record, rather than one that has not ended.
    found = record_of(running[3], sought, path, {**DONE, "error_type": "?"})
    assert found in in_file(path)[:3]


def test_a_torn_file_has_no_records(path: Path, clock: SettableClock) -> None:
    completer, sought = called(HidingTracker(path, lambda: local(clock)), clock)
    completer()
    whole = path.read_bytes()
    for length in range(0, len(whole), 40):
        path.write_bytes(whole[:length])
        assert record_of(completer, sought, path, DONE) is None
    path.write_bytes(b"\xff" + whole)
    assert record_of(completer, sought, path, DONE) is None
    path.write_bytes(b"[1]")
    assert record_of(completer, sought, path, DONE) is None


def test_a_large_file_is_searched_and_not_parsed(
    path: Path, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = HidingTracker(path, lambda: local(clock))
    for _ in range(300):
        tracker.track_invocation("x", "p")
        clock.advance(0.01)
    completer, sought = called(tracker, clock)
    completer()
    parsed = []
    loads = json.loads

    def counted(text: bytes) -> object:
        parsed.append(len(text))
        return loads(text)

    monkeypatch.setattr(foreign.json, "loads", counted)
    assert record_of(completer, sought, path, DONE) is not None
    assert max(parsed) < 400
    parsed.clear()
    missing = Sought("x", "p", sought.from_us + 10**9, sought.to_us + 10**9, ZONE)
    assert record_of(completer, missing, path, DONE, limit=7) is None
    assert len(parsed) == 7


def test_asking_what_is_no_completer_never_fails(clock: SettableClock) -> None:
    sought = Sought("x", None, clock.us, clock.us, ZONE)
    for completer in (None, 7, print, int, "x", Hidden(print), SimpleNamespace()):
        assert invoked_at_of(completer, sought) is None  # type: ignore[arg-type]
