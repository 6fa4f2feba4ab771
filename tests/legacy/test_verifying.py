"""A verify finds every difference, names it, stores it once, and goes on where it was cut short."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import (
    InvalidQuery,
    LegacyFileError,
    LegacyFileNotFound,
    NotLegacyFile,
)
from metrics_store.legacy import taking, verifying
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.report import Progress
from metrics_store.legacy.verifying import verify

FILES = Path(__file__).parent / "files"
UNFINISHED = {"completed": False, "duration_seconds": None}
Write = Callable[..., Path]


def call(n: int, **members: object) -> dict[str, object]:
    moment = f"2025-02-10T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
    base = {"skill_name": "s", "invoked_at": moment, "completed": True, "duration_seconds": 1.0}
    return {**base, **members}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a legacy file of these records."""

    def written(*calls: object, name: str = "f.json") -> Path:
        (tmp_path / name).write_text(json.dumps({"invocations": calls}))
        return tmp_path / name

    return written


def stored(store: MetricsStore) -> list[dict[str, object]]:
    """The stored differences of the newest verify."""
    return [
        dict(row)
        for row in store.query(
            "SELECT kind, subject, in_json, in_store, explanation, explained_by, verify_id "
            "FROM legacy_difference WHERE verify_id = (SELECT max(id) FROM legacy_verify) "
            "ORDER BY id"
        )
    ]


def tamper(store: MetricsStore, sql: str) -> None:
    connection = sqlite.connect(store.path)
    for trigger in ("immutable", "kept"):
        connection.execute(f"DROP TRIGGER IF EXISTS skill_invocation_{trigger}")
    connection.execute(sql)
    connection.close()


def left_behind(store: MetricsStore) -> list[str]:
    return os.listdir(f"{store.path}.verify")


# What is equal


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.glob("*.json")))
def test_every_real_file_that_was_taken_in_is_found_equal(name: str, store: MetricsStore) -> None:
    taken = take_in(store, FILES / name, zone="Europe/Berlin")
    report = verify(store, FILES / name)
    assert report.unexplained == {}
    assert (report.compared, report.equal) == (taken.comparison.compared, taken.comparison.equal)
    assert sum(report.explained.values()) == len(stored(store))
    assert (report.torn is None, report.clean) == (taken.torn is None, taken.torn is None)
    assert report.zone == "Europe/Berlin"
    assert left_behind(store) == ["lock"]


def test_identical_triples_are_three(store: MetricsStore, write: Write) -> None:
    take_in(store, write(*[call(0)] * 3, call(1)), zone="UTC")
    report = verify(store, write(*[call(0)] * 3, call(1)))
    assert (report.compared, report.equal, report.clean) == (4, 4, True)
    report = verify(store, write(*[call(0)] * 5))
    assert (report.compared, report.equal) == (5, 3)
    assert (report.unexplained, report.explained) == ({"only_in_file": 2}, {"only_in_store": 1})


def test_the_order_of_several_with_one_key_means_nothing(store: MetricsStore, write: Write) -> None:
    several = [call(0, duration_seconds=float(n % 3)) for n in range(5)]
    take_in(store, write(*several), zone="UTC")
    for turned in (several[::-1], several[2:] + several[:2]):
        assert verify(store, write(*turned)).equal == 5


def test_the_report_is_kept_and_given_again(store: MetricsStore, write: Write) -> None:
    assert verifying.last(store) is None
    take_in(store, write(call(0), call(1)), zone="UTC")
    first = verify(store, write(call(0)), epoch=3)
    assert verifying.last(store) == first
    second = verify(store, write(call(0, error_type="E")))
    assert verifying.last(store) == second
    assert (first.clean, second.clean) == (True, False)
    (row, _) = store.query("SELECT * FROM legacy_verify ORDER BY id")
    assert (row["position"], row["compared"], row["equal"]) == (1, 1, 1)
    assert (row["explained"], row["unexplained"], row["epoch"]) == (1, 0, 3)
    assert json.loads(str(row["report"])) == first.as_dict()


# Each kind


def test_a_record_that_the_store_has_not(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0)), zone="UTC")
    report = verify(store, write(call(0), call(1)))
    assert (report.unexplained, report.explained, report.clean) == ({"only_in_file": 1}, {}, False)
    (found,) = stored(store)
    assert (found["explanation"], found["in_store"], found["subject"]) == (None, None, "s")
    assert json.loads(str(found["in_json"]))[1] == "2025-02-10T00:00:01"


def test_a_record_that_says_something_else(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0)), zone="UTC")
    assert verify(store, write(call(0, error_type="E"))).unexplained == {"different": 1}
    (found,) = stored(store)
    assert json.loads(str(found["in_json"]))[6] == "E"
    assert json.loads(str(found["in_store"]))[6] is None


