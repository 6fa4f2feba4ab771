"""Clocks that jump: heartbeats at whatever the clock said, seen from whatever it says now."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from settable_clock import SettableClock
from test_services_model import BASE, assert_as_modelled, derived_problems, model_of, moment

from metrics_store import MetricsStore
from metrics_store.services.recording import AHEAD_US

_names = (f"service-{n}" for n in count())
MINUTE = 60_000_000
AHEAD = AHEAD_US // MINUTE

said = st.lists(
    st.tuples(
        st.integers(0, 40), st.sampled_from(["ok", "busy", "error"]), st.sampled_from([2, 6])
    ),
    max_size=10,
)


@given(said, st.integers(0, 50), st.integers(1, 60))
def test_only_what_has_been_counts_and_a_heartbeat_of_the_future_is_told(
    store: MetricsStore,
    clock: SettableClock,
    said: list[tuple[int, str, int]],
    now: int,
    window: int,
) -> None:
    service = next(_names)
    for at, status, every in said:
        clock.us = BASE + at * MINUTE
        store.heartbeat(service, status, every=every * 60)
    clock.us = BASE + now * MINUTE
    model = model_of(said)
    assert_as_modelled(store, service, model, window, 1_000, MINUTE)
    status = store.service_status(service)
    if not model:
        assert status is None
        return
    assert status is not None
    newest = max(beat.at for beat in model)
    been = [beat for beat in model if beat.at <= now + AHEAD] or model
    last = max(been, key=lambda beat: (beat.at, beat.down, beat.grace, beat.status))
    assert (status.last_heartbeat, status.status) == (moment(last.at, MINUTE), last.status)
    ahead = newest - now
    assert status.ahead_seconds == (ahead * 60 if ahead > AHEAD else None)
    vouches = -AHEAD <= now - last.at <= last.grace
    assert status.state == ("silent" if not vouches else "down" if last.down else "up")
    assert [one for one in store.service_status() if one.service_name == service] == [status]
    assert derived_problems(store) == []
