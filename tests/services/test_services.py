"""Heartbeats one by one: what is recorded, what it means now, what is refused."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore, schema
from metrics_store.errors import InvalidQuery, InvalidValue, StoreNotWritable
from metrics_store.families.services import SERVICES
from metrics_store.services.judging import BAD

HOSTILE = ("a'b\"; DROP TABLE x", "two\nlines", "\x1b[31mred", "\u202egnp", "x" * 16_384, "ünï😀")


def test_the_migration_has_the_declaration_to_the_letter() -> None:
    text = (schema.migrations_directory() / "0007_services.sql").read_text()
    assert SERVICES.triggers() in text
    assert SERVICES.guards() in text


def test_a_heartbeat_is_in_the_log_and_in_the_current_row(store: MetricsStore) -> None:
    beat = store.heartbeat("librarian", "running", "indexing", latency=0.25)
    assert beat.heartbeat_timestamp == beat.created_at == "2026-03-10T12:00:00.000000Z"
    assert (beat.down, beat.grace_seconds, beat.latency_seconds) == (False, 150.0, 0.25)
    names = "service_name, status, current_task, {}"
    (row,) = store.query(
        f"SELECT {names.format('heartbeat_timestamp, created_at')} FROM system_status_history"
    )
    assert tuple(row.values()) == ("librarian", "running", "indexing", *[beat.created_at] * 2)
    (row,) = store.query(f"SELECT {names.format('last_heartbeat, updated_at')} FROM system_status")
    assert tuple(row.values()) == ("librarian", "running", "indexing", *[beat.created_at] * 2)
    assert store.service_history("librarian") == [beat]


def test_a_service_is_up_within_its_grace_and_silent_after_it(
    store: MetricsStore, clock: SettableClock
) -> None:
    assert store.service_status("librarian") is None
    assert store.service_status() == []
    store.heartbeat("librarian", "running", every="2 min")
    clock.advance(300)
    status = store.service_status("librarian")
    assert status is not None
    assert (status.state, status.age_seconds, status.grace_seconds) == ("up", 300.0, 300.0)
    clock.advance(0.000001)
    assert store.service_status()[0].state == "silent"
    store.heartbeat("librarian", "Error")
    assert store.service_status("librarian").state == "down"  # type: ignore[union-attr]


def test_a_late_heartbeat_does_not_move_the_current_row_back(store: MetricsStore) -> None:
    store.heartbeat("librarian", "running", "now")
    late = store.heartbeat("librarian", "error", "then", at="2026-03-10T12:30:00+01:00")
    assert late.heartbeat_timestamp == "2026-03-10T11:30:00.000000Z"
    assert late.created_at == "2026-03-10T12:00:00.000000Z"
    status = store.service_status("librarian")
    assert status is not None
    assert (status.status, status.current_task) == ("running", "now")
    (outage,) = store.outages("librarian", "1 hour")
    assert (outage.start_at, outage.end_at, outage.cause, outage.status) == (
        late.heartbeat_timestamp, "2026-03-10T12:00:00.000000Z", "said", "error"
    )  # fmt: skip
    assert (outage.down_seconds, outage.silent_seconds) == (150.0, 1650.0)


def test_a_clock_that_was_a_year_ahead_hides_nothing(
    store: MetricsStore, clock: SettableClock
) -> None:
    store.heartbeat("librarian", "running", "before")
    clock.set("2027-03-10T12:00:00Z")
    store.heartbeat("librarian", "running", "a year ahead")
    store.heartbeat("lonely", "running")
    clock.set("2026-03-10T12:01:00Z")
    store.heartbeat("librarian", "error", "after")
    status = store.service_status("librarian")
    assert status is not None
    assert (status.current_task, status.state) == ("after", "down")
    assert status.ahead_seconds == 365 * 86_400 - 60
    lonely = store.service_status("lonely")
    assert lonely is not None
    assert lonely.state == "silent"
    assert lonely.ahead_seconds == 365 * 86_400 - 60
    assert store.uptime("lonely") is None
    up = store.uptime("librarian", "1 hour")
    assert up is not None
    assert (up.seconds, up.up_seconds, up.outages) == (60.0, 60.0, 0)


def test_a_moment_in_the_future_is_refused_but_for_a_clock_a_little_fast(
    store: MetricsStore,
) -> None:
    store.heartbeat("librarian", "running", at="2026-03-10T12:05:00Z")
    status = store.service_status("librarian")
    assert status is not None
    assert (status.state, status.age_seconds, status.ahead_seconds) == ("up", 0.0, None)
    with pytest.raises(InvalidValue, match="future"):
        store.heartbeat("librarian", "running", at="2026-03-10T12:05:00.000001Z")


def test_moments_are_exact_to_the_microsecond_also_before_1970(store: MetricsStore) -> None:
    for moment in (
        "0001-01-01T00:00:00.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.000001Z",
        "1969-07-20T20:17:40.000000Z",
    ):
        store.heartbeat(moment, "running", at=moment)
        (row,) = store.query(
            "SELECT heartbeat_timestamp, last_heartbeat, first_at FROM system_status_history "
            "JOIN system_status USING (service_name) JOIN service_span USING (service_name) "
            "WHERE service_name = ?",
            (moment,),
        )
        assert set(row.values()) == {moment}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_a_name_a_status_and_a_task(
    store: MetricsStore, clock: SettableClock, name: str
) -> None:
    store.set_service(name, bad_statuses=[name])
    beat = store.heartbeat(name, name, name)
    assert (beat.service_name, beat.status, beat.current_task) == (name, name, name)
    clock.advance(1)
    assert [one.service_name for one in store.service_status()] == [name]
    assert store.outages(name)[0].status == name


@pytest.mark.parametrize(
    "given",
    [
        {"service": ""},
        {"service": 7},
        {"status": ""},
        {"status": "\ud800"},
        {"current_task": "x" * 16_385},
        {"latency": -1.0},
        {"latency": math.nan},
        {"latency": math.inf},
        {"latency": True},
        {"at": "yesterday"},
        {"at": "2026-03-10T12:00:00"},
        {"every": 0},
        {"every": "soon"},
        {"every": 1e-9},
    ],
)
def test_what_cannot_be_recorded_is_refused(store: MetricsStore, given: dict[str, object]) -> None:
    with pytest.raises((InvalidValue, InvalidQuery)):
        store.heartbeat(**{"service": "librarian", "status": "running", **given})  # type: ignore[arg-type]
    assert store.service_status() == []


def test_a_setting_counts_for_what_is_recorded_afterwards(
    store: MetricsStore, clock: SettableClock
) -> None:
    assert store.service_setting("librarian").bad_statuses == tuple(sorted(BAD))
    before = store.heartbeat("librarian", "broken")
    store.set_service("librarian", every="5 min", bad_statuses=["Broken"])
    clock.advance(60)
    after = store.heartbeat("librarian", "BROKEN")
    assert (before.down, before.grace_seconds) == (False, 150.0)
    assert (after.down, after.grace_seconds) == (True, 750.0)
    assert store.heartbeat("librarian", "error", every=10).grace_seconds == 25.0
    store.set_service("librarian", grace=90)
    assert store.heartbeat("librarian", "error", every=10).grace_seconds == 90.0
    setting = store.set_service("librarian", bad_statuses="default")
    assert setting.own == ("every_seconds", "grace_seconds")
    assert store.service_settings() == [setting]
    store.set_service("librarian", every="default", grace="default")
    assert store.service_settings() == []
    for wrong in ({"every": -1}, {"grace": "soon"}, {"bad_statuses": "error"}):
        with pytest.raises((InvalidValue, InvalidQuery)):
            store.set_service("librarian", **wrong)  # type: ignore[arg-type]


def test_what_cannot_be_asked_is_refused(store: MetricsStore) -> None:
    store.heartbeat("librarian", "running")
    for call in (
        lambda: store.uptime("librarian", "soon"),
        lambda: store.outages("librarian", -5),
        lambda: store.service_history("librarian", "1 h", limit=0),
        lambda: store.uptime("librarian", "1 h", until="then"),
        lambda: store.trend("librarian", days=0),
    ):
        with pytest.raises((InvalidQuery, InvalidValue)):
            call()
    assert store.uptime("nobody") is None
    assert store.outages("nobody") == store.service_history("nobody") == []
    assert store.trend("nobody") is None


def test_a_store_opened_for_reading_takes_no_heartbeat(
    open_store: Callable[..., MetricsStore],
) -> None:
    open_store().heartbeat("librarian", "running")
    reading = open_store(read_only=True)
    assert reading.service_status()[0].state == "up"
    with pytest.raises(StoreNotWritable):
        reading.heartbeat("librarian", "running")


def test_damage_of_what_is_derived_is_found_and_mended(
    store: MetricsStore, tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    for at in range(5):
        moment = f"2026-03-10T11:5{at}:00Z"
        store.heartbeat("librarian", "running" if at != 2 else "error", at=moment)
    before = store.query("SELECT * FROM service_span")
    assert len(before) == 3
    for statement in (
        "UPDATE service_span SET until_us = until_us + 1 WHERE down",
        "UPDATE system_status SET status = 'other'",
    ):
        store.database.write(lambda db, sql=statement: db.execute(sql))  # type: ignore[misc]
    kinds = {(finding.kind, finding.table) for finding in store.check().findings}
    assert kinds == {
        (kind, table)
        for kind in ("derived_extra", "derived_missing")
        for table in ("service_span", "system_status")
    }
    store.repair()
    for copy in tmp_path.glob("*.backups/*.db"):
        damaged(copy)  # of before the repair
    assert store.query("SELECT * FROM service_span") == before
    assert store.service_status()[0].status == "running"
    assert store.check("deep").ok


def test_uptime_of_many_days_reads_a_few_rows(store: MetricsStore, clock: SettableClock) -> None:
    clock.set("2026-03-10T12:00:00Z")
    store.heartbeat("librarian", "running", every="30 days", at="2026-01-10T12:00:00Z")
    began = time.perf_counter()
    course = store.uptime_course("librarian", "90 days", 90)
    assert time.perf_counter() - began < 5
    assert course[:31] == [None] * 31
    assert course[31:] == [100.0] * 59
