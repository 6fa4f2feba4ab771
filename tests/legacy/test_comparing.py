"""The comparison that follows every import: each difference found, named, and rightly explained."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from metrics_store import MetricsStore, sqlite
from metrics_store.legacy import comparing, taking
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.report import ImportReport
from metrics_store.rows import Row

FILES = Path(__file__).parent / "files"
Take = Callable[..., ImportReport]


def call(n: int, **members: object) -> dict[str, object]:
    moment = f"2025-02-10T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
    base = {"skill_name": "s", "invoked_at": moment, "completed": True, "duration_seconds": 1.0}
    return {**base, **members}


@pytest.fixture
def take(store: MetricsStore, tmp_path: Path) -> Take:
    def taken(*calls: dict[str, object], name: str = "f", zone: str = "UTC") -> ImportReport:
        (tmp_path / f"{name}.json").write_text(json.dumps({"invocations": calls}))
        return take_in(store, tmp_path / f"{name}.json", zone=zone)

    return taken


def test_all_that_is_equal_is_counted_as_equal(take: Take) -> None:
    comparison = take(call(0), call(0), call(1), 5).comparison  # type: ignore[arg-type]
    assert (comparison.compared, comparison.equal, comparison.clean) == (3, 3, True)
    assert (comparison.explained, comparison.unexplained, comparison.examples) == ({}, {}, ())


def test_what_the_file_lost_is_explained_and_shown(take: Take) -> None:
    take(call(0), call(1))
    comparison = take(call(1)).comparison
    assert (comparison.explained, comparison.clean) == ({"only_in_store": 1}, True)
    (example,) = comparison.examples
    assert (example.kind, example.skill_name, example.in_file) == ("only_in_store", "s", None)
    assert json.loads(example.in_store or "")[1] == "2025-02-10T00:00:00"


@pytest.mark.parametrize("left", [[0], [1], [2], [0, 1], [1, 2], [0, 2]])
def test_what_is_left_of_several_with_one_key_is_found_whichever_it_is(
    left: list[int], take: Take
) -> None:
    several = [call(0, duration_seconds=float(n)) for n in range(3)]
    take(*several)
    report = take(*(several[n] for n in left))
    assert (report.inserted, report.matched) == (0, len(left))
    assert report.comparison.equal == len(left)
    assert report.comparison.explained == {"only_in_store": 3 - len(left)}
    assert report.fine


def test_an_older_copy_finds_the_store_ahead(take: Take) -> None:
    take(call(0), call(1))
    comparison = take(call(0), call(1, completed=False, duration_seconds=None)).comparison
    assert (comparison.explained, comparison.clean) == ({"store_ahead": 1}, True)
    assert [example.kind for example in comparison.examples] == ["store_ahead"]


@pytest.mark.parametrize(
    "edit",
    [
        {"duration_seconds": 1.0000001},
        {"duration_seconds": None},
        {"completed": False},
        {"error_type": ""},
        {"follow_up_actions": None},
        {"follow_up_actions": ["a"]},
        {"session_id": "x"},
        {"unknown": 1},
    ],
)
def test_whatever_was_edited_is_a_difference_that_nothing_explains(
    edit: dict[str, object], take: Take
) -> None:
    take(call(0), call(1))
    report = take(call(0, **edit), call(1))
    assert (report.inserted, report.comparison.unexplained) == (0, {"different": 1})
    assert not report.fine
    (example,) = report.comparison.examples
    assert example.in_file != example.in_store
    assert take(call(0), call(1)).fine


def test_an_unfinished_record_takes_the_row_that_ended_whatever_the_order(take: Take) -> None:
    """Else the edited one would take it, and the unfinished one would be missing."""
    take(call(0))
    unfinished = call(0, completed=False, duration_seconds=None)
    comparison = take(call(0, error_type="E"), unfinished).comparison
    assert (comparison.explained, comparison.unexplained) == ({"store_ahead": 1}, {})
    assert comparison.equal == 1


def test_a_row_that_knows_more_is_left_to_the_record_that_knows_as_much(take: Take) -> None:
    take(call(0, session_id="x"), call(0, session_id="y"))
    comparison = take(call(0), call(0, session_id="x")).comparison
    assert (comparison.equal, comparison.clean) == (2, True)
    assert comparison.explained == {}


def test_an_edited_name_is_a_new_record_and_a_lost_one(take: Take) -> None:
    take(call(0))
    report = take(call(0, skill_name="t"))
    assert (report.inserted, report.comparison.explained) == (1, {"only_in_store": 1})
    assert report.fine


def test_one_text_in_two_zones_is_a_difference_in_the_moment(take: Take) -> None:
    take(call(0))
    report = take(call(0), name="copy", zone="Asia/Tokyo")
    assert (report.matched, report.comparison.unexplained) == (1, {"moment": 1})


def test_a_row_that_was_never_written_is_found(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison trusts no count of the pass: here a write is lost without an error."""
    write = MetricsStore.record_rows

    def lossy(self: MetricsStore, batch: Sequence[Row], also: object = None) -> int:
        return write(self, batch[1:], also)  # type: ignore[arg-type]

    monkeypatch.setattr(MetricsStore, "record_rows", lossy)
    report = take(call(0), call(1), call(1))
    assert (report.inserted, report.conserved) == (3, True)
    assert report.comparison.unexplained == {"only_in_file": 2}
    monkeypatch.undo()
    assert take(call(0), call(1), call(1)).fine


