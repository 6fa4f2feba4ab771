"""Writing heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from metrics_store import clock, logs, retrying, rows
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.families.services import SERVICES
from metrics_store.rows import Duration, Moment
from metrics_store.services.judging import Judge, Span, interval_us, judge_of
from metrics_store.services.results import Heartbeat
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: A heartbeat whose moment is given may be as far ahead of this machine's clock: another machine's
#: may be a little fast, and what is further ahead would be the newest one for as long.
AHEAD_US = 300 * clock.MICROSECONDS

Content = tuple[str, int, int, str, str | None, int, int, int | None, int | None]


class Beat(NamedTuple):
    """A heartbeat that was checked, before it is judged.

    Args:
        us: its moment, microseconds since 1970.
        latency_us, every_us: microseconds.
        created_us: when it was recorded.
    """

    service: str
    us: int
    status: str
    task: str | None
    latency_us: int | None
    every_us: int | None
    created_us: int

    def content(self, judge: Judge, ordinal: int) -> Content:
        """The columns of its row in the log."""
        return (
            self.service,
            self.us,
            ordinal,
            self.status,
            self.task,
            int(judge.is_down(self.status)),
            judge.grace(self.every_us),
            self.latency_us,
            None if self.created_us == self.us else self.created_us,
        )


def checked(
    now_us: int,
    service: str,
    status: str,
    current_task: str | None = None,
    at: Moment = None,
    latency: Duration = None,
    every: Span | None = None,
) -> Beat:
    """A heartbeat as its caller gives it; see ``MetricsStore.heartbeat``.

    Raises:
        InvalidValue: a value cannot be recorded, or ``at`` lies in the future.
    """
    us = now_us if at is None else rows.moment_us("at", at)
    if us > now_us + AHEAD_US:
        raise InvalidValue(
            f"at: {clock.text(us)} is in the future, it is {clock.text(now_us)}",
            hint="A clock is wrong. At most five minutes ahead are taken.",
        )
    return Beat(
        rows.label("service", service),
        us,
        rows.label("status", status),
        task(current_task),
        latency_us(latency),
        None if every is None else interval_us("every", every),
        now_us,
    )


def task(value: object) -> str | None:
    """What a service works on; no text and an empty one are the same.

    Raises:
        InvalidValue: it is something else.
    """
    return rows.optional("current_task", value) or None


def latency_us(value: Duration) -> int | None:
    """Whole microseconds of a latency in seconds.

    Raises:
        InvalidValue: it is negative, not finite, or past some 31 years.
    """
    return rows.duration_us(value, "latency")


def record(database: Database, beats: Sequence[Beat]) -> list[Heartbeat]:
    """Write heartbeats in one transaction.

    Raises:
        InvalidValue: one is of before what retention has deleted; none was written.
        WriteError: none was written.
    """
    contents: list[Content] = []

    def work(connection: Connection) -> None:
        # Of a try whose end is not known they are all there, or none.
        if contents and _is_there(connection, contents[-1]):
            return
        contents.clear()
        contents.extend(_judged(connection, beats))
        logs.append(connection, SERVICES, contents)

    retrying.write(database, work, rows=len(beats))
    return [heartbeat(content) for content in contents]


def _judged(connection: Connection, beats: Sequence[Beat]) -> list[Content]:
    """The rows of heartbeats, numbered within each moment."""
    judges: dict[str, Judge] = {}
    ordinals: dict[tuple[str, int], int] = {}
    horizon = logs.horizon(connection, SERVICES)
    found = []
    for beat in beats:
        if clock.text(beat.us) < horizon:
            raise InvalidValue(
                f"at: retention has deleted what was before {horizon}",
                hint="What is recorded of that time now could not be told from what was deleted.",
            )
        if beat.service not in judges:
            judges[beat.service] = judge_of(connection, beat.service)
        key = beat.service, beat.us
        if key not in ordinals:
            ordinals[key] = connection.execute(query("services.next_ordinal"), key).fetchone()[0]
        found.append(beat.content(judges[beat.service], ordinals[key]))
        ordinals[key] += 1
    return found


def _is_there(connection: Connection, content: Content) -> bool:
    values = (*content[:3], rows.digest(content))
    return connection.execute(query("services.is_there"), values).fetchone() is not None


def heartbeat(content: Content) -> Heartbeat:
    """The heartbeat of a row's content, as the log has it."""
    service, us, _, status, doing, down, grace_us, latency, created_us = content
    return Heartbeat(
        service,
        status,
        doing,
        clock.text(us),
        clock.text(us if created_us is None else created_us),
        bool(down),
        grace_us / 1e6,
        None if latency is None else latency / 1e6,
    )
