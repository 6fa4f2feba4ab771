"""The keep rules, against a model of them and by what must hold whatever the clock did."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelves import made

from metrics_store import clock, manifest
from metrics_store.backup import place
from metrics_store.backup.keeping import Judged, Keep, Owner, plan, prune
from metrics_store.errors import BackupError, InvalidValue
from metrics_store.manifest import Entry

OURS = Owner("s", "/s/m.db")
NOW = "2026-03-10T12:00:00.000000Z"
NOW_US = clock.parse(NOW)


def entry(name: str, made_at: str, problem: str = "", **members: object) -> Entry:
    known = made(name, made_at=made_at, **members)
    return Entry(Path("/b") / name, 4, made_at, known, problem)


def kept(judged: tuple[Judged, ...]) -> list[str]:
    return [item.entry.path.name for item in judged if item.kept]


def daily(count: int, prefix: str = "", **members: object) -> list[Entry]:
    """One backup a day at noon, today's first."""
    today = datetime(2026, 3, 10, 12, tzinfo=UTC)
    moments = [clock.text(clock.of_datetime(today - timedelta(days=n))) for n in range(count)]
    return [entry(f"{prefix}{moment[:10]}.db", moment, **members) for moment in moments]


def test_the_newest_stay_and_one_a_day_and_one_a_week() -> None:
    stays = kept(plan(daily(40), Keep(last=2, daily=4, weekly=4), OURS, NOW))
    assert stays == [
        *("2026-03-10.db", "2026-03-09.db", "2026-03-08.db", "2026-03-07.db"),
        *("2026-03-01.db", "2026-02-22.db"),
    ]


def test_of_a_day_the_newest_stays() -> None:
    at = "2026-03-09T{}:00:00.000000Z"
    day = [entry(f"{hour}.db", at.format(hour)) for hour in ("08", "20", "14")]
    newest = entry("now.db", NOW)
    stays = kept(plan([*day, newest], Keep(last=1, daily=2, weekly=0), OURS, NOW))
    assert stays == ["now.db", "20.db"]


def test_days_without_a_backup_do_not_count() -> None:
    months = [entry(f"{month}.db", f"2025-0{month}-01T00:00:00.000000Z") for month in range(1, 8)]
    assert kept(plan(months, Keep(last=0, daily=3, weekly=0), OURS, NOW)) == [
        "7.db", "6.db", "5.db",
    ]  # fmt: skip


def test_weeks_are_those_of_iso_also_over_the_turn_of_a_year() -> None:
    days = ("2026-01-05", "2026-01-04", "2025-12-29", "2025-12-28")
    found = [entry(f"{day}.db", f"{day}T00:00:00.000000Z") for day in days]
    stays = kept(plan(found, Keep(last=0, daily=0, weekly=3), OURS, NOW))
    assert stays == ["2026-01-05.db", "2026-01-04.db", "2025-12-28.db"]


def test_the_newest_stays_whatever_the_rules_say() -> None:
    assert kept(plan(daily(3), Keep(0, 0, 0), OURS, NOW)) == ["2026-03-10.db"]


def test_a_damaged_one_is_neither_deleted_nor_taken_for_the_newest() -> None:
    found = [
        entry("cut.db", NOW, problem="it has 3 bytes, not 4"),
        entry("unsound.db", NOW, findings=3),
        *daily(3),
    ]
    assert set(kept(plan(found, Keep(0, 0, 0), OURS, NOW))) == {
        "unsound.db", "cut.db", "2026-03-10.db",
    }  # fmt: skip


def test_what_is_not_surely_a_backup_of_this_store_stays() -> None:
    unnamed = Entry(Path("/b/m-20250101T000000000000.db"), 4, "2025-01-01", None, "no manifest")
    others = [
        unnamed,
        *daily(3, "t", store_id="t"),
        *daily(3, "none", store_id=""),
        *daily(2, "cutover", reason="cutover"),
        *daily(2, "rollback", reason="rollback"),
        *daily(2, "change", reason="before schema change"),
    ]
    judged = plan([*others, *daily(1)], Keep(0, 0, 0), OURS, NOW)
    assert all(item.kept for item in judged)


def test_a_store_without_an_id_is_known_by_its_path() -> None:
    mine = daily(3, store_id="")
    elsewhere = daily(3, "x", store_id="", source="/other.db")
    judged = plan([*mine, *elsewhere], Keep(0, 0, 0), Owner("", "/s/m.db"), NOW)
    assert [item.entry.path.name for item in judged if not item.kept] == [
        "2026-03-09.db", "2026-03-08.db",
    ]  # fmt: skip