@pytest.mark.parametrize(
    "change",
    [
        "duration_us = 5",
        "outcome = 'failed'",
        "follow_up_actions = '[\"x\"]'",
        "session_id = 'x'",
        "attributes = '{\"x\":1}'",
        "workflow_path = 'x'",
        "invoked_at = '2025-02-10T00:00:09.000000Z'",
    ],
)
def test_a_row_that_was_tampered_with_is_found(
    change: str, take: Take, store: MetricsStore, damaged: Callable[[str], None]
) -> None:
    take(call(0), call(1))
    damaged(store.path)
    connection = sqlite.connect(store.path)
    connection.execute("DROP TRIGGER skill_invocation_immutable")
    connection.execute(f"UPDATE skill_invocation SET {change} WHERE seq = 1")
    connection.close()
    report = take(call(0), call(1))
    assert not report.comparison.clean
    assert report.comparison.equal == 1


def test_at_most_twenty_examples_are_kept_and_the_unexplained_come_first(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", 7)
    monkeypatch.setattr(comparing, "_BATCH", 7)
    take(*(call(n) for n in range(120)))
    report = take(*(call(n) for n in range(0, 60, 2)), *(call(n, error_type="E") for n in (61, 63)))
    comparison = report.comparison
    assert comparison.explained == {"only_in_store": 120 - 32}
    assert comparison.unexplained == {"different": 2}
    assert [example.explained for example in comparison.examples] == [False] * 2 + [True] * 18


def test_an_unexplained_difference_is_among_the_examples_however_late_it_is_found(
    take: Take,
) -> None:
    unfinished = {"completed": False, "duration_seconds": None}
    take(*(call(n) for n in range(300)))
    report = take(*(call(n, **unfinished) for n in range(299)), call(299, error_type="E"))
    assert report.comparison.explained == {"store_ahead": 299}
    assert not report.comparison.examples[0].explained


def test_live_rows_and_other_histories_are_none_of_its_business(
    take: Take, store: MetricsStore
) -> None:
    store.record_invocation("s")
    take(call(7), name="other")
    comparison = take(call(0)).comparison
    assert (comparison.equal, comparison.explained) == (1, {})


def test_the_report_is_kept_with_its_pass(take: Take, store: MetricsStore) -> None:
    report = take(call(0))
    (row,) = store.query("SELECT report, stage, finished_at FROM legacy_pass")
    kept = json.loads(row["report"])
    assert (kept["inserted"], kept["comparison"]["equal"]) == (1, 1)
    assert kept == json.loads(json.dumps(report.as_dict()))
    assert row["stage"] == "finished"


@pytest.mark.parametrize("batch", [1, 3, 5000])
def test_the_size_of_its_batches_changes_nothing(
    batch: int, store: MetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_BATCH", batch)
    report = take_in(store, FILES / "hand_edited.json", zone="UTC")
    assert (report.comparison.compared, report.comparison.equal) == (8, 8)
