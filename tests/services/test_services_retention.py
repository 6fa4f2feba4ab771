"""Late heartbeats where retention has deleted the ones before, and the way there and back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from beats_model import ModelBeat
from settable_clock import SettableClock
from test_services_model import BASE, assert_spans_alike, derived_problems, moment

from metrics_store import MetricsStore, schema
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.services import recording
from metrics_store.services.recording import Beat
from metrics_store.settings import Settings

SECOND = 1_000_000
#: Of each service retention deletes the first two; the last one stays.
BASIC = ((0, "ok", 6), (10, "ok", 6), (20, "ok", 6))
LATE = list(product((15, 17, 20, 22), ("ok", "error"), (2, 6)))


def checked(store: MetricsStore, name: str, said: tuple[int, str, int]) -> Beat:
    at, status, every = said
    now_us = store.database.clock.now_us()
    return recording.checked(now_us, name, status, None, moment(at, SECOND), every=float(every))


def model_of(said: tuple[tuple[int, str, int], ...]) -> list[ModelBeat]:
    # In half seconds: the grace of 2 seconds is 5 seconds, of 6 it is 15.
    return [ModelBeat(at, status == "error", every * 5 // 2, status) for at, status, every in said]


def test_a_late_heartbeat_falls_right_where_the_one_before_it_was_deleted(
    store: MetricsStore, clock: SettableClock
) -> None:
    clock.us = BASE + 30 * SECOND
    cases = {f"{late}": late for late in product(LATE, LATE)}
    for status in ("ok", "error"):
        basic = tuple((at, status, every) for at, _, every in BASIC)
        first = [checked(store, f"{name} {status}", one) for name in cases for one in basic]
        recording.record(store.database, first)
    store.retain({"service": "15 s"}, trust_clock=True)
    assert store.query("SELECT count(*) AS n FROM system_status_history")[0]["n"] == 2 * len(cases)
    for status in ("ok", "error"):
        second = [
            checked(store, f"{name} {status}", one) for name, late in cases.items() for one in late
        ]
        recording.record(store.database, second)
    assert derived_problems(store) == []
    for name, late in cases.items():
        for status in ("ok", "error"):
            basic = tuple((at, status, every) for at, _, every in BASIC)
            assert_spans_alike(store, f"{name} {status}", model_of((*basic, *late)), SECOND)


def test_what_is_older_than_what_retention_keeps_is_refused(
    store: MetricsStore, clock: SettableClock
) -> None:
    store.heartbeat("librarian", "running", at="2026-01-01T00:00:00Z")
    store.heartbeat("librarian", "running", at="2026-03-01T00:00:00Z")
    assert [d.rows for d in store.retain(trust_clock=True).families] == [1]
    with pytest.raises(InvalidValue, match="retention has deleted"):
        store.heartbeat("librarian", "running", at="2026-01-09T11:59:59Z")
    store.heartbeat("librarian", "running", at="2026-01-09T12:00:00Z")


def test_the_newest_heartbeat_of_each_service_stays(
    store: MetricsStore, clock: SettableClock
) -> None:
    for name in ("a", "b", "c"):
        for day in range(1, 6):
            store.heartbeat(name, "running", at=f"2025-0{day}-01T00:00:00Z")
    store.heartbeat("c", "running")
    store.retain()
    rows = store.query(
        "SELECT service_name, heartbeat_timestamp AS at FROM system_status_history ORDER BY 1, 2"
    )
    assert [(row["service_name"], str(row["at"])[:7]) for row in rows] == [
        ("a", "2025-05"), ("b", "2025-05"), ("c", "2026-03")
    ]  # fmt: skip
    assert len(store.outages("a", "2 years")) == 5
    assert store.check("deep").ok


def test_the_schema_goes_back_and_forth_on_a_store_full_of_skills(
    open_store: Callable[..., MetricsStore],
) -> None:
    with open_store() as store:
        store.record_invocations([{"skill_name": "deploy"} for _ in range(20)])
        for at in ("2025-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"):
            store.heartbeat("librarian", "running", at=at, latency=1)
        store.retain(trust_clock=True)
        path = store.path
    database = Database(Settings.load(path), SettableClock())
    schema.roll_back(database, 6)
    with database.read() as connection:
        for table in ("rollup", "rollup_retired"):
            scopes = connection.execute(f"SELECT DISTINCT scope FROM {table}").fetchall()
            assert ("service",) not in scopes
        left = connection.execute(
            "SELECT name FROM sqlite_schema "
            "WHERE name GLOB 'service*' OR name GLOB 'system_status*'"
        ).fetchall()
        assert left == []
    database.close()
    with open_store() as store:
        assert store.get_skill_metrics("deploy").total_invocations == 20  # type: ignore[union-attr]
        assert store.service_status() == []
        store.heartbeat("librarian", "running", at="2025-01-01T00:00:00Z")
        assert store.check("deep").ok
