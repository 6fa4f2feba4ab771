"""Subscriptions: changes in their order, never more of them than the limit, and an end."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from metrics_store import LiveState, MetricsStore
from metrics_store.live.subscriptions import Change, Subscription

Watch = Callable[..., LiveState]


def numbered(*numbers: int) -> list[Change]:
    return [Change(f"k:{n}", n, "2026-03-10T12:00:00.000000Z") for n in numbers]


@given(st.lists(st.lists(st.integers(0, 5), max_size=6) | st.integers(1, 4)), st.integers(1, 7))
def test_whoever_is_slow_loses_the_oldest_and_is_told_how_many(
    steps: list[list[int] | int], limit: int
) -> None:
    """A list is offered, a number is taken; a model keeps what is due and what was lost."""
    subscription, due, lost = Subscription(None, limit), [], 0
    for step in steps:
        if isinstance(step, list):
            subscription.offer(numbered(*step))
            due += step
            lost += max(0, len(due) - limit)
            due = due[-limit:]
            continue
        for _ in range(step):
            taken = subscription.get(0)
            if not due:
                assert taken is None
                continue
            assert taken is not None
            assert (taken.value, taken.lost) == (due.pop(0), lost)
            lost = 0
    subscription.close()
    subscription.offer(numbered(9))
    assert [change.value for change in subscription] == due


def test_keys_are_chosen_by_stars_and_question_marks_alone() -> None:
    subscription = Subscription("a[1]:?*", 10)
    for key in ("a[1]:x", "a1:x", "a[1]:", "a[1]:\nx", "xa[1]:x"):
        subscription.offer([Change(key, 1, "")])
    assert [subscription.get(0), subscription.get(0), subscription.get(0)] == [
        Change("a[1]:x", 1, ""), Change("a[1]:\nx", 1, ""), None,
    ]  # fmt: skip


def test_waiting_ends_with_the_subscription_and_after_its_time() -> None:
    subscription = Subscription(None, 1)
    began = time.monotonic()
    assert subscription.get(0.01) is None
    assert time.monotonic() - began < 10
    got: list[Change] = []
    thread = threading.Thread(target=lambda: got.extend(subscription))
    thread.start()
    subscription.close()
    thread.join(30)
    assert not thread.is_alive()
    assert got == []


def test_a_page_gets_what_changes_and_nothing_else(store: MetricsStore, watch: Watch) -> None:
    store.record_agent_sample("a", "active")
    live = watch()
    with live.subscribe("agents:*:status") as changes, live.subscribe() as everything:
        store.record_agent_sample("b", "idle")
        first = changes.get(30)
        assert first is not None
        assert (first.key, first.lost) == ("agents:b:status", 0)
        assert first.value == live.get("agents:b:status")
        store.record_agent_sample("a", "active")
        second = changes.get(30)
        assert second is not None
        assert second.key == "agents:a:status"
        live.close()
        keys = [change.key for change in everything]
    # The same status again is another sample, and no other activity.
    assert keys.count("agents:a:activity") == 0
    assert set(keys) == {"agents:b:status", "agents:b:activity", "agents:a:status"}


def test_a_subscription_that_nobody_holds_is_forgotten(watch: Watch) -> None:
    live = watch()
    live.subscribe()
    kept = live.subscribe()
    gc.collect()
    assert list(live._subscriptions) == [kept]


def test_many_readers_beside_a_writer_see_whole_values(store: MetricsStore, watch: Watch) -> None:
    live, wrong, done = watch(every=0.01), [], threading.Event()

    def read() -> None:
        last = ""
        while not done.is_set():
            sample = live.get("agents:a:status")
            live.keys("agents:*")
            if sample is not None and not last <= sample.recorded_at:
                wrong.append((last, sample.recorded_at))
            last = sample.recorded_at if sample is not None else last

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    changes = live.subscribe("agents:a:status")
    for second in range(100):
        # Every other one is late.
        at = f"2026-03-10T11:{second // 60:02d}:{second % 60:02d}Z"
        store.record_agent_sample("a", "active", at=at)
        store.record_agent_sample("a", "idle", at="2026-03-10T10:00:00Z")
    while (change := changes.get(30)) is not None:
        if change.value.recorded_at.startswith("2026-03-10T11:01:39"):
            break
    done.set()
    for thread in threads:
        thread.join()
    assert change is not None
    assert wrong == []
