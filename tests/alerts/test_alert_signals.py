"""How an alert follows a value, held against a model: each level is a switch of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metrics_store.alerts.signals import step

LEVELS = (1, 2, 3, 4)
steps = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=40)
waits = st.integers(0, 30)


class Switch:
    """A level: on once it was passed for so long without a break, off once it was not."""

    def __init__(self, level: int, hold: int, clear: int) -> None:
        self.level, self.hold, self.clear = level, hold, clear
        self.on = False
        self.history: list[tuple[int, bool]] = []

    def see(self, now: int, observed: int) -> None:
        self.history.append((now, observed >= self.level))
        if self.history[-1][1] == self.on:
            return
        began = now
        for moment, passed in reversed(self.history):
            if passed == self.on:
                break
            began = moment
        if now - began >= (self.clear if self.on else self.hold):
            self.on = not self.on


@given(steps, waits, waits)
def test_an_alert_is_as_grave_as_the_gravest_level_that_is_on(
    seen: list[tuple[int, int]], hold: int, clear: int
) -> None:
    switches = [Switch(level, hold, clear) for level in LEVELS]
    rank, since, now = 0, {}, 0
    for passed, observed in seen:
        now += passed
        for switch in switches:
            switch.see(now, observed)
        taken = step(observed, rank, since, now, hold, clear)
        rank, since = taken.rank, taken.since
        assert rank == sum(switch.on for switch in switches)
        assert [switch.on for switch in switches] == [level <= rank for level in LEVELS]
        # What is remembered is what differs, and nothing else.
        assert set(since) == {level for level in LEVELS if (observed >= level) != (rank >= level)}


@given(steps, st.integers(1, 30), st.integers(1, 30))
def test_a_value_that_flaps_faster_than_it_may_changes_nothing(
    seen: list[tuple[int, int]], hold: int, clear: int
) -> None:
    rank, since, now = 0, {}, 0
    for passed, _ in seen:
        # Bad for an instant, good the next time: never two bad ones in a row.
        for observed in (4, 0):
            now += passed
            taken = step(observed, rank, since, now, hold, clear)
            rank, since = taken.rank, taken.since
            assert rank == 0


@given(steps, waits, waits, st.integers(-100, 100))
def test_a_clock_that_is_set_never_makes_an_alert_early(
    seen: list[tuple[int, int]], hold: int, clear: int, jump: int
) -> None:
    """Set back, what is pending begins anew: a wait is never shorter by it."""
    rank, since, now = 0, {}, 1000
    for passed, observed in seen[:20]:
        now += passed
        taken = step(observed, rank, since, now, hold, clear)
        rank, since = taken.rank, taken.since
    back = now - abs(jump)
    taken = step(0 if rank else 4, rank, since, back, hold, clear)
    assert all(began <= back for began in taken.since.values())


def test_without_waits_it_follows_at_once() -> None:
    assert step(2, 0, {}, 5, 0, 0).rank == 2
    assert step(4, 2, {}, 5, 0, 0).rank == 4
    assert step(1, 4, {}, 5, 0, 0).rank == 1
    assert step(0, 4, {}, 5, 0, 0) == step(0, 0, {}, 5, 0, 0)
