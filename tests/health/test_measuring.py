"""What health measures: each number against what was really done to a store."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from examining import GIB, disk, files
from settable_clock import SettableClock

from metrics_store import MetricsStore, Settings, schema, sqlite
from metrics_store.clock import parse, text
from metrics_store.health.growth import reckon

DAY = 86_400


def ago(clock: SettableClock, seconds: float) -> str:
    return text(clock.us - round(seconds * 1e6))


def test_an_empty_store_is_ok_and_has_rates_of_nothing(store: MetricsStore, look) -> None:
    report = look(store)
    assert (report.status, report.findings) == ("OK", ())
    m = report.metrics
    assert (m.invocations_total, m.invocations_week, m.in_flight, m.slow_calls_day) == (0, 0, 0, 0)
    assert m.success_rate_percent is None
    assert m.success_rate_total_percent is None
    assert m.newest_at is None
    assert m.disk_days_left is None
    assert m.schema_version == m.schema_latest
    assert report.at == "2026-03-10T12:00:00.000000Z"


def test_success_of_a_day_without_runs_is_unknown_and_not_nothing(
    store: MetricsStore, look, clock: SettableClock
) -> None:
    for completed in (True, True, False):
        store.record_invocation("a", completed, invoked_at=ago(clock, 3 * DAY))
    m = look(store).metrics
    assert m.success_rate_percent is None
    assert m.success_rate_total_percent == 66.667
    store.record_invocation("a", False)
    assert look(store).metrics.success_rate_percent == 0.0


def test_runs_of_an_hour_a_day_and_a_week_are_those_that_began_in_them(
    store: MetricsStore, look, clock: SettableClock
) -> None:
    clock.set("2026-03-10T12:34:56.789Z")
    chance = random.Random(4)
    spans = {"hour": 3600, "day": DAY, "week": 7 * DAY}
    ages = [chance.uniform(-1800, 9 * DAY) for _ in range(400)]
    ages += [edge + off for edge in spans.values() for off in (-0.000001, 0, 0.000001)]
    ages += [chance.uniform(0, 7200) for _ in range(100)]
    store.record_invocations(
        {"skill_name": f"s{chance.randrange(5)}", "invoked_at": ago(clock, age)} for age in ages
    )
    began = [round(age * 1e6) for age in ages]
    m = look(store).metrics
    assert m.invocations_total == len(ages)
    for name, seconds in spans.items():
        due = sum(0 <= us <= seconds * 1e6 for us in began)
        assert getattr(m, f"invocations_{name}") == due, name


def test_the_last_days_success_is_of_its_whole_hours(
    store: MetricsStore, look, clock: SettableClock
) -> None:
    clock.set("2026-03-10T12:30:00Z")
    # Its hour is that of the day's beginning; the one before is not.
    store.record_invocation("a", True, invoked_at="2026-03-09T12:10:00Z")
    store.record_invocation("a", False, invoked_at="2026-03-09T11:59:59Z")
    for skill, completed in (("a", True), ("b", True), ("c", False)):
        store.record_invocation(skill, completed, invoked_at="2026-03-10T12:29:00Z")
    assert look(store).metrics.success_rate_percent == 75.0


def test_the_files_are_as_large_as_the_system_says(store: MetricsStore, look) -> None:
    for _ in range(30):
        store.record_invocation("a")
    path, mib = Path(store.path), 1024 * 1024
    m = look(store).metrics
    assert m.database_mb == round(path.stat().st_size / mib, 3)
    assert m.wal_mb == round(os.stat(f"{path}-wal").st_size / mib, 3) > 0
    assert m.last_checkpoint_at == text(path.stat().st_mtime_ns // 1000)
    assert m.durability == "normal"
    if sqlite.version_info >= (3, 51, 0):
        frame = 4096 + 24
        assert m.wal_frames is not None
        assert 0 < m.wal_frames * frame <= os.stat(f"{path}-wal").st_size
        assert m.wal_unfolded_frames == m.wal_frames
    store.close()
    after = look(path).metrics
    assert (after.wal_mb, after.wal_frames, after.wal_unfolded_frames) == (0.0, 0, 0)


def test_growth_is_by_its_formula(store: MetricsStore, look, clock: SettableClock) -> None:
    store.record_invocations(
        {"skill_name": "a", "invoked_at": ago(clock, day * DAY)}
        for day in range(20)
        for _ in range(35)
    )
    free = 50 * GIB
    m = look(store, room=disk(free)).metrics
    connection = sqlite.connect(store.path, read_only=True)
    used = sum(
        sign * connection.execute(f"PRAGMA {name}").fetchone()[0]
        for sign, name in ((1, "page_count"), (-1, "freelist_count"))
    )
    connection.close()
    per_row = used * 4096 / 700
    week = 8 * 35  # today's, and those of the seven days before, to the moment
    assert m.bytes_per_row == round(per_row, 3)
    assert m.rows_per_day == 40.0
    assert m.invocations_week == week
    assert m.growth_mb_per_day == round(per_row * 40 / 1024 / 1024, 3)
    assert m.disk_days_left == round(free / (per_row * 40), 3)


@pytest.mark.parametrize(
    ("used", "rows", "week", "age_s", "free", "days"),
    [
        (1000, 10, 70, None, 10_000, 10.0),
        (1000, 10, 10, 2 * DAY, 10_000, 20.0),
        (1000, 10, 10, 5, 10_000, 10.0),  # an hour old: as a day
        (1000, 10, 10, -5, 10_000, 10.0),  # from the future
        (1000, 10, 0, 9 * DAY, 10_000, None),
        (1000, 0, 0, None, 10_000, None),
        (None, 10, 7, None, 10_000, None),
        (1000, 10, None, None, 10_000, None),
        (1000, 10, 7, None, None, None),
    ],
)
def test_what_did_not_grow_or_is_not_known_lasts_for_no_number_of_days(
    used, rows, week, age_s, free, days
) -> None:
    assert reckon(used, rows, week, age_s, free).days_left == days


_LEFT = """
import sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
for _ in range(3):
    store.track_invocation("left")
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_in_flight_is_counted_apart(
    store: MetricsStore, look, beside
) -> None:
    store.track_invocation("mine")
    process = beside(_LEFT, store.path)
    m = look(store).metrics
    assert (m.in_flight, m.in_flight_without_process) == (4, 0)
    process.kill()
    process.communicate(timeout=60)
    report = look(store)
    assert report.metrics.in_flight_without_process == 3
    [finding] = report.findings
    assert (finding.level, finding.kind, finding.value) == ("WARNING", "in_flight", 3.0)
    assert "reap" in finding.hint
    store.reap()
    m = look(store).metrics
    assert (m.in_flight, m.in_flight_without_process) == (1, 0)


