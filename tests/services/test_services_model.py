"""Uptime, outages, spans and the current row against brute force, in any order of arrival."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from beats_model import ModelBeat, deciding, outages, spans, states
from hypothesis import given
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, clock
from metrics_store.families.services import SERVICES

_names = (f"service-{n}" for n in count())
MOMENTS = 40
#: The microsecond that all moments are counted from, a few before the test's clock.
BASE = clock.parse("2026-03-10T12:00:00Z") - MOMENTS - 20

#: Moment, bad or not, interval of two units (grace five) or of six (grace fifteen).
beats = st.lists(
    st.tuples(
        st.integers(0, MOMENTS),
        st.sampled_from(["ok", "busy", "error", "Offline"]),
        st.sampled_from([2, 6]),
    ),
    max_size=14,
)


def model_of(said: list[tuple[int, str, int]]) -> list[ModelBeat]:
    return [
        ModelBeat(at, status in ("error", "Offline"), every * 5 // 2, status)
        for at, status, every in said
    ]


def moment(at: int, unit: int = 1) -> str:
    return clock.text(BASE + at * unit)


def beat(store: MetricsStore, name: str, said: tuple[int, str, int], unit: int = 1) -> None:
    at, status, every = said
    store.heartbeat(name, status, f"task {every}", moment(at, unit), every=every * unit / 1e6)


def derived_problems(store: MetricsStore) -> list[object]:
    return [
        row
        for table in SERVICES.derived
        for one, other in ((table.kept, table.due), (table.due, table.kept))
        for row in store.query(f"SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other})")
    ]


def assert_as_modelled(
    store: MetricsStore, name: str, model: list[ModelBeat], window: int, until: int, unit: int = 1
) -> None:
    """Compare everything that is derived of one service with the model."""
    now = (store.database.clock.now_us() - BASE) // unit
    end = min(until, now)
    length = window * unit / 1e6
    up = store.uptime(name, length, until=moment(until, unit))
    if not model or min(b.at for b in model) > end:
        assert up is None
    else:
        assert up is not None
        start = max(end - window, min(b.at for b in model))
        expected = states(model, start, end)
        for state in ("up", "down", "silent"):
            assert round(up[f"{state}_seconds"] * 1e6) == expected.count(state) * unit  # type: ignore[operator]
        assert up.since == moment(start, unit)
        assert up.until == moment(end, unit)
        if expected:
            assert up.uptime_percent == 100.0 * expected.count("up") / len(expected)
        else:
            assert up.uptime_percent is None
    found = [
        {
            "start": o.start_at,
            "end": o.end_at,
            "cause": o.cause,
            "status": o.status,
            "down": round(o.down_seconds * 1e6),
            "silent": round(o.silent_seconds * 1e6),
        }
        for o in store.outages(name, length, until=moment(until, unit))
    ]
    assert found == [
        {
            **o,
            "start": moment(o["start"], unit),  # type: ignore[arg-type]
            "end": o["end"] and moment(o["end"], unit),  # type: ignore[arg-type]
            "down": o["down"] * unit,  # type: ignore[operator]
            "silent": o["silent"] * unit,  # type: ignore[operator]
        }
        for o in outages(model, end - window, end, now)
    ]
    kept = store.query(
        "SELECT first_us, last_us, until_us, down FROM service_span "
        "WHERE service_name = ? ORDER BY first_us",
        (name,),
    )
    assert [tuple(row.values()) for row in kept] == [
        (BASE + first * unit, BASE + last * unit, BASE + end * unit, int(down))
        for first, last, end, down in spans(model)
    ]


@given(beats, st.integers(1, 60), st.integers(-5, 70))
def test_spans_uptime_and_outages_are_what_the_definition_says(
    store: MetricsStore, said: list[tuple[int, str, int]], window: int, until: int
) -> None:
    name = next(_names)
    for one in said:
        beat(store, name, one)
    assert_as_modelled(store, name, model_of(said), window, until)
    status = store.service_status(name)
    if said:
        assert status is not None
        last = deciding(model_of(said))[-1]
        assert (status.last_heartbeat, status.status) == (moment(last.at), last.status)
    else:
        assert status is None
    assert derived_problems(store) == []


@given(beats, st.randoms(use_true_random=False), st.booleans())
def test_the_order_in_which_heartbeats_come_in_changes_nothing(
    store: MetricsStore, said: list[tuple[int, str, int]], random: object, at_once: bool
) -> None:
    one, other = next(_names), next(_names)
    for each in said:
        beat(store, one, each)
    random.shuffle(said)  # type: ignore[attr-defined]
    if at_once:
        from metrics_store.services import recording

        checked = [
            recording.checked(
                store.database.clock.now_us(), other, status, f"task {every}", moment(at),
                every=every / 1e6,
            )
            for at, status, every in said
        ]  # fmt: skip
        recording.record(store.database, checked)
    else:
        for each in said:
            beat(store, other, each)
    for table in ("service_span", "system_status"):
        rows = [
            store.query(f"SELECT * FROM {table} WHERE service_name = ? ORDER BY 2, 3", (name,))
            for name in (one, other)
        ]
        for row in (*rows[0], *rows[1]):
            del row["service_name"]
        assert rows[0] == rows[1]
    assert derived_problems(store) == []


@given(st.lists(beats, min_size=2, max_size=5), st.lists(st.integers(5, 60), max_size=4), beats)
def test_retention_takes_nothing_from_uptime_and_late_heartbeats_still_count(
    open_store: Callable[..., MetricsStore],
    clock: SettableClock,
    rounds: list[list[tuple[int, str, int]]],
    keep: list[int],
    others: list[tuple[int, str, int]],
) -> None:
    second = 1_000_000
    clock.us = BASE + MOMENTS * second
    name, other, horizon = next(_names), next(_names), -(10**9)
    store = open_store(f"{name}.db")
    model: list[ModelBeat] = []
    for one in others:
        beat(store, other, one, second)
    for turn, said in enumerate(rounds):
        # Each round is ten units later, so that some of it is late and some is not.
        later = [(at + 10 * turn, status, every) for at, status, every in said]
        for one in later:
            if one[0] >= horizon:
                beat(store, name, one, second)
                model += model_of([one])
        if turn < len(keep):
            store.retain({"service": f"{keep[turn]} s"}, trust_clock=True)
            rows = store.query("SELECT before_at FROM retention_horizon WHERE family = 'service'")
            if rows:
                horizon = (parse(rows[0]["before_at"]) - BASE) // second
        assert derived_problems(store) == []
        clock.us += 10 * second
    assert_spans_alike(store, name, model, second)
    store.close()


def parse(text: object) -> int:
    return clock.parse(str(text))


def assert_spans_alike(store: MetricsStore, name: str, model: list[ModelBeat], unit: int) -> None:
    """As :func:`assert_as_modelled` over all of the time."""
    now = (store.database.clock.now_us() - BASE) // unit
    up = store.uptime(name, "1 year")
    if model:
        assert up is not None
        start = min(b.at for b in model)
        assert up.up_seconds == states(model, start, now).count("up") * unit / 1e6
        assert up.down_seconds == states(model, start, now).count("down") * unit / 1e6
        assert [(o.start_at, o.cause, o.status) for o in store.outages(name, "1 year")] == [
            (moment(o["start"], unit), o["cause"], o["status"])  # type: ignore[arg-type]
            for o in outages(model, start, now, now)
        ]