def test_what_is_dated_after_now_stays_and_pushes_nothing_out() -> None:
    ahead = [entry(f"ahead{n}.db", f"2027-0{n}-01T00:00:00.000000Z") for n in range(1, 6)]
    judged = plan([*ahead, *daily(5)], Keep(last=2, daily=0, weekly=0), OURS, NOW)
    assert kept(judged)[5:] == ["2026-03-10.db", "2026-03-09.db"]
    assert {item.why for item in judged[:5]} == {"dated after now"}


def test_copies_for_safety_stay_until_a_backup_is_newer_and_then_two_of_them_do() -> None:
    copies = [
        entry(f"{reason[7:]}{n}.db", f"2026-03-0{n}T00:00:00.000000Z", reason=reason, findings=n)
        for n, reason in enumerate(["before restore", "before repair"] * 3, 1)
    ]
    ordinary = entry("backup.db", "2026-03-05T00:00:00.000000Z")
    rules = Keep(1, 0, 0)
    assert len(kept(plan(copies, rules, OURS, NOW))) == 6
    stays = kept(plan([*copies, ordinary], rules, OURS, NOW))
    assert stays == ["repair6.db", "restore5.db", "backup.db", "repair4.db", "restore3.db"]
    ordinary = entry("backup.db", NOW)
    stays = kept(plan([*copies, ordinary], rules, OURS, NOW))
    assert stays == ["backup.db", "repair6.db", "restore5.db"]


MOMENTS = st.sampled_from(
    [
        f"{day}T{time}Z"
        for day in ("2025-12-28", "2025-12-29", "2026-01-01", "2026-03-08", "2026-03-09",
                    "2026-03-10", "2026-03-11", "2027-01-01")
        for time in ("00:00:00.000000", "12:00:00.000000", "23:59:59.999999")
    ]
)  # fmt: skip
ENTRIES = st.lists(
    st.tuples(
        MOMENTS,
        st.sampled_from(["manual"] * 6 + ["before restore", "before repair", "cutover"]),
        st.sampled_from(["s"] * 6 + ["t", ""]),
        st.sampled_from([""] * 6 + ["it has 3 bytes, not 4"]),
        st.sampled_from([0] * 6 + [2]),
    ),
    max_size=30,
).map(
    lambda rows: [
        entry(f"{n:02d}.db", moment, problem, reason=reason, store_id=store, findings=findings)
        for n, (moment, reason, store, problem, findings) in enumerate(rows)
    ]
)
RULES = st.builds(Keep, st.integers(0, 9), st.integers(0, 9), st.integers(0, 5))


def _model(found: list[Entry], keep: Keep) -> set[Path]:
    """What is deleted, written another way: from what each rule wants, not backup by backup."""
    candidates = [
        (one.made_at, one.path.name, one)
        for one in found
        if one.manifest is not None
        and not one.problem
        and one.manifest.store_id == "s"
        and one.made_at <= NOW
    ]
    candidates.sort(reverse=True)

    def of(reasons: tuple[str, ...], most: int | None = None) -> list[Entry]:
        return [
            one
            for _, _, one in candidates
            if one.manifest is not None
            and one.manifest.reason in reasons
            and (most is None or one.manifest.findings <= most)
        ]

    ordinary = of(("manual",), 0)
    wanted = set(ordinary[: max(keep.last, 1)])
    for length, count in ((lambda d: d.date(), keep.daily), (_week, keep.weekly)):
        spans: dict[object, Entry] = {}
        for one in ordinary:
            spans.setdefault(length(datetime.fromisoformat(one.made_at)), one)
        wanted |= set(sorted(spans.values(), key=lambda one: one.made_at, reverse=True)[:count])
    safety = of(("before restore", "before repair"))
    newest = max((one.made_at for one in ordinary), default="")
    wanted |= {one for one in safety if one.made_at >= newest}
    wanted |= set([one for one in safety if one.made_at < newest][:2])
    return {one.path for one in (*ordinary, *safety)} - {one.path for one in wanted}


def _week(moment: datetime) -> tuple[int, int]:
    return moment.isocalendar()[:2]


@given(ENTRIES, RULES)
def test_the_plan_is_the_models(found: list[Entry], keep: Keep) -> None:
    judged = plan(found, keep, OURS, NOW)
    assert {item.entry.path for item in judged} == {one.path for one in found}
    assert {item.entry.path for item in judged if not item.kept} == _model(found, keep)
    assert all(item.why for item in judged)


