"""Stored differences as people see them: listed, counted, explained, and looked up again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import InvalidValue, LegacyFileError, UsageError
from metrics_store.legacy import differences
from metrics_store.legacy.differences import DifferingMember, KindCount
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.verifying import verify

Write = Callable[..., Path]


def call(n: int, **members: object) -> dict[str, object]:
    base = {"skill_name": "s", "invoked_at": f"2025-02-10T00:00:{n:02d}", "completed": True}
    return {**base, "duration_seconds": 1.0, **members}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a legacy file of these records."""

    def written(*calls: object) -> Path:
        (tmp_path / "f.json").write_text(json.dumps({"invocations": calls}))
        return tmp_path / "f.json"

    return written


@pytest.fixture
def path(store: MetricsStore, write: Write) -> Path:
    """A file that differs from the store in three ways."""
    take_in(store, write(call(0), call(1), call(2)), zone="UTC")
    path = write(call(0, error_type="E"), call(2), call(3), call(4))
    verify(store, path, epoch=2)
    return path


def a_read(store: MetricsStore, explanation: str | None = None) -> None:
    """A difference that a compared read found."""
    connection = sqlite.connect(store.path)
    connection.execute(
        "INSERT INTO legacy_difference (epoch, found_at, kind, subject, in_json, in_store, "
        "json_us, store_us, explanation) VALUES (2, '2026', 'read', 'get_skill_metrics s', "
        """'{"n":1,"paths":{"a":1,"b":2}}', '{"n":1,"paths":{"a":3}}', 10, 20, ?)""",
        (explanation,),
    )
    connection.close()


def kinds(store: MetricsStore, **options: object) -> list[str]:
    return [d.kind for d in differences.listed(store, **options)]  # type: ignore[arg-type]


# Looking


def test_what_stands_is_listed_and_counted(store: MetricsStore, path: Path) -> None:
    a_read(store)
    a_read(store, "timing")
    assert kinds(store) == [
        "different", "only_in_file", "only_in_file", "only_in_store", "read", "read",
    ]  # fmt: skip
    assert kinds(store, open_only=True) == ["different", "only_in_file", "only_in_file", "read"]
    assert kinds(store, kind="only_in_file") == ["only_in_file"] * 2
    assert kinds(store, verify_id=1, open_only=True) == ["different"] + ["only_in_file"] * 2
    assert differences.counts(store) == (
        KindCount("different", 1, 0),
        KindCount("only_in_file", 2, 0),
        KindCount("only_in_store", 0, 1),
        KindCount("read", 1, 1),
    )


def test_an_earlier_verify_is_history(store: MetricsStore, path: Path, write: Write) -> None:
    verify(store, write(call(0), call(1)))
    assert kinds(store) == ["only_in_store"]
    assert kinds(store, verify_id=1)[0] == "different"
    assert differences.counts(store, verify_id=1)[1] == KindCount("only_in_file", 2, 0)
    assert kinds(store, verify_id=77) == []


def test_pages_follow_each_other(store: MetricsStore, path: Path) -> None:
    every = differences.listed(store)
    paged: list[object] = []
    after = 0
    while page := differences.listed(store, limit=1, after=after):
        paged += page
        after = page[-1].id
    assert tuple(paged) == every


def test_a_store_without_any_has_none(store: MetricsStore) -> None:
    assert differences.listed(store) == ()
    assert differences.counts(store) == ()
    with pytest.raises(UsageError, match="no difference 1"):
        differences.one(store, 1)


def test_members_are_compared_one_by_one(store: MetricsStore, write: Write, path: Path) -> None:
    first = differences.listed(store)[0]
    assert first.members == (DifferingMember("error_type", '"E"', "null"),)
    assert differences.one(store, first.id) == first
    lost = differences.listed(store, kind="only_in_store")[0]
    assert DifferingMember("skill_name", None, '"s"') in lost.members
    assert all(member.in_json is None for member in lost.members)
    a_read(store)
    (read,) = differences.listed(store, kind="read")
    assert read.members == (
        DifferingMember("paths/a", "1", "3"),
        DifferingMember("paths/b", "2", None),
    )
    verify(store, write(call(0), call(1), call(2, session_id="x", z=1), 5))
    found = {d.kind: d for d in differences.listed(store)}
    assert found["different"].members == (
        DifferingMember("session_id", '"x"', "null"),
        DifferingMember("z", "1", None),
    )
    assert found["quarantined"].members == (DifferingMember("value", "5", None),)
    verify(store, write(call(0)), zone="Asia/Tokyo")
    (moment,) = differences.listed(store, kind="moment")
    assert [member.name for member in moment.members] == ["moment"]


def test_looking_changes_nothing(store: MetricsStore, path: Path) -> None:
    store.close()
    before = Path(store.path).read_bytes()
    with MetricsStore(store.path) as again:
        differences.listed(again)
        differences.counts(again)
        differences.one(again, 1)
    assert Path(store.path).read_bytes() == before


# Explaining


def test_a_persons_word_is_recorded_with_when_and_who(
    store: MetricsStore, path: Path, clock: SettableClock
) -> None:
    clock.set("2026-03-11T00:00:00Z")
    said = differences.explain(store, 1, " a known fault ", "ada")
    assert (said.explanation, said.explained_by) == ("a known fault", "ada")
    assert said.explained_at == "2026-03-11T00:00:00.000000Z"
    assert differences.counts(store)[0] == KindCount("different", 0, 1)


