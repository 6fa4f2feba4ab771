"""Compared reads: when it is asked again, what is kept of it, and that nobody waits for it long."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from leaving import Migration
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.legacy.control import Gates
from metrics_store.phases import gates
from metrics_store.trackers.observing import SETTLING_TRIES, Observer
from metrics_store.trackers.outcome import Outcome

Hold = Callable[[Path], Callable[[], None]]
SLACK = 2.0


class Watch:
    """An observer on a store, and what it told."""

    def __init__(self, store: MetricsStore, **more: object) -> None:
        self.store = store
        self.heard: list[Outcome] = []
        self.lagging = ""
        values = {"sample_rate": 1.0, "patience": 0.2, "quiet": None, **more}
        self.observer = Observer(
            lambda: store, 3, "UTC", lagging=lambda: self.lagging, heard=self.heard.append,
            **values,  # type: ignore[arg-type]
        )  # fmt: skip

    def compare(self, control: object, candidate: object, *, json: bool = True) -> object:
        """``control`` and ``candidate`` are answers, or functions that give them."""

        def ask(answer: object) -> Callable[[], object]:
            return answer if callable(answer) else lambda: answer

        return self.observer.compare(
            "get_summary", "", ask(control), ask(candidate), json_is_control=json
        )

    def sums(self) -> dict[tuple[object, object], object]:
        found = self.store.query("SELECT outcome, reason, n FROM legacy_read")
        return {(row["outcome"], row["reason"]): row["n"] for row in found}

    def differences(self) -> list[dict[str, object]]:
        return self.store.query("SELECT * FROM legacy_difference ORDER BY id")  # type: ignore[return-value]


@pytest.fixture
def watch(store: MetricsStore) -> Watch:
    return Watch(store)


def summary(n: int) -> dict[str, object]:
    return {"total_invocations": n}


def test_the_controls_answer_is_given_whatever_the_candidate_says(watch: Watch) -> None:
    answer = summary(1)
    assert watch.compare(answer, summary(1)) is answer
    assert watch.compare(answer, summary(2)) is answer
    assert watch.compare(answer, lambda: 1 // 0) is answer
    assert [outcome.kind for outcome in watch.heard] == ["matched", "mismatched", "mismatched"]
    assert "ZeroDivisionError" in watch.heard[-1].reason


def test_the_control_failing_is_the_callers(watch: Watch) -> None:
    with pytest.raises(ZeroDivisionError):
        watch.compare(lambda: 1 // 0, summary(1))
    assert watch.heard == []


@pytest.mark.parametrize("json_is_control", [True, False])
def test_a_difference_is_kept_with_both_answers_and_both_latencies(
    watch: Watch, json_is_control: bool
) -> None:
    def slow() -> object:
        time.sleep(0.005)
        return summary(2)

    watch.compare(summary(1), slow, json=json_is_control)
    (kept,) = watch.differences()
    sides = [json.loads(str(kept["in_json"])), json.loads(str(kept["in_store"]))]
    times = [int(str(kept["json_us"])), int(str(kept["store_us"]))]
    if not json_is_control:
        sides.reverse()
        times.reverse()
    assert sides == [summary(1), summary(2)]
    assert times[1] >= 5000
    assert times[0] < times[1]
    assert (kept["kind"], kept["epoch"], kept["explanation"]) == ("read", 3, None)
    assert str(kept["subject"]) == "get_summary: total_invocations"
    (outcome,) = watch.heard
    assert (outcome.json_us, outcome.store_us) == (kept["json_us"], kept["store_us"])


def test_reads_that_match_are_added_up_and_leave_no_line_each(watch: Watch) -> None:
    for _ in range(5):
        watch.compare(summary(1), summary(1))
    assert watch.sums() == {("matched", ""): 5}
    assert watch.differences() == []
    (row,) = watch.store.query("SELECT * FROM legacy_read")
    assert (row["epoch"], row["method"]) == (3, "get_summary")
    assert int(str(row["json_us_max"])) <= int(str(row["json_us"]))


def test_a_dual_write_between_its_two_sides_is_no_mismatch(watch: Watch) -> None:
    """The candidate is one behind for a moment, and the control goes on meanwhile."""
    control, candidate = iter((5, 5, 6, 6, 6, 6)), iter((4, 5, 6, 6, 6, 6))
    watch.compare(lambda: summary(next(control)), lambda: summary(next(candidate)))
    assert watch.sums() == {("matched", ""): 1}


def test_among_busy_writers_it_is_compared_once_more_while_nobody_writes(
    store: MetricsStore,
) -> None:
    quiet_now = [False]

    @contextmanager
    def quiet() -> Iterator[None]:
        quiet_now[0] = True
        yield
        quiet_now[0] = False

    watch = Watch(store, quiet=quiet)
    watch.compare(summary(1), lambda: summary(1 if quiet_now[0] else 0))
    assert watch.sums() == {("matched", ""): 1}
    watch.compare(summary(1), summary(0))
    assert watch.sums() == {("matched", ""): 1, ("mismatched", ""): 1}
    assert quiet_now == [False]


def test_a_real_difference_is_asked_again_a_few_times_and_costs_little(watch: Watch) -> None:
    asked = [0]

    def candidate() -> object:
        asked[0] += 1
        return summary(0)

    began = time.monotonic()
    watch.compare(summary(1), candidate)
    assert time.monotonic() - began < SLACK
    assert SETTLING_TRIES <= asked[0] <= SETTLING_TRIES + 1
    assert watch.sums() == {("mismatched", ""): 1}


def test_a_store_that_is_known_to_be_behind_is_ignored_for_that_reason(watch: Watch) -> None:
    watch.lagging = "the spill holds records for the store"
    for _ in range(3):
        watch.compare(summary(1), summary(0))
    assert watch.sums() == {("ignored", watch.lagging): 3}
    kept = watch.differences()
    assert {row["explanation"] for row in kept} == {watch.lagging}
    assert {row["explained_by"] for row in kept} == {"rule"}


def test_a_candidate_that_fails_is_not_excused_by_being_behind(watch: Watch) -> None:
    watch.lagging = "the spill holds records for the store"
    watch.compare(summary(1), lambda: 1 // 0)
    assert [outcome.kind for outcome in watch.heard] == ["mismatched"]


def test_of_differences_ignored_for_one_reason_a_hundred_are_kept(watch: Watch) -> None:
    watch.lagging = "why not"
    watch.observer._quiet = None
    for _ in range(3):
        watch.compare(summary(1), summary(0))
    watch.store.database.write_one("UPDATE legacy_read SET n = 99 WHERE outcome = 'ignored'", ())
    for _ in range(4):
        watch.compare(summary(1), summary(0))
    assert watch.sums() == {("ignored", "why not"): 103}
    assert len(watch.differences()) == 4


def test_outcomes_are_kept_when_the_store_is_locked_for_a_while(
    tmp_path: Path, new_file: Path, hold_lock: Hold
) -> None:
    import shutil

    shutil.copyfile(new_file, tmp_path / "m.db")
    watch = Watch(MetricsStore(tmp_path / "m.db"))
    let_go = hold_lock(tmp_path / "m.db")
    began = time.monotonic()
    watch.compare(summary(1), summary(1))
    watch.compare(summary(1), summary(0))
    assert time.monotonic() - began < 2 * (0.2 + SLACK)
    let_go()
    assert watch.sums() == {}
    watch.compare(summary(1), summary(1))
    assert watch.sums() == {("matched", ""): 2, ("mismatched", ""): 1}
    assert len(watch.differences()) == 1


def test_threads_that_read_at_once_lose_and_double_no_outcome(watch: Watch) -> None:
    def work(number: int) -> None:
        for n in range(15):
            watch.compare(summary(1), summary(1 if n % 3 else number + 2))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.sums() == {("matched", ""): 40, ("mismatched", ""): 20}
    assert len(watch.differences()) == 20


def test_an_answer_that_cannot_be_compared_is_an_outcome_too(watch: Watch) -> None:
    answer = {"skills_by_usage": object()}
    assert watch.compare(answer, {"skills_by_usage": [{"odd": 1}]}) is answer
    assert [outcome.kind for outcome in watch.heard] == ["mismatched"]


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0, 0), (0.5, 130, 270), (1.0, 400, 400)])
def test_as_many_reads_are_sampled_as_was_said(
    store: MetricsStore, rate: float, least: int, most: int
) -> None:
    # 400 coins stay within 70 of 200 but for once in 10^11 times.
    watch = Watch(store, sample_rate=rate)
    assert least <= sum(watch.observer.sampled() for _ in range(400)) <= most


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_open_tracker_compares_as_the_control_file_says(
    tmp_path: Path, clock: SettableClock, rate: float
) -> None:
    migration = Migration(tmp_path, clock, gates=Gates(0, 60.0, 0.0, rate)).to("shadow")
    tracker = migration.tracker()
    for phase in ("shadow", "dual_read"):
        migration.to(phase)
        migration.call(tracker, phase)
        for read in (tracker.get_all_metrics, tracker.get_summary):
            read()
        tracker.get_skill_metrics("s")
        found = gates.reads(migration.operator, migration.operator.control().epoch)
        n = 3 if rate else 0
        assert (found.matched, found.mismatched, found.ignored) == (n, 0, 0)
