"""What a caller says is checked before it is written, and what is written is what was said."""

from __future__ import annotations

import enum
import math
import pathlib
import sys
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore, rows, sqlite
from metrics_store.errors import InvalidValue

HOSTILE = [
    "it's",
    'a "quoted" one',
    "a\0b",
    "\0",
    "two\nlines",
    "é😀",
    "; DROP TABLE skill_invocation; --",
    "[bold]rich[/bold]",
    "\x1b[31mred",
    "v1.2",
    "123",
    "$.a",
    " ",
    "%s{}",
    "=1+1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_comes_back_as_it_was(store: MetricsStore, text: str) -> None:
    if "\0" in text and sqlite.version_info < (3, 45):
        pytest.skip("SQLite before 3.45 ends a JSON text at its NUL")
    given_ = {
        "workflow_path": text,
        "session_id": text,
        "project_path": text,
        "error_type": text,
        "follow_up_actions": (text, "other", text),
        "attributes": {text: [text, 1, None]},
        "origin": text,
    }
    name = store.record_invocation(text, False, invocation_id=text, **given_)  # type: ignore[arg-type]
    assert name == text
    back = store.get_invocation(text)
    assert back is not None
    assert {key: back[key] for key in given_} == given_
    metrics = store.get_skill_metrics(text)
    assert metrics is not None
    assert metrics.workflow_paths == metrics.common_errors == {text: 1}
    assert metrics.follow_up_actions == {text: 2, "other": 1}
    assert [skill.skill_name for skill in store.get_session_skills(text)] == [text]
    assert store.invocations(skill_name=text, session_id=text, workflow_path=text).invocations == (
        back,
    )
    started = store.track_invocation(text, text, text, text, {text: text})
    assert store.in_flight(text)[0].attributes == {text: text}
    started.complete()


@given(st.text(min_size=1), st.recursive(st.none() | st.booleans() | st.text(), st.lists))
def test_any_text_and_any_json_come_back(store: MetricsStore, text: str, value: object) -> None:
    name = store.record_invocation(text, workflow_path=text, attributes={"x": value})
    back = store.get_invocation(name)
    assert back is not None
    assert (back.skill_name, back.workflow_path, back.attributes) == (text, text, {"x": value})


class Skill(enum.StrEnum):
    DEPLOY = "deploy"


class Old(str, enum.Enum):  # noqa: UP042
    DEPLOY = "deploy"


@pytest.mark.parametrize("name", [Skill.DEPLOY, Old.DEPLOY, type("Text", (str,), {})("deploy")])
def test_a_member_of_an_enum_is_its_text(store: MetricsStore, name: str) -> None:
    fields = {"workflow_path": name, "error_type": name, "follow_up_actions": [name]}
    back = store.get_invocation(store.record_invocation(name, **fields))  # type: ignore[arg-type]
    assert back is not None
    assert (back.skill_name, back.workflow_path, back.error_type) == ("deploy",) * 3
    assert back.follow_up_actions == ("deploy",)
    store.track_invocation(name, name).complete(error_type=name, follow_up_actions=[name])
    assert store.get_skill_metrics("deploy").total_invocations == 2  # type: ignore[union-attr]


def test_paths_are_texts(store: MetricsStore) -> None:
    store.track_invocation("deploy", project_path=pathlib.PurePosixPath("/a/b")).complete()
    assert store.invocations().invocations[0].project_path == "/a/b"


FIELDS = ["skill_name", "workflow_path", "session_id", "project_path", "error_type"]


@pytest.mark.parametrize("field", [*FIELDS, "invocation_id", "origin"])
def test_the_longest_text_is_kept_and_a_longer_one_refused(store: MetricsStore, field: str) -> None:
    longest = "é" * rows.MAX_LABEL
    record: dict[str, object] = {"skill_name": "deploy", "workflow_path": "p", field: longest}
    assert store.record_invocations([record]).inserted == 1
    assert store.query(f"SELECT length({_column(field)}) AS n FROM skill_invocation") == [
        {"n": 16_384}
    ]
    with pytest.raises(InvalidValue, match="16,385") as caught:
        store.record_invocations([{**record, field: longest + "x"}])
    assert caught.value.hint


def _column(field: str) -> str:
    return {"invocation_id": "id"}.get(field, field)


@pytest.mark.parametrize(
    "wrong",
    [
        {"skill_name": ""},
        {"skill_name": None},
        {"skill_name": b"deploy"},
        {"skill_name": "half \ud83d of one"},
        {"workflow_path": "\udcff"},
        {"session_id": 5},
        {"error_type": ValueError},
        {"invocation_id": ""},
        {"invocation_id": 5},
        {"origin": None},
        {"completed": None},
        {"completed": 1},
        {"outcome": "perhaps"},
        {"duration_seconds": math.nan},
        {"duration_seconds": math.inf},
        {"duration_seconds": -math.inf},
        {"duration_seconds": -1},
        {"duration_seconds": -1e-6},
        {"duration_seconds": timedelta(microseconds=-1)},
        {"duration_seconds": 1e9 + 1},
        {"duration_seconds": 10**400},
        {"duration_seconds": True},
        {"duration_seconds": "1"},
        {"invoked_at": "2026-01-31T12:00:00"},
        {"invoked_at": datetime(2026, 1, 31)},
        {"invoked_at": "noon"},
        {"invoked_at": 1_700_000_000},
        {"invoked_at": "9999-12-31T23:59:59-01:00"},
        {"invoked_at": "0001-01-01T00:00:00+01:00"},
        {"invoked_at": "9999-12-31T23:59:59Z", "duration_seconds": 2},
        {"follow_up_actions": "retry"},
        {"follow_up_actions": {"retry"}},
        {"follow_up_actions": ["retry", ""]},
        {"follow_up_actions": ["retry", 5]},
        {"follow_up_actions": ["\ud800"]},
        {"follow_up_actions": ["x"] * 10_001},
        {"follow_up_actions": 0},
        {"attributes": {"x": math.nan}},
        {"attributes": {"x": object()}},
        {"attributes": {"x": "\ud800"}},
        {"attributes": {(1, 2): 3}},
        {"attributes": ["x"]},
        {"attributes": {"x": "y" * rows.MAX_ATTRIBUTES}},
        {"colour": "red"},
        {5: "red", "colour": "red"},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_what_cannot_be_recorded_is_refused_and_leaves_nothing(
    store: MetricsStore, wrong: dict[str, object]
) -> None:
    good = {"skill_name": "deploy", "completed": True}
    with pytest.raises(InvalidValue):
        store.record_invocations([good, {**good, **wrong}])
    assert store.get_summary().total_invocations == 0


def test_a_record_that_is_no_mapping_is_refused(store: MetricsStore) -> None:
    for wrong in (["deploy"], "deploy", None, 5):
        with pytest.raises(InvalidValue):
            store.record_invocations([wrong])  # type: ignore[list-item]


class Unsettled(tzinfo):
    def utcoffset(self, _: datetime | None) -> None:
        return None


def test_a_datetime_whose_zone_knows_no_offset_is_naive(store: MetricsStore) -> None:
    with pytest.raises(InvalidValue):
        store.record_invocation("deploy", invoked_at=datetime(2026, 1, 1, tzinfo=Unsettled()))


def test_json_that_is_nested_too_deep_for_sqlite_is_refused_before_it_is_written(
    store: MetricsStore,
) -> None:
    nested: list[object] = []
    for _ in range(1500):
        nested = [nested]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # newer Pythons' encoder goes that deep by itself
    try:
        with pytest.raises(InvalidValue):
            store.record_invocation("deploy", attributes={"x": nested})
    finally:
        sys.setrecursionlimit(limit)


def test_durations_are_whole_microseconds_and_add_up_exactly(store: MetricsStore) -> None:
    store.record_invocations({"skill_name": "deploy", "duration_seconds": 0.1} for _ in range(1000))
    store.record_invocation("deploy", duration_seconds=timedelta(microseconds=1))
    store.record_invocation("deploy", duration_seconds=0)
    metrics = store.get_skill_metrics("deploy")
    assert metrics is not None
    assert metrics.total_duration_seconds == 100.000001
    assert metrics.min_duration_seconds == 0


def test_without_a_time_it_ended_now(store: MetricsStore) -> None:
    name = store.record_invocation("deploy", duration_seconds=60)
    back = store.get_invocation(name)
    assert back is not None
    assert (back.invoked_at, back.ended_at) == (
        "2026-03-10T11:59:00.000000Z",
        "2026-03-10T12:00:00.000000Z",
    )


def test_any_zone_is_taken_and_utc_is_kept(store: MetricsStore) -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for invoked_at in (moment, "2026-01-31T17:45:00+05:45", "2026-01-31T12:00:00Z"):
        back = store.get_invocation(store.record_invocation("deploy", invoked_at=invoked_at))
        assert back is not None
        assert back.invoked_at == "2026-01-31T12:00:00.000000Z"
        assert back.ended_at is None


def test_the_digest_tells_every_two_contents_apart() -> None:
    columns = len(rows.Row._fields) - 1
    contents = [tuple("x" for _ in range(columns))]
    for column in range(columns):
        for value in (None, 0, 1, "", "0", "1", "xx", "x;", "1:x", "None", "'x'"):
            changed: list[object] = ["x"] * columns
            changed[column] = value
            contents.append(tuple(changed))
    contents += [("ab", "c", *contents[0][2:]), ("a", "bc", *contents[0][2:])]
    digests = {rows.digest(content) for content in contents}  # type: ignore[arg-type]
    assert len(digests) == len(contents)


@pytest.mark.parametrize("field", ["workflow_path", "error_type", "session_id", "project_path"])
def test_an_empty_text_is_not_a_missing_one(store: MetricsStore, field: str) -> None:
    empty = store.get_invocation(store.record_invocation("deploy", **{field: ""}))  # type: ignore[arg-type]
    missing = store.get_invocation(store.record_invocation("deploy"))
    assert empty is not None
    assert missing is not None
    assert (empty[field], missing[field]) == ("", None)