def test_a_text_that_stands_for_another_moment(store: MetricsStore, write: Write) -> None:
    path = write(call(0))
    take_in(store, path, zone="UTC")
    assert verify(store, path, zone="Asia/Tokyo").unexplained == {"moment": 1}
    (found,) = stored(store)
    assert json.loads(str(found["in_json"]))[-1] == "2025-02-09T15:00:00.000000Z"
    assert json.loads(str(found["in_store"]))[-1] == "2025-02-10T00:00:00.000000Z"


def test_an_hour_that_came_twice_is_no_other_moment(store: MetricsStore, write: Write) -> None:
    twice = [call(0, invoked_at=f"2025-10-26T02:{n}:00") for n in (50, 10, 30)]
    take_in(store, write(*twice), zone="Europe/Berlin")
    assert verify(store, write(twice[1], twice[2])).clean


def test_a_record_that_the_file_holds_unfinished(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0), call(1)), zone="UTC")
    report = verify(store, write(call(0), call(1, **UNFINISHED)))
    assert (report.explained, report.clean, report.equal) == ({"store_ahead": 1}, True, 1)
    assert "after the file was written" in str(stored(store)[0]["explanation"])


def test_a_row_whose_record_the_file_lost(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0), call(1), call(2, **UNFINISHED)), zone="UTC")
    report = verify(store, write(call(1)))
    assert (report.explained, report.clean) == ({"only_in_store": 2}, True)
    assert {row["explanation"] for row in stored(store)} == {
        "the file no longer has it; absence is not deletion"
    }


def test_a_text_that_cannot_be_a_row(store: MetricsStore, write: Write) -> None:
    broken = call(0, duration_seconds="long")
    take_in(store, write(call(1), broken, broken, 5), zone="UTC")
    report = verify(store, write(call(1), broken, broken, 5))
    assert (report.explained, report.clean) == ({"quarantined": 3}, True)
    report = verify(store, write(call(1), broken, 6, broken, broken))
    assert report.explained == {"quarantined": 2}
    assert report.unexplained == {"quarantined": 2}
    reasons = {row["in_json"]: row["explanation"] for row in stored(store)}
    assert reasons["6"] is None
    assert "it is kept apart: bad_duration" in [row["explanation"] for row in stored(store)]


def test_a_superseded_array_is_kept_apart_as_it_was_taken_in(
    store: MetricsStore, tmp_path: Path
) -> None:
    path = tmp_path / "twice.json"
    path.write_text(f'{{"invocations": [{json.dumps(call(0))}], "invocations": []}}')
    take_in(store, path, zone="UTC")
    assert verify(store, path).explained == {"quarantined": 1}


def test_a_torn_file_is_said_to_be_torn_and_is_not_clean(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "torn.json"
    path.write_text(json.dumps({"invocations": [call(0), call(1)]})[:-20])
    monkeypatch.setattr("time.sleep", lambda _: None)
    take_in(store, path, zone="UTC")
    report = verify(store, path)
    assert (report.equal, report.unexplained, report.clean) == (1, {}, False)
    assert "it ends too early" in (report.torn or "")


@pytest.mark.parametrize(
    "change",
    [
        "duration_us = 5",
        "outcome = 'failed'",
        "follow_up_actions = '[\"x\"]'",
        "session_id = 'x'",
        "attributes = '{\"x\":1}'",
        "workflow_path = 'x'",
        "skill_name = 'x'",
        "invoked_at = '2025-02-10T00:00:09.000000Z'",
        "legacy = NULL",
        "legacy = '{}'",
        "legacy = '[1]'",
        'legacy = \'{"source":1,"duration_seconds":2.0,"invoked_at":"2025-02-10T00:00:00"}\'',
        "attributes = '[1]'",
    ],
)
def test_a_row_that_was_tampered_with_is_found(
    change: str, write: Write, store: MetricsStore, damaged: Callable[[str], None]
) -> None:
    path = write(call(0), call(1))
    take_in(store, path, zone="UTC")
    damaged(store.path)
    tamper(store, f"UPDATE skill_invocation SET {change} WHERE seq = 1")
    report = verify(store, path)
    assert (report.equal, sum(report.unexplained.values())) == (1, 1)


def test_a_row_that_was_taken_out_hides_no_other_of_its_key(
    write: Write, store: MetricsStore, damaged: Callable[[str], None]
) -> None:
    path = write(*(call(0, duration_seconds=float(n)) for n in range(3)))
    take_in(store, path, zone="UTC")
    damaged(store.path)
    tamper(store, "DELETE FROM skill_invocation WHERE seq = 2")
    report = verify(store, path)
    assert (report.equal, report.unexplained) == (2, {"only_in_file": 1})
    assert verify(store, write(call(0, duration_seconds=2.0))).explained == {"only_in_store": 1}


# Whose rows


def test_a_file_that_was_never_taken_in_is_only_in_the_file(
    store: MetricsStore, write: Write
) -> None:
    take_in(store, write(call(5), name="other.json"), zone="UTC")
    report = verify(store, write(call(0), call(1), 5), zone="Asia/Tokyo")
    assert report.unexplained == {"only_in_file": 2, "quarantined": 1}
    assert (report.equal, report.zone, report.explained) == (0, "Asia/Tokyo", {})
    assert store.query("SELECT source_id FROM legacy_verify")[0]["source_id"] is None


def test_rows_of_other_histories_and_live_ones_are_none_of_its_business(
    store: MetricsStore, write: Write
) -> None:
    take_in(store, write(call(5), name="other.json"), zone="UTC")
    take_in(store, write(call(0)), zone="UTC")
    store.record_invocation("s")
    assert verify(store, write(call(0))).explained == {}


def test_rows_of_an_older_copy_belong_to_the_history(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0), call(1), name="older.json"), zone="UTC")
    take_in(store, write(call(1), call(2)), zone="UTC")
    assert verify(store, write(call(1), call(2))).explained == {"only_in_store": 1}