def test_an_empty_reason_and_a_second_one_are_refused(store: MetricsStore, path: Path) -> None:
    for reason, by in ((" ", "ada"), ("x", ""), ("x", "metrics-store")):
        with pytest.raises(InvalidValue):
            differences.explain(store, 1, reason, by)
    differences.explain(store, 1, "first", "ada")
    with pytest.raises(UsageError, match="explained already, by ada"):
        differences.explain(store, 1, "second", "bob")
    with pytest.raises(UsageError, match="no difference 99"):
        differences.explain(store, 99, "x", "ada")
    assert differences.one(store, 1).explanation == "first"


def test_a_word_holds_for_the_same_difference_found_again_and_for_no_more(
    store: MetricsStore, path: Path, write: Write
) -> None:
    (one, other) = differences.listed(store, kind="only_in_file")
    differences.explain(store, one.id, "known", "ada")
    differences.explain(store, 1, "edited by hand", "bob")
    report = verify(store, path)
    assert report.unexplained == {"only_in_file": 1}
    assert report.explained == {"only_in_store": 1, "different": 1, "only_in_file": 1}
    (still,) = differences.listed(store, open_only=True)
    assert still.in_json == other.in_json
    edited = differences.listed(store, kind="different")[0]
    assert (edited.explanation, edited.explained_by) == ("edited by hand", "bob")
    # A second one of the very same is not explained by the word on the first.
    report = verify(store, write(call(0, error_type="E"), *[call(3)] * 2, call(4)))
    assert report.unexplained == {"only_in_file": 2}
    assert report.explained["only_in_file"] == 1
    assert verify(store, path).explained["only_in_file"] == 1


# Looking again


def again(store: MetricsStore, path: Path, **options: str) -> dict[str, str]:
    """What was resolved, by kind."""
    resolved = differences.explain_again(store, path, **options)
    assert all(one.explained_by == "metrics-store" for one in resolved)
    assert os.listdir(f"{store.path}.verify") == ["lock"]
    return {one.kind: str(one.explanation) for one in resolved}


def test_nothing_is_resolved_that_is_as_it_was(store: MetricsStore, path: Path) -> None:
    assert again(store, path) == {}
    assert len(differences.listed(store, open_only=True)) == 3


def test_what_the_store_has_got_since_is_resolved(store: MetricsStore, path: Path) -> None:
    take_in(store, path)
    found = again(store, path)
    assert found.keys() == {"only_in_file"}
    assert found["only_in_file"].startswith("resolved: the store has it now, as ")
    assert kinds(store, open_only=True) == ["different"]
    assert again(store, path) == {}


def test_what_neither_side_has_any_more_is_not_resolved(
    store: MetricsStore, path: Path, write: Write
) -> None:
    assert again(store, write(call(0, error_type="F"), call(2))) == {}
    assert len(differences.listed(store, open_only=True)) == 3


def test_one_of_two_that_the_file_lost_is_not_resolved(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0)), zone="UTC")
    verify(store, write(call(0), call(0), call(0)))
    assert again(store, write(call(0))) == {}
    take_in(store, write(call(0), call(0)))
    assert list(again(store, write(call(0), call(0)))) == ["only_in_file"]
    assert kinds(store, open_only=True) == ["only_in_file"]


def test_what_the_file_says_now_as_the_store_does_is_resolved(
    store: MetricsStore, path: Path, write: Write
) -> None:
    found = again(store, write(call(0), call(2), call(3)))
    assert found == {"different": "resolved: the file says now what the store has"}


def test_a_text_that_is_kept_apart_since_is_resolved(store: MetricsStore, write: Write) -> None:
    take_in(store, write(call(0)), zone="UTC")
    path = write(call(0), 5, 5)
    assert verify(store, path).unexplained == {"quarantined": 2}
    take_in(store, write(call(0), 5))
    assert again(store, write(call(0), 5, 5)) == {}
    take_in(store, path)
    assert again(store, path) == {"quarantined": "resolved: it is kept apart: not_an_object"}
    assert differences.listed(store, open_only=True) == ()


def test_a_moment_is_resolved_when_the_zone_is_right(store: MetricsStore, write: Write) -> None:
    path = write(call(0))
    take_in(store, path, zone="UTC")
    assert not verify(store, path, zone="Asia/Tokyo").clean
    assert again(store, path) == {}
    found = again(store, path, zone="UTC")
    assert found == {"moment": "resolved: both stand for one moment now"}


def test_another_file_says_nothing_of_it(store: MetricsStore, path: Path, tmp_path: Path) -> None:
    with pytest.raises(LegacyFileError, match="newest verify was of"):
        differences.explain_again(store, tmp_path / "other.json")


def test_without_a_verify_there_is_nothing_to_look_at(store: MetricsStore, write: Write) -> None:
    assert differences.explain_again(store, write(call(0))) == ()


def test_looking_again_leaves_a_verify_that_waits_to_go_on_alone(
    store: MetricsStore, path: Path
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(store, path, batch=1, progress=stop)
    take_in(store, path)
    assert [one.kind for one in differences.explain_again(store, path)] == ["only_in_file"] * 2
    assert verify(store, path, resume=True).unexplained == {"different": 1}
