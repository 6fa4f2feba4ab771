"""Totals that no record explains: trimmed logs, double ends, copies, and plain nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.legacy import importing
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import ImportReport

FILES = Path(__file__).parent / "files"
NUMBER = count()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


def call(n: int, **members: object) -> dict[str, object]:
    """The n-th call of a skill, of one second."""
    moment = f"2025-02-10T{12 + n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
    base = {"skill_name": "s", "invoked_at": moment, "workflow_path": "p", "completed": True}
    return {
        **base,
        "duration_seconds": 1.0,
        "follow_up_actions": ["a"],
        "error_type": None,
        **members,
    }


def totals(n: int, completed: int | None = None, **members: object) -> dict[str, object]:
    """What the tracker's totals are after n such calls."""
    completed = n if completed is None else completed
    return {
        "skill_name": "s",
        "total_invocations": n,
        "completed_invocations": completed,
        "total_duration_seconds": float(completed),
        "workflow_paths": {"p": n},
        "common_errors": {},
        "follow_up_actions": {"a": n},
        "first_invoked": "2025-02-10T12:00:00",
        "last_invoked": "2025-02-10T12:00:59",
        **members,
    }


Take = Callable[..., ImportReport]


@pytest.fixture
def take(store: MetricsStore, tmp_path: Path) -> Take:
    """Take in a file with these calls and these totals."""

    def taken(
        calls: range, stated: object, at: int = 0, name: str = "f", **skills: object
    ) -> ImportReport:
        document = {
            "invocations": [call(n) for n in calls],
            "skills": {"s": stated, **skills},
            "last_updated": f"2025-02-10T13:00:{at:02d}",
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        report = take_in(store, tmp_path / f"{name}.json", zone="UTC")
        assert report.conserved
        assert report.comparison.clean
        return report

    return taken


def counted(store: MetricsStore) -> tuple[int, int, float, dict[str, int], dict[str, int]]:
    """The classic totals of the skill, the rows' and the baseline together."""
    metrics = store.get_skill_metrics("s")
    assert metrics is not None
    return (
        metrics.total_invocations,
        metrics.completed_invocations,
        metrics.total_duration_seconds,
        dict(metrics.workflow_paths),
        dict(metrics.follow_up_actions),
    )


def exactly(n: int) -> tuple[int, int, float, dict[str, int], dict[str, int]]:
    return n, n, float(n), {"p": n}, {"a": n}


def test_totals_of_a_trimmed_log_are_added_to_its_records(take: Take, store: MetricsStore) -> None:
    report = take(range(6, 10), totals(10))
    (line,) = report.baseline
    assert (line.skill_name, line.total_invocations, line.completed_invocations) == ("s", 6, 6)
    assert line.total_duration_seconds == 6.0
    assert counted(store) == exactly(10)
    assert report.anomalies == ()


def test_a_log_that_is_trimmed_on_between_two_imports_is_counted_once(
    take: Take, store: MetricsStore
) -> None:
    for at in range(8):
        report = take(range(4 * at, 4 * at + 6), totals(4 * at + 6), at)
        assert counted(store) == exactly(4 * at + 6)
        assert report.baseline == ()
        assert report.comparison.explained.get("only_in_store", 0) == 4 * at
    take(range(40, 44), totals(44), 9)
    assert counted(store) == exactly(44)


def test_an_older_copy_brings_its_records_and_no_totals(take: Take, store: MetricsStore) -> None:
    take(range(6, 10), totals(12), at=9)
    assert counted(store) == exactly(12)
    for _ in range(2):
        older = take(range(6), totals(6), at=1)
        assert counted(store) == exactly(12)
        assert [line.total_invocations for line in older.baseline] == [2]
        assert older.anomalies == ()
    take(range(6, 10), totals(12), at=9)
    assert counted(store) == exactly(12)


def test_an_older_copy_under_another_path_belongs_to_the_same_history(
    take: Take, store: MetricsStore
) -> None:
    take(range(6, 10), totals(10), at=9)
    take(range(2, 7), totals(7), at=1, name="backup")
    assert counted(store) == exactly(10)
    take(range(8, 12), totals(12), at=10, name="backup")
    assert counted(store) == exactly(12)


def test_a_copy_between_two_histories_makes_them_one(take: Take, store: MetricsStore) -> None:
    take(range(3), totals(3), at=1, name="a")
    take(range(6, 10), totals(11), at=3, name="b")
    assert counted(store) == exactly(14)
    take(range(2, 8), totals(8), at=2, name="c")
    assert counted(store) == exactly(11)


def test_a_record_that_an_older_copy_has_unfinished_is_counted_once(
    store: MetricsStore, tmp_path: Path
) -> None:
    unfinished = call(1, completed=False, duration_seconds=None, follow_up_actions=[])
    for at, last, n in ((2, call(1), 2), (1, unfinished, 1)):
        document = {
            "invocations": [call(0), last],
            "skills": {"s": totals(n)},
            "last_updated": str(at),
        }
        (tmp_path / "f.json").write_text(json.dumps(document))
        take_in(store, tmp_path / "f.json", zone="UTC")
        assert counted(store) == exactly(2)


def test_a_tracker_that_began_anew_takes_nothing_away(take: Take, store: MetricsStore) -> None:
    """What it cannot parse becomes an empty history at its next save: totals begin at nought."""
    take(range(10), totals(10), at=1)
    anew = take(range(20, 22), totals(2), at=2)
    assert counted(store) == exactly(12)
    assert anew.comparison.explained == {"only_in_store": 10}
    assert all(line.total_invocations >= 0 for line in anew.baseline)


@given(
    copies=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 6)), min_size=1, max_size=5),
    twins=st.booleans(),
)
def test_copies_of_any_age_however_trimmed_come_to_what_the_newest_states(
    copies: list[tuple[int, int]],
    twins: bool,
    open_store: Callable[..., MetricsStore],
    tmp_path: Path,
) -> None:
    """Each copy: how many calls there had been, and how many of the last ones the log still had."""
    file = tmp_path / "f.json"
    with open_store(f"{next(NUMBER)}.db") as store:
        for n, kept in copies:
            calls = [call(i // (1 + twins), error_type=str(i)) for i in range(max(0, n - kept), n)]
            stated = totals(n, common_errors={str(i): 1 for i in range(n)})
            stamp = f"2025-02-10T13:00:{n:02d}"
            document = {"invocations": calls, "skills": {"s": stated}, "last_updated": stamp}
            file.write_text(json.dumps(document))
            assert take_in(store, file, zone="UTC").conserved
        assert counted(store) == exactly(max(n for n, _ in copies))


def test_totals_below_the_records_are_reported_and_not_applied(
    take: Take, store: MetricsStore
) -> None:
    report = take(range(5), totals(3))
    assert counted(store) == exactly(5)
    assert [text for text in report.anomalies if "total_invocations" in text and "2 less" in text]


def test_two_histories_that_share_nothing_add_up(take: Take, store: MetricsStore) -> None:
    take(range(6, 10), totals(10), name="a")
    take(range(20, 22), totals(5), name="b")
    assert counted(store) == exactly(15)
    take(range(6, 10), totals(10), name="a")
    assert counted(store) == exactly(15)


def test_a_torn_copy_leaves_the_totals_alone(
    take: Take, store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "copy_stable", partial(copy_stable, sleep=lambda _: None))
    take(range(6, 10), totals(12), at=5)
    file = tmp_path / "f.json"
    text = file.read_text()
    file.write_text(text[: text.index('"last_updated"')])
    assert take_in(store, file).torn is not None
    assert counted(store) == exactly(12)
    take(range(5, 8), totals(8), at=1)
    assert counted(store) == exactly(12)


def test_a_lost_twin_is_still_counted_once(store: MetricsStore, tmp_path: Path) -> None:
    twins = [call(0, duration_seconds=0.5), call(0, duration_seconds=1.5)]
    for left in (twins, twins[1:], twins[:1], []):
        document = {"invocations": left, "skills": {"s": totals(2)}}
        (tmp_path / "f.json").write_text(json.dumps(document))
        report = take_in(store, tmp_path / "f.json", zone="UTC")
        assert report.comparison.clean
        assert report.comparison.explained.get("only_in_store", 0) == 2 - len(left)
        assert counted(store) == exactly(2)


@pytest.mark.parametrize(
    "stated",
    [
        5, None, [], "text", True,
        totals("5"), totals(1.5), totals(True), totals(1e300), totals(float("nan")), totals(2**60),
        totals(1, total_duration_seconds="abc"), totals(1, total_duration_seconds=1e300),
        totals(1, total_duration_seconds=1e13), totals(1, total_duration_seconds=float("inf")),
        totals(1, workflow_paths=[]), totals(1, workflow_paths={"p": "x"}),
        totals(1, common_errors={"\ud800": 1}), totals(1, follow_up_actions={"a": float("inf")}),
        totals(1, first_invoked="yesterday"), totals(1, last_invoked="\ud800"),
    ],
)  # fmt: skip
def test_totals_that_cannot_be_read_are_an_anomaly(
    stated: object, take: Take, store: MetricsStore
) -> None:
    report = take(range(2), stated, t=totals(3, skill_name="t"))
    assert [text for text in report.anomalies if "'s'" in text and "cannot be read" in text]
    assert counted(store) == exactly(2)
    assert store.get_summary().total_invocations == 5


@given(stated=st.dictionaries(st.sampled_from(sorted(totals(1))), json_values) | json_values)
def test_no_totals_at_all_make_it_crash(
    stated: object, take: Take, store: MetricsStore, tmp_path: Path
) -> None:
    first = take(range(2), stated, **{"\ud800": totals(1), "": totals(1)})
    assert first.skills >= 1
    assert store.get_summary().total_invocations >= 2
    assert store.get_all_metrics()
    store.export_legacy(tmp_path / "out.json")
    json.loads((tmp_path / "out.json").read_text())


@pytest.mark.parametrize("last_updated", ['"\\ud800"', "5", "null", "[]", '""', '"\\u0000"'])
def test_an_odd_last_updated_is_no_obstacle(
    last_updated: str, store: MetricsStore, tmp_path: Path
) -> None:
    text = json.dumps({"invocations": [call(0)], "skills": {"s": totals(4)}})
    (tmp_path / "f.json").write_text(f'{text[:-1]}, "last_updated": {last_updated}}}')
    for _ in range(2):
        take_in(store, tmp_path / "f.json", zone="UTC")
        assert counted(store) == exactly(4)


def test_totals_without_a_log_stand_by_themselves(store: MetricsStore, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(json.dumps({"skills": {"s": totals(4)}}))
    for _ in range(2):
        report = take_in(store, tmp_path / "f.json", zone="UTC")
        assert (report.read, report.skills) == (0, 1)
        assert counted(store) == exactly(4)


@pytest.mark.parametrize("name", ["pruned", "double_completed", "hand_edited"])
def test_the_totals_of_the_real_files_are_met(name: str, store: MetricsStore) -> None:
    take_in(store, FILES / f"{name}.json", zone="UTC")
    stated = json.loads((FILES / f"{name}.json").read_text())["skills"]
    for skill, their in stated.items():
        ours = store.get_skill_metrics(skill)
        assert ours is not None
        for member in ("total_invocations", "completed_invocations", "common_errors"):
            assert getattr(ours, member) == their[member], (skill, member)
        assert ours.total_duration_seconds == pytest.approx(their["total_duration_seconds"])


def test_totals_that_shrink_because_records_were_erased_take_nothing_from_the_baseline(
    take: Take, store: MetricsStore
) -> None:
    take(range(10), totals(50), at=1)  # ten records; forty more are in no log any more
    assert counted(store) == exactly(50)
    # Another tracker wrote from its own memory: five of the ten are gone, three are its own.
    later = [*range(5), *range(3700, 3703)]
    take(later, totals(48), at=2)
    assert counted(store) == exactly(53)
    take(later, totals(48), at=2)
    assert counted(store) == exactly(53)


def test_a_file_begun_anew_takes_nothing_from_the_baseline(take: Take, store: MetricsStore) -> None:
    take(range(10), totals(50), at=1)
    take(range(3700, 3702), totals(2), at=2)
    assert counted(store) == exactly(52)


def test_an_older_log_explains_what_was_a_baseline(take: Take, store: MetricsStore) -> None:
    take(range(40, 50), totals(50), at=1)
    take(range(50), totals(50), at=0, name="older")
    assert counted(store) == exactly(50)