def exported(store: MetricsStore, n: int, row_id: str) -> None:
    """Have a live row stand for a record of the first legacy file, as an export does."""
    from metrics_store.legacy_format import record
    from metrics_store.legacy_format.moments import ZoneReader

    u = record.understand(call(n), ZoneReader("UTC"), False, 0)
    connection = sqlite.connect(store.path)
    connection.execute(
        "INSERT INTO legacy_exported VALUES (?, ?, ?)", (u.id(1), row_id, u.legacy(1))
    )
    connection.close()


def test_a_row_known_under_an_exported_identity_is_known(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0)), zone="UTC")
    row_id = store.record_invocation(
        "s", completed=True, duration_seconds=1.0, invoked_at="2025-02-10T00:00:07Z"
    )
    exported(store, 7, str(row_id))
    assert verify(store, write(call(0), call(7))).equal == 2
    report = verify(store, write(call(0)))
    assert report.explained == {"only_in_store": 1}
    assert verify(store, write(call(0), call(7, error_type="E"))).unexplained == {"different": 1}


# What is not a legacy file, and what is in the way


def test_bad_input_is_refused_and_leaves_nothing_behind(
    store: MetricsStore, write: Write, tmp_path: Path
) -> None:
    with pytest.raises(LegacyFileNotFound):
        verify(store, tmp_path / "none.json", zone="UTC")
    with pytest.raises(LegacyFileError, match="store itself"):
        verify(store, Path(store.path))
    inside = Path(f"{store.path}.verify") / "mine.json"
    inside.write_bytes(write(call(0)).read_bytes())
    with pytest.raises(LegacyFileError, match="its own copies"):
        verify(store, inside)
    inside.unlink()
    with pytest.raises(InvalidQuery):
        verify(store, write(call(0)), zone="Nowhere/Land")
    (tmp_path / "other.json").write_text('{"x": 1}')
    with pytest.raises(NotLegacyFile):
        verify(store, tmp_path / "other.json", zone="UTC")
    assert left_behind(store) == ["lock"]
    assert verifying.last(store) is None
    with pytest.raises(LegacyFileError, match="no verify"):
        verify(store, tmp_path / "other.json", resume=True)


@pytest.mark.parametrize("batch", [1, 3, 5000])
def test_the_size_of_its_batches_changes_nothing(
    batch: int, store: MetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", 7)
    take_in(store, FILES / "two_writers.json", zone="UTC")
    report = verify(store, FILES / "two_writers.json", batch=batch)
    assert (report.compared, report.equal) == (99, 99)


def test_progress_goes_through_the_stages(store: MetricsStore) -> None:
    seen: list[Progress] = []
    take_in(store, FILES / "typical.json", zone="UTC")
    report = verify(store, FILES / "typical.json", batch=500, progress=seen.append)
    assert list(dict.fromkeys(progress.stage for progress in seen)) == [
        "comparing", "settling", "rows", "storing",
    ]  # fmt: skip
    assert [p.records for p in seen] == sorted(p.records for p in seen)
    assert all(p.done <= p.total == report.size for p in seen)
    assert set(report.seconds) == {"copying", "comparing", "settling", "rows", "storing"}
