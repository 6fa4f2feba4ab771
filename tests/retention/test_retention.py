"""Retention deletes rows and no numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems
from hypothesis import given
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, clock
from metrics_store.errors import InvalidSetting, RetentionRefused, StoreNotWritable
from metrics_store.settings import Settings

Open = Callable[..., MetricsStore]
DAY = 86_400
NOW = "2026-03-10T12:00:00Z"


def aged(days: float, skill: str = "lint", **more: object) -> dict[str, object]:
    """A record of so many days ago."""
    at = clock.text(clock.parse(NOW) - round(days * DAY * 1e6))
    return {"skill_name": skill, "invoked_at": at, "duration_seconds": days % 7, **more}


def numbers(store: MetricsStore) -> list[dict[str, object]]:
    return store.query("SELECT * FROM rollup ORDER BY scope, period, subject, kind, label")


records = st.lists(
    st.builds(
        aged,
        st.floats(0, 40, allow_nan=False),
        st.sampled_from(["lint", "deploy", 'a"b']),
        workflow_path=st.sampled_from([None, "a/b", "c"]),
        session_id=st.sampled_from([None, "s1", "s2"]),
        completed=st.booleans(),
        follow_up_actions=st.lists(st.sampled_from(["x", "y"]), max_size=2),
    ),
    max_size=25,
)


@given(st.lists(st.tuples(records, st.floats(0.01, 40)), min_size=1, max_size=4))
def test_no_number_changes_however_often_and_late_rows_come(
    open_store: Open, turns: list[tuple[list[dict[str, object]], float]]
) -> None:
    kept, cut = open_store("kept.db"), open_store("cut.db")
    before = len(numbers(kept)) and kept.get_summary().total_invocations
    for batch, days in turns:
        kept.record_invocations(batch)
        cut.record_invocations(batch)
        due = cut.retention_plan({"skill": f"{days} days"}).rows
        done = cut.retain({"skill": f"{days} days"}, trust_clock=True)
        assert sum(deleted.rows for deleted in done.families) == due
        assert cut.retention_plan({"skill": f"{days} days"}).rows == 0
        assert numbers(kept) == numbers(cut)
    assert kept.get_all_metrics() == cut.get_all_metrics()
    assert kept.get_summary() == cut.get_summary()
    assert cut.check("deep").findings == ()
    total = sum(len(batch) for batch, _ in turns)
    assert kept.get_summary().total_invocations == before + total
    for store in (kept, cut):
        store.close()
        Path(store.path).unlink()


def test_rows_past_their_time_go_and_the_others_stay(store: MetricsStore) -> None:
    store.record_invocations([aged(n, invocation_id=f"{n} days") for n in reversed(range(10))])
    percentiles = store.get_skill_metrics("lint").p95_duration_seconds  # type: ignore[union-attr]
    plan = store.retention_plan({"skill": "5 days"})
    [skill] = [due for due in plan.families if due.family == "skill"]
    assert (skill.rows, skill.due, skill.keep_days) == (10, 4, 5.0)
    assert skill.before_at == "2026-03-05T12:00:00.000000Z"
    done = store.retain({"skill": "5 days"})
    assert [(d.family, d.rows) for d in done.families] == [("skill", 4)]
    assert done.complete
    left = {found.id for found in store.invocations(limit=20).invocations}
    assert left == {f"{n} days" for n in range(6)}
    metrics = store.get_skill_metrics("lint")
    assert metrics is not None
    assert (metrics.total_invocations, metrics.p95_duration_seconds) == (10, percentiles)
    again = store.retention_plan({"skill": "5 days"})
    assert (again.rows, again["families"][0].deleted) == (0, 4)  # type: ignore[index]


def test_skills_are_kept_for_ever_unless_somebody_says_otherwise(open_store: Open) -> None:
    store = open_store()
    store.record_invocations([aged(3000), aged(0)])
    assert store.retention_plan().rows == 0
    assert store.retain().families == ()
    store.close()
    settings = Settings(Path(store.path), retention=(("skill", "1 year"),))
    with MetricsStore(settings=settings, clock=SettableClock()) as other:
        assert other.retention_plan().rows == 1
        assert other.retention_plan({"skill": "forever"}).rows == 0
        assert other.retain().families[0].rows == 1


def test_the_number_of_a_row_is_never_given_again(store: MetricsStore) -> None:
    store.record_invocations([aged(9, invocation_id=str(n)) for n in range(5)])
    store.retain({"skill": "1 day"}, trust_clock=True)
    assert [found.id for found in store.invocations().invocations] == ["4"]
    store.record_invocation("lint", invocation_id="next")
    assert store.query("SELECT seq FROM skill_invocation WHERE id = 'next'") == [{"seq": 6}]


def test_a_record_that_was_deleted_is_not_counted_again(store: MetricsStore) -> None:
    batch = [aged(n, invocation_id=str(n)) for n in reversed(range(10))]
    store.record_invocations(batch)
    store.retain({"skill": "4 days"})
    result = store.record_invocations(batch)
    assert (result.inserted, result.already_there) == (0, 10)
    assert store.get_summary().total_invocations == 10


def test_a_clock_far_ahead_deletes_nothing(open_store: Open, clock: SettableClock) -> None:
    store = open_store()
    store.record_invocations([aged(n) for n in reversed(range(20))])
    clock.set("2027-03-10T12:00:00Z")
    with pytest.raises(RetentionRefused, match="365 days before"):
        store.retain({"skill": "30 days"})
    assert store.query("SELECT count(*) AS n FROM skill_invocation") == [{"n": 20}]
    assert store.retain({"skill": "30 days"}, trust_clock=True).families[0].rows == 19


def test_a_clock_set_back_deletes_less(open_store: Open, clock: SettableClock) -> None:
    store = open_store()
    store.record_invocations([aged(n) for n in reversed(range(20))])
    clock.set("2026-03-01T12:00:00Z")
    assert store.retain({"skill": "5 days"}).families[0].rows == 5
    clock.set("2020-03-01T12:00:00Z")
    assert store.retain({"skill": "5 days"}).families == ()


def begin_migration(store: MetricsStore) -> None:
    store.database.write(
        lambda connection: connection.execute(
            "INSERT INTO legacy_migration VALUES ('a', '/x.json', 1, 'database', ?)", (NOW,)
        )
    )


def test_a_way_back_to_json_keeps_every_row(store: MetricsStore) -> None:
    store.record_invocations([aged(n) for n in reversed(range(20))])
    begin_migration(store)
    [skill] = store.retention_plan({"skill": "5 days"}).families[:1]
    assert skill.due == 14
    assert "way back" in skill.held
    assert store.retain({"skill": "5 days"}).families == ()


def test_a_migration_that_starts_meanwhile_keeps_the_rows_that_are_left(
    store: MetricsStore,
) -> None:
    store.record_invocations([aged(n / 100) for n in reversed(range(2000))])
    deleted: list[int] = []

    def begin_once(family: str, rows: int) -> None:
        deleted.append(rows)
        if len(deleted) == 1:
            begin_migration(store)

    [done] = store.retain({"skill": "5 days"}, progress=begin_once).families
    assert done.rows == deleted[0] < 1000
    left = store.query("SELECT count(*) AS n FROM skill_invocation")
    assert left == [{"n": 2000 - done.rows}]


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        ({"skil": "5 days"}, "There are: "),
        ({"skill": "5 parsecs"}, "Such as '180 days'"),
        ({"skill": "-5 days"}, "Such as '180 days'"),
        ({"skill": ""}, "Such as '180 days'"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(
    store: MetricsStore, keep: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidSetting) as caught:
        store.retain(keep)
    assert words in caught.value.hint


def test_the_setting_comes_from_toml_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "metrics_store.toml"
    file.write_text('[retention]\nskill = "2 years"\nservice = "forever"\n', encoding="utf-8")
    assert dict(Settings.load(config=file, environ={}).retention) == {
        "skill": "2 years",
        "service": "forever",
    }
    environ = {"METRICS_STORE_RETENTION": "skill = 9 days, agent_rollups=forever"}
    assert dict(Settings.load(config=file, environ=environ).retention) == {
        "skill": "9 days",
        "agent_rollups": "forever",
    }
    for wrong in ("skill", "skill=", {"skill": 5}, 7):
        with pytest.raises(InvalidSetting):
            Settings.load(retention=wrong, config=file, environ={})


def test_a_store_for_reading_is_not_touched(open_store: Open) -> None:
    store = open_store()
    store.record_invocations([aged(9), aged(0)])
    store.close()
    with open_store(read_only=True) as reading:
        assert reading.retention_plan({"skill": "1 day"}).rows == 1
        with pytest.raises(StoreNotWritable):
            reading.retain({"skill": "1 day"})


def test_a_backup_from_before_still_fits_and_a_lost_end_is_still_seen(
    open_store: Open, tmp_path: Path, damaged: Callable[[str], None]
) -> None:
    store = open_store()
    # The newest row by its moment is not the last one of the log.
    store.record_invocations([aged(0, invocation_id="new")] + [aged(9 + n) for n in range(5)])
    store.back_up(tmp_path / "backups")
    store.record_invocation("lint")
    store.retain({"skill": "5 days"})
    assert store.check().findings == ()
    assert problems(store.path) == []


def test_rows_are_deleted_in_batches_and_the_rest_the_next_time(store: MetricsStore) -> None:
    store.record_invocations([aged(9 + n / 100) for n in range(500)] + [aged(0)])
    done = store.retain({"skill": "5 days"}, seconds=0)
    assert (done.families, done.complete, done.batches) == ((), False, 0)
    done = store.retain({"skill": "5 days"})
    assert (done.families[0].rows, done.complete) == (500, True)
    assert done.batches > 1
    json.dumps(done.as_dict())
