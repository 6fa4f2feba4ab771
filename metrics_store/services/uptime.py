"""When a service was up, from its spans: a few rows, however many heartbeats there were.

A heartbeat vouches for its service until the next one, at most for its grace. Of heartbeats of one
moment a bad state is the last word. Time without a heartbeat that vouches for it is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from metrics_store import asked, clock
from metrics_store.connection import Database
from metrics_store.rows import Moment
from metrics_store.services.reading import Window, edges
from metrics_store.services.results import Outage, State, Uptime
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_MOST_PARTS = 1000

_Span = tuple[int, int, int, int, str | None]


class _Stretch(NamedTuple):
    """A time, in microseconds since 1970, in which a service was in one state."""

    start_us: int
    end_us: int
    state: State
    status: str | None = None


def uptime(database: Database, service: str, window: Window, until: Moment) -> Uptime | None:
    """How much of a window a service was up; None if nothing was heard of it by its end."""
    start_us, end_us = edges(database, window, until)
    with database.read() as connection:
        first_us = _first(connection, service)
        if first_us is None or first_us > end_us:
            return None
        start_us = max(start_us, first_us)
        spans = _spans(connection, service, _key(connection, service, start_us), end_us)
    times: dict[State, int] = {"up": 0, "down": 0, "silent": 0}
    outages, was_up = 0, True
    for stretch in _clipped(_stretches(spans, end_us), start_us, end_us):
        times[stretch.state] += stretch.end_us - stretch.start_us
        outages += was_up and stretch.state != "up"
        was_up = stretch.state == "up"
    length = end_us - start_us
    return Uptime(
        service,
        clock.text(start_us),
        clock.text(end_us),
        length / 1e6,
        times["up"] / 1e6,
        times["down"] / 1e6,
        times["silent"] / 1e6,
        100.0 * times["up"] / length if length else None,
        outages,
    )


def course(
    database: Database, service: str, window: Window, until: Moment, parts: int
) -> list[float | None]:
    """The uptime of each of the equal parts of a window, percent, oldest first; None where nothing
    was heard of the service yet."""
    asked.count("parts", parts, _MOST_PARTS)
    start_us, end_us = edges(database, window, until)
    bounds = [start_us + (end_us - start_us) * part // parts for part in range(parts + 1)]
    with database.read() as connection:
        first_us = _first(connection, service)
        if first_us is None:
            return [None] * parts
        spans = _spans(connection, service, _key(connection, service, start_us), end_us)
    up = [s for s in _stretches(spans, end_us) if s.state == "up"]
    shares: list[float | None] = []
    for start, end in pairwise(bounds):
        start = max(start, first_us)
        vouched = sum(s.end_us - s.start_us for s in _clipped(up, start, end))
        shares.append(100.0 * vouched / (end - start) if start < end else None)
    return shares


def outages(database: Database, service: str, window: Window, until: Moment) -> list[Outage]:
    """The outages of a service that a window has some of, oldest first."""
    start_us, end_us = edges(database, window, until)
    now_us = database.clock.now_us()
    with database.read() as connection:
        first_us = _first(connection, service)
        if first_us is None:
            return []
        # From the last time it was up: what began before the window began there.
        begin_us = _key(connection, service, start_us, down=0)
        spans = _spans(connection, service, begin_us, now_us + 1)
        return [
            _outage(service, stretches, lasts=lasts)
            for stretches, lasts in _not_up(_stretches(spans, now_us))
            if stretches[0].start_us < end_us and stretches[-1].end_us > start_us
        ]


def _outage(service: str, stretches: list[_Stretch], *, lasts: bool) -> Outage:
    start_us, end_us = stretches[0].start_us, stretches[-1].end_us
    down_us = sum(s.end_us - s.start_us for s in stretches if s.state == "down")
    return Outage(
        service,
        clock.text(start_us),
        None if lasts else clock.text(end_us),
        (end_us - start_us) / 1e6,
        "said" if stretches[0].state == "down" else "silent",
        next((s.status for s in stretches if s.state == "down"), None),
        down_us / 1e6,
        (end_us - start_us - down_us) / 1e6,
    )


def _not_up(stretches: Iterable[_Stretch]) -> Iterator[tuple[list[_Stretch], bool]]:
    """What lies between two times of being up, put together, and whether it goes on."""
    together: list[_Stretch] = []
    for stretch in stretches:
        if stretch.state != "up":
            together.append(stretch)
        elif together:
            yield together, False
            together = []
    if together:
        yield together, True


def _stretches(spans: Iterable[_Span], end_us: int) -> Iterator[_Stretch]:
    """The states of a service one after the other, without a gap, up to an end."""
    before: _Span | None = None
    for span in spans:
        if before is not None:
            yield from _vouched(before, span[0])
        before = span
    if before is not None:
        yield from _vouched(before, end_us)


def _vouched(span: _Span, next_us: int) -> Iterator[_Stretch]:
    """A span, and the silence after it, until the next one begins."""
    first_us, _, until_us, down, status = span
    until_us = min(until_us, next_us)
    yield _Stretch(first_us, until_us, "down" if down else "up", status)
    if until_us < next_us:
        yield _Stretch(until_us, next_us, "silent")


def _clipped(stretches: Iterable[_Stretch], start_us: int, end_us: int) -> Iterator[_Stretch]:
    for stretch in stretches:
        start, end = max(start_us, stretch.start_us), min(end_us, stretch.end_us)
        if start < end:
            yield stretch._replace(start_us=start, end_us=end)


def _first(connection: Connection, service: str) -> int | None:
    wanted = (asked.text("service", service),)
    row = connection.execute(query("services.first_span"), wanted).fetchone()
    return None if row[0] is None else int(row[0])


def _key(connection: Connection, service: str, us: int, down: int | None = None) -> int:
    """The beginning of the span that had begun by a moment; of the first one if none had."""
    row = connection.execute(query("services.span_at"), (service, us, down)).fetchone()
    return clock.MIN_US if row is None else int(row[0])


def _spans(connection: Connection, service: str, from_us: int, before_us: int) -> list[_Span]:
    return connection.execute(query("services.spans"), (service, from_us, before_us)).fetchall()
