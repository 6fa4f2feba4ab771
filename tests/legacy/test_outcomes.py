"""Comparing two answers: what is the same passes, and a changed number never does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.legacy import importing
from metrics_store.trackers import outcome
from metrics_store.trackers.numbers import SkillNumbers, summary_of
from metrics_store.trackers.outcome import difference
from metrics_store.trackers.stored import numbers_of_all

ORDER = "the JSON file notes the order of ends, the store that of starts"
METHODS = ("get_skill_metrics", "get_all_metrics", "get_summary")
Numbers = Mapping[str, SkillNumbers]


def compared(method: str, in_json: object, in_store: object, zone: str = "UTC") -> tuple[str, str]:
    return difference(method, outcome.plain(method, in_json), outcome.plain(method, in_store), zone)


# The numbers of a file, and those of the store after taking it in

skills = st.sampled_from(("a", "b", "ç"))
labels = st.none() | st.sampled_from(("x", "y", 'naïve\n"z"'))
seconds = st.one_of(
    st.floats(0, 5000, allow_nan=False), st.sampled_from((0.1, 0.2, 0.3, 1e-6, 86_400.5))
)
ended_calls = st.lists(
    st.tuples(
        skills, labels, st.booleans(), seconds, labels, st.lists(labels.filter(bool), max_size=2)
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(ended_calls, st.randoms(use_true_random=False))
def test_a_file_and_the_store_that_took_it_in_agree(
    tmp_path: Path, new_file: Path, calls: list[tuple[object, ...]], order: object
) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    moment = [datetime(2026, 3, 1, 12)]
    tracker = LegacyTracker(folder / "m.json", lambda: moment[0])
    begun = []
    for skill, path, completed, lasted, error, actions in calls:
        moment[0] += timedelta(milliseconds=7)
        completer = tracker.track_invocation(str(skill), path)  # type: ignore[arg-type]
        ending = {"completed": completed, "error_type": error, "follow_up_actions": actions}
        begun.append((moment[0] + timedelta(seconds=float(str(lasted))), completer, ending))
    order.shuffle(begun)  # type: ignore[attr-defined]
    for end, completer, ending in begun:
        moment[0] = end
        completer(**ending)
    shutil.copyfile(new_file, folder / "m.db")
    with MetricsStore(folder / "m.db", durability="normal", clock=SettableClock()) as store:
        importing.take_in(store, folder / "m.json", zone="UTC")
        in_store = numbers_of_all(store, "UTC")
        in_json = tracker.get_all_metrics()
        wrong, known = compared("get_all_metrics", in_json, in_store)
        assert wrong == ""
        assert known in ("", ORDER)
        for name in (*in_json, "nobody"):
            one, other = in_json.get(name), in_store.get(name)
            assert compared("get_skill_metrics", one, other)[0] == ""
        assert compared("get_summary", tracker.get_summary(), summary_of(in_store)) == ("", "")


# What changed


def numbers(n: int = 10, **more: object) -> SkillNumbers:
    made = SkillNumbers(
        "s", n, n * 6 // 10, n - n * 6 // 10, n * 1.1, {"p": 4, "q": n}, {"E": 2}, {"next": n},
        "2026-03-01T10:00:00.000001", "2026-03-09T10:00:00",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


CHANGES: dict[str, Callable[[SkillNumbers], SkillNumbers]] = {
    "one more": lambda m: replace(m, total_invocations=m.total_invocations + 1),
    "one completed more": lambda m: replace(
        m,
        completed_invocations=m.completed_invocations + 1,
        abandoned_invocations=m.abandoned_invocations - 1,
    ),
    "one path more": lambda m: replace(m, workflow_paths={**m.workflow_paths, "p": 5}),
    "a new path": lambda m: replace(m, workflow_paths={**m.workflow_paths, "new": 1}),
    "a path less": lambda m: replace(m, workflow_paths={"q": m.workflow_paths["q"]}),
    "an error less": lambda m: replace(m, common_errors={"E": 1}),
    "an action more": lambda m: replace(m, follow_up_actions={"next": 1 + m.total_invocations}),
    "another first": lambda m: replace(m, first_invoked="2026-03-01T10:00:00.000002"),
    "an earlier first": lambda m: replace(m, first_invoked="2026-03-01T10:00:00"),
    "another last": lambda m: replace(m, last_invoked="2026-03-09T10:00:01"),
    "no last": lambda m: replace(m, last_invoked=None),
    "more seconds": lambda m: replace(
        m, total_duration_seconds=m.total_duration_seconds * (1 + 1e-5) + 0.001
    ),
}
sizes = pytest.mark.parametrize("n", [10, 1_000, 50_000, 2_000_000])


@sizes
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_number_does_not_pass_as_the_same(
    change: Callable[[SkillNumbers], SkillNumbers], n: int
) -> None:
    right, changed = numbers(n), change(numbers(n))
    for one, other in ((right, changed), (changed, right)):
        assert compared("get_skill_metrics", one, other) != ("", "")
        assert compared("get_all_metrics", {"s": one}, {"s": other}) != ("", "")


@sizes
@pytest.mark.parametrize("change", ["one more", "one completed more", "more seconds"])
def test_a_changed_number_does_not_pass_in_the_summary(change: str, n: int) -> None:
    others = {"t": numbers(5)}
    right = summary_of({"s": numbers(n), **others})
    changed = summary_of({"s": CHANGES[change](numbers(n)), **others})
    for one, other in ((right, changed), (changed, right)):
        wrong, known = compared("get_summary", one, other)
        assert wrong, change
        assert known == ""


@given(st.integers(1, 3_000_000), st.integers(-3, 3).filter(bool), st.data())
def test_any_count_that_is_off_is_named(n: int, off: int, data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(("total_invocations", "completed_invocations", "abandoned_invocations"))
    )
    right = numbers(n)
    changed = replace(right, **{name: getattr(right, name) + off})
    assert name in compared("get_skill_metrics", right, changed)[0]
    if name != "abandoned_invocations":  # the summary does not tell it
        assert compared("get_summary", summary_of({"s": right}), summary_of({"s": changed}))[0]


@given(st.lists(st.floats(0, 100_000), min_size=1, max_size=200), st.randoms())
def test_rounding_and_the_order_of_adding_are_no_difference(
    lengths: list[float], order: object
) -> None:
    exact = sum(round(length * 1e6) for length in lengths) / 1e6
    order.shuffle(lengths)  # type: ignore[attr-defined]
    n = len(lengths)
    one = numbers(total_invocations=n, completed_invocations=n, abandoned_invocations=0,
                  total_duration_seconds=sum(lengths))  # fmt: skip
    other = replace(one, total_duration_seconds=exact)
    assert compared("get_skill_metrics", one, other) == ("", "")
    assert compared("get_summary", summary_of({"s": one}), summary_of({"s": other})) == ("", "")


def test_of_skills_used_as_often_each_side_may_name_another_as_the_most_used() -> None:
    a, b, c = numbers(10), numbers(10), numbers(9)
    one = summary_of({"a": a, "b": b, "c": c})
    other = summary_of({"b": b, "a": a, "c": c})
    assert one["most_used_skill"] != other["most_used_skill"]
    assert compared("get_summary", one, other) == ("", "")
    for wrong in ("c", "nobody", None):
        assert (
            "most_used_skill"
            in compared("get_summary", one, {**other, "most_used_skill": wrong})[0]
        )


def test_of_the_first_and_last_moment_only_one_direction_is_explained() -> None:
    """The JSON file notes whom it saw end first and last: within what the store knows of starts."""
    base = numbers()
    later = replace(base, first_invoked="2026-03-02T00:00:00")
    sooner = replace(base, last_invoked="2026-03-08T00:00:00")
    for within in (later, sooner):
        assert compared("get_skill_metrics", within, base) == ("", ORDER)
        assert compared("get_skill_metrics", base, within)[0] != ""
    assert compared("get_all_metrics", {"s": later, "t": base}, {"s": base, "t": base}) == (
        "",
        ORDER,
    )


def test_nothing_on_both_sides_is_the_same_and_on_one_side_is_not() -> None:
    assert compared("get_skill_metrics", None, None) == ("", "")
    assert compared("get_all_metrics", {}, {}) == ("", "")
    assert compared("get_summary", summary_of({}), summary_of({})) == ("", "")
    empties = (None, {}, summary_of({}))
    fulls = (numbers(), {"s": numbers()}, summary_of({"s": numbers()}))
    for method, empty, full in zip(METHODS, empties, fulls, strict=True):
        assert compared(method, empty, full)[0]
        assert compared(method, full, empty)[0]


def test_an_empty_label_is_counted_by_the_legacy_tracker_alone() -> None:
    one = numbers(follow_up_actions={"next": 10, "": 3})
    assert compared("get_skill_metrics", one, numbers()) == ("", "")


ODD = ("text", 7, [], [["s", 1]], {"s": "many"}, {"s": None}, {"skills_by_usage": [{"s": 1}]},
       {"skills_by_usage": [("s", "many")]}, {"total_invocations": "ten"})  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("odd", ODD, ids=str)
def test_whatever_a_tracker_answers_is_compared_and_is_not_the_same(
    method: str, odd: object
) -> None:
    right = {
        "get_skill_metrics": numbers(),
        "get_all_metrics": {"s": numbers()},
        "get_summary": summary_of({"s": numbers()}),
    }[method]
    assert compared(method, odd, right)[0]