@given(ENTRIES, RULES)
def test_a_second_prune_finds_nothing_and_order_does_not_matter(
    found: list[Entry], keep: Keep
) -> None:
    stays = [item.entry for item in plan(found, keep, OURS, NOW) if item.kept]
    assert [item.entry for item in plan(found[::-1], keep, OURS, NOW) if item.kept] == stays
    assert all(item.kept for item in plan(stays, keep, OURS, NOW))


@given(st.lists(MOMENTS, min_size=1, max_size=40), RULES)
def test_backups_made_one_after_the_other_leave_the_last_one_whatever_the_clock_does(
    moments: list[str], keep: Keep
) -> None:
    there: list[Entry] = []
    for n, moment in enumerate(moments):
        new = entry(f"{n:02d}.db", moment)
        judged = plan([*there, new], keep, OURS, moment)
        there = [item.entry for item in judged if item.kept or item.entry is new]
        assert new in there


def test_a_negative_number_is_refused() -> None:
    for numbers in ((-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        with pytest.raises(InvalidValue):
            Keep(*numbers)


# Deleting


@pytest.fixture
def three_days(shelf: Callable[..., Path]) -> list[Path]:
    return [
        shelf(f"m-2026030{day}T120000000000.db", made_at=f"2026-03-0{day}T12:00:00.000000Z")
        for day in (1, 2, 3)
    ]


def names(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name != ".backups.lock")


def test_a_dry_run_deletes_nothing_and_the_real_one_what_it_said(
    tmp_path: Path, three_days: list[Path]
) -> None:
    before = names(tmp_path)
    dry = prune(tmp_path, Keep(1, 0, 0), OURS, NOW_US)
    assert names(tmp_path) == before
    assert [one.path for one in dry.due] == [three_days[1], three_days[0]]
    done = prune(tmp_path, Keep(1, 0, 0), OURS, NOW_US, execute=True)
    assert {one.path for one in done.deleted} == {one.path for one in dry.due}
    assert done.freed == dry.freed == 8
    assert names(tmp_path) == [three_days[2].name, f"{three_days[2].name}.json"]
    assert not done.failed


def test_one_that_was_just_made_stays_although_the_clock_was_set_back(
    tmp_path: Path, three_days: list[Path]
) -> None:
    done = prune(tmp_path, Keep(1, 0, 0), OURS, NOW_US, execute=True, made=three_days[0])
    assert [one.path for one in done.deleted] == [three_days[1]]
    assert done.judged[-1].why == "made just now"


def test_making_a_backup_deletes_no_copy_for_safety(
    tmp_path: Path, three_days: list[Path], shelf: Callable[..., Path]
) -> None:
    for n in range(1, 5):
        shelf(f"s{n}.db", reason="before restore", made_at=f"2026-02-0{n}T12:00:00.000000Z")
    done = prune(tmp_path, Keep(1, 0, 0), OURS, NOW_US, execute=True, made=three_days[2])
    assert [one.path for one in done.deleted] == three_days[:2]
    done = prune(tmp_path, Keep(1, 0, 0), OURS, NOW_US, execute=True)
    assert [one.path.name for one in done.deleted] == ["s1.db", "s2.db"]


def test_a_deletion_that_was_killed_midway_is_ended_by_the_next_run(
    tmp_path: Path, three_days: list[Path]
) -> None:
    os.rename(three_days[0], place.temporary_of(three_days[0]))
    with place.opened(tmp_path, NOW_US) as there:
        assert there.left_overs == (place.temporary_of(three_days[0]),)
    assert len(names(tmp_path)) == 4


def test_a_directory_that_is_not_there_has_nothing_to_prune(tmp_path: Path) -> None:
    done = prune(tmp_path / "none", Keep(), OURS, NOW_US, execute=True)
    assert (done.judged, done.deleted) == ((), ())
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BackupError):
        prune(tmp_path / "file", Keep(), OURS, NOW_US)


def test_a_link_or_a_path_in_a_manifest_leads_nowhere(tmp_path: Path, shelf) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"1234")
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in ("new.db", "new.db.json"):
        shelf("new.db", made_at=NOW)
        (tmp_path / name).rename(inside / name)
    known = made("m.db", made_at="2026-03-01T12:00:00.000000Z", source=str(outside))
    manifest.write(known, inside / "m.db")
    (inside / "m.db").symlink_to(outside)
    done = prune(inside, Keep(0, 0, 0), OURS, NOW_US, execute=True)
    assert not done.deleted
    assert outside.read_bytes() == b"1234"