def test_slow_calls_are_those_the_store_itself_has_noted(
    tmp_path: Path, new_file: Path, look, clock: SettableClock
) -> None:
    path = tmp_path / "slow.db"
    path.write_bytes(new_file.read_bytes())
    # Every call is slow to it.
    store = MetricsStore(settings=Settings(database=path, slow_ms=0), clock=clock)
    for _ in range(12):
        store.record_invocation("a")
        clock.advance(2)
    store.get_summary()
    clock.advance(2)
    store.close()
    report = look(path)
    m = report.metrics
    by_name = {slow.name: slow.calls for slow in m.slow_calls_by_name}
    assert m.slow_calls_day == sum(by_name.values())
    assert m.slow_calls_day >= 12
    assert by_name["MetricsStore.record_invocation"] >= 11
    assert m.slowest_ms is not None
    [finding] = report.findings
    assert (finding.level, finding.kind) == ("WARNING", "slow")
    assert "MetricsStore.record_invocation" in finding.hint
    clock.advance(DAY)
    assert look(path).metrics.slow_calls_day == 0


def test_a_store_that_nobody_has_open_is_read_without_a_trace(
    store: MetricsStore, look, tmp_path: Path
) -> None:
    store.record_invocation("a")
    store.close()
    before = files(tmp_path)
    assert look(Path(store.path)).metrics.invocations_total == 1
    assert files(tmp_path) == before
    assert not list(tmp_path.glob("*-shm"))


