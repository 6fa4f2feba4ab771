"""A tracker's call becomes one row, whoever else brings its record in, and in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import Migration, refused
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.clock import parse, text
from metrics_store.errors import OtherMigration, StaleEpoch
from metrics_store.legacy import calls, importing
from metrics_store.legacy.calls import Call, Home, naive, nearest_us
from metrics_store.legacy.control import Phase
from metrics_store.legacy.report import ImportReport

RAW = "2026-03-10T12:00:00"


def call(name: str, seconds: float = 1.0, **more: object) -> Call:
    values = {
        "id": name,
        "skill_name": "x",
        "workflow_path": None,
        "raw_invoked_at": RAW,
        "invoked_us": parse(f"{RAW}Z"),
        "completed": True,
        "duration_seconds": seconds,
        "follow_up_actions": (),
        "error_type": None,
    }
    return Call(**{**values, **more})  # type: ignore[arg-type]


class Side:
    """A store and a legacy file of one skill, moment and path."""

    def __init__(self, store: MetricsStore, json_file: Path) -> None:
        self.store = store
        self.json_file = json_file
        self.home = Home(str(json_file), "UTC")

    def take(self, one: Call, *, in_json: bool = True) -> str:
        return calls.take(self.store, one, self.home, in_json=in_json)

    def backfill(self, *records: dict[str, object]) -> ImportReport:
        self.json_file.write_text(json.dumps({"invocations": records, "skills": {}}, indent=2))
        report = importing.take_in(self.store, self.json_file, zone="UTC")
        assert report.conserved
        return report

    def rows(self) -> list[dict[str, object]]:
        return self.store.query("SELECT * FROM skill_invocation ORDER BY seq")  # type: ignore[return-value]

    def lengths(self) -> list[object]:
        return sorted(row["duration_seconds"] for row in self.rows())  # type: ignore[type-var]


@pytest.fixture
def side(store: MetricsStore, tmp_path: Path) -> Side:
    return Side(store, tmp_path / "m.json")


def unfinished() -> dict[str, object]:
    return {**call("-").record(), "completed": False, "duration_seconds": None}


def test_dual_write_then_backfill_is_one_row(side: Side) -> None:
    one = call("a")
    side.take(one)
    report = side.backfill(one.record())
    assert (report.inserted, report.matched) == (0, 1)
    assert side.lengths() == [1.0]


def test_backfill_then_dual_write_is_one_row(side: Side) -> None:
    one = call("a")
    assert side.backfill(one.record()).inserted == 1
    side.take(one)
    assert side.lengths() == [1.0]


def test_the_same_call_again_adds_nothing_and_gives_the_same_row(side: Side) -> None:
    names = {side.take(call("a")) for _ in range(3)}
    assert len(names) == 1
    assert len(side.rows()) == 1


def test_twins_of_one_moment_are_as_many_rows_as_calls(side: Side) -> None:
    names = {side.take(call(name)) for name in "abc"}
    assert len(names) == 3
    assert side.backfill(*[call("-").record()] * 3).inserted == 0
    assert len(side.rows()) == 3


def test_identical_records_of_the_file_are_claimed_one_by_one(side: Side) -> None:
    side.backfill(*[call("-").record()] * 2)
    first, second, third = (side.take(call(name)) for name in "abc")
    assert len({first, second, third}) == 3
    assert len(side.rows()) == 3


def test_more_records_in_the_file_than_calls_make_as_many_rows_as_records(side: Side) -> None:
    side.take(call("a"))
    assert side.backfill(*[call("-").record()] * 4).inserted == 3
    assert len(side.rows()) == 4


def test_a_pending_record_that_was_taken_in_ends_as_the_same_row(side: Side) -> None:
    side.backfill(unfinished())
    one = call("a")
    side.take(one)
    assert side.store.query("SELECT * FROM skill_inflight") == []
    assert side.backfill(one.record()).inserted == 0
    assert side.lengths() == [1.0]


def test_a_call_takes_the_row_that_says_the_same_before_a_pending_one(side: Side) -> None:
    """Two twins were pending; a backfill saw one of them end before its own call came."""
    first, second = call("a", 1.0), call("b", 2.0)
    side.backfill(unfinished(), unfinished())
    assert side.backfill(first.record(), unfinished()).upgraded == 1
    side.take(first)
    side.take(second)
    assert side.lengths() == [1.0, 2.0]
    assert side.backfill(first.record(), second.record()).inserted == 0


def test_what_only_the_store_knows_is_kept_and_does_not_stand_in_the_way(side: Side) -> None:
    one = call("a", session_id="s1", project_path="/p", attributes='{"model":"m"}')
    side.take(one)
    assert side.backfill(one.record()).inserted == 0
    (row,) = side.rows()
    assert (row["session_id"], row["project_path"]) == ("s1", "/p")
    assert json.loads(str(row["attributes"])) == {"model": "m"}


def test_two_calls_that_differ_only_beyond_the_format_are_two_rows(side: Side) -> None:
    side.take(call("a", session_id="s1"))
    side.take(call("b", session_id="s2"))
    assert side.backfill(call("-").record(), call("-").record()).inserted == 0
    assert {row["session_id"] for row in side.rows()} == {"s1", "s2"}


def test_a_record_that_the_file_lost_stays(side: Side) -> None:
    side.take(call("a"))
    report = side.backfill()
    assert report.comparison.clean
    assert report.comparison.explained == {"only_in_store": 1}
    assert len(side.rows()) == 1


def test_a_call_that_the_file_never_had_is_a_plain_live_row(side: Side) -> None:
    assert side.take(call("a"), in_json=False) == "a"
    (row,) = side.rows()
    assert (row["id"], row["origin"], row["legacy"]) == ("a", "live", None)
    assert side.take(call("a"), in_json=False) == "a"
    assert len(side.rows()) == 1


def test_a_call_of_which_a_row_was_written_before_the_crash_is_taken_once(
    side: Side, open_store: Callable[..., MetricsStore]
) -> None:
    """Another process replays what the first one wrote but could not strike off its spill."""
    side.take(call("a"))
    side.store.close()
    again = Side(open_store(), side.json_file)
    again.take(call("a"))
    assert len(again.rows()) == 1


def test_a_call_in_the_hour_that_comes_twice_keeps_its_own_moment(
    store: MetricsStore, tmp_path: Path, clock: SettableClock
) -> None:
    clock.set("2026-10-26T00:00:00Z")
    berlin = Side(store, tmp_path / "m.json")
    berlin.home = Home(str(berlin.json_file), "Europe/Berlin")
    for name, moment in (("a", "2026-10-25T00:30:00Z"), ("b", "2026-10-25T01:30:00Z")):
        us = parse(moment)
        raw = naive(us, "Europe/Berlin")
        assert raw == "2026-10-25T02:30:00"
        assert nearest_us(raw, "Europe/Berlin", us) == us
        berlin.take(call(name, raw_invoked_at=raw, invoked_us=us))
    moments = [row["invoked_at"] for row in berlin.rows()]
    assert moments == ["2026-10-25T00:30:00.000000Z", "2026-10-25T01:30:00.000000Z"]


def test_a_writer_of_an_older_epoch_is_refused(migration: Migration) -> None:
    migration.to("dual_write")
    old = Home.of(migration.operator.control())
    migration.to("shadow")
    error = refused(lambda: calls.take(migration.store, call("a"), old, in_json=True))
    assert isinstance(error, StaleEpoch)
    assert migration.store.query("SELECT * FROM skill_invocation") == []


def test_a_writer_of_a_newer_epoch_rolls_the_store_forward(migration: Migration) -> None:
    """The control file was replaced, and the operator died before the store heard of it."""
    migration.to("dual_write")
    there = migration.operator.control()
    ahead = migration.operator.enter(there, Phase.SHADOW)
    calls.take(migration.store, call("a"), Home.of(ahead), in_json=True)
    (known,) = migration.store.query("SELECT epoch, phase FROM legacy_migration")
    assert known == {"epoch": ahead.epoch, "phase": "shadow"}


def test_the_store_of_another_migration_is_refused(migration: Migration) -> None:
    migration.to("dual_write")
    home = Home("/elsewhere.json", "UTC", "another-id", 9, "dual_write")
    error = refused(lambda: calls.take(migration.store, call("a"), home, in_json=True))
    assert isinstance(error, OtherMigration)
    assert migration.store.query("SELECT * FROM skill_invocation") == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("moment", ["2026-01-15T08:00:00.000001Z", "2026-07-15T23:59:59.999999Z"])
def test_a_naive_moment_means_the_moment_it_was_made_of(zone: str, moment: str) -> None:
    us = parse(moment)
    assert text(nearest_us(naive(us, zone), zone, us)) == text(us)