def test_a_store_that_another_process_writes_is_not_changed_by_looking(
    store: MetricsStore, run, beside, tmp_path: Path
) -> None:
    store.close()
    writer = beside(
        "import sys\nfrom metrics_store import MetricsStore\n"
        "store = MetricsStore(sys.argv[1])\nstore.record_invocation('a')\n"
        "print('ready', flush=True)\nsys.stdin.read()",
        store.path,
    )
    before = files(tmp_path)
    done = run("--db", store.path, "--metric", "invocations_total")
    assert (done.code, done.out) == (0, "1\n")
    assert files(tmp_path) == before
    writer.communicate(timeout=60)


def test_a_database_in_use_is_looked_at_through_its_own_view(store: MetricsStore, look) -> None:
    store.record_invocation("a")
    with store.database.read():
        m = look(store).metrics
        assert m.invocations_total == 1
        if m.readers is not None:
            assert m.readers == 1
        assert m.oldest_reader == f"this process (pid {os.getpid()})"
        assert m.oldest_reader_s is not None
        assert m.oldest_reader_s >= 0
    assert look(store).metrics.oldest_reader is None


def test_a_store_of_an_older_schema_is_measured_as_far_as_it_goes(
    open_store: Callable[..., MetricsStore], look
) -> None:
    store = open_store("old.db", new=True)
    store.record_invocation("a")
    latest = schema.version(store.database)
    for version in range(latest - 1, 1, -1):
        schema.roll_back(store.database, version)
        report = look(store)
        m = report.metrics
        assert (m.schema_version, m.schema_pending) == (version, latest - version)
        assert m.invocations_total == 1
        assert (m.slow_calls_day is None) is (version < 5)
        assert [finding.kind for finding in report.findings] == ["schema"]
        assert report.status == "WARNING"
    schema.roll_back(store.database, 1)
    assert look(store).metrics.invocations_total is None
    schema.roll_back(store.database, 0)
    assert look(store).status == "ERROR"


def test_a_store_of_a_newer_schema_is_measured_and_said_to_be_newer(
    store: MetricsStore, look, damaged
) -> None:
    store.record_invocation("a")
    store.close()
    connection = sqlite.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    report = look(Path(store.path))
    assert report.metrics.schema_ahead == 99 - (report.metrics.schema_latest or 0)
    assert report.metrics.invocations_total == 1
    assert [(f.level, f.kind) for f in report.findings] == [("ERROR", "schema")]


def test_ages_from_the_future_are_shown_as_such_and_are_a_finding(
    store: MetricsStore, look, clock: SettableClock
) -> None:
    now = clock.us
    store.record_invocation("a", invoked_at=text(now))
    clock.set("2025-03-10T12:00:00Z")  # the clock was set back by a year
    report = look(store)
    m = report.metrics
    assert m.newest_age_s == (parse("2025-03-10T12:00:00Z") - now) / 1e6 < 0
    assert m.clock_ahead_s == 365 * DAY
    assert (m.invocations_hour, m.invocations_day, m.invocations_week) == (0, 0, 0)
    assert m.success_rate_percent is None
    assert m.disk_days_left is None
    [finding] = report.findings
    assert (finding.level, finding.kind) == ("WARNING", "clock")
    assert "365 days in the future" in finding.detail
    clock.set("2027-03-10T12:00:00Z")  # a year ahead
    assert look(store).findings == ()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_clock_at_an_end_of_the_calendar_is_no_hindrance(
    store: MetricsStore, look, clock: SettableClock, moment: str
) -> None:
    store.record_invocation("a", invoked_at="2026-03-10T12:00:00Z")
    clock.set(moment)
    m = look(store).metrics
    assert (m.invocations_total, m.invocations_week) == (1, 0)
    assert m.newest_age_s is not None
