"""One legacy record: a row that gives back the very record, or a refusal with its reason."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import clock, rows
from metrics_store.legacy_format import record
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.legacy_format.record import Refused, Understood

NOW_US = clock.parse("2026-03-10T12:00:00Z")
#: What the legacy loader takes a missing member for.
DEFAULTS = {
    "workflow_path": None,
    "completed": False,
    "duration_seconds": None,
    "follow_up_actions": [],
    "error_type": None,
}
#: Columns of both tables, in the order of stored rows.
PENDING_COLUMNS = ("id", "skill_name", "invoked_at", "workflow_path", "session_id")

texts = st.text(max_size=8)
numbers = st.integers() | st.floats()
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
moments = st.datetimes().map(lambda moment: moment.isoformat())
plausible = st.fixed_dictionaries(
    {"skill_name": st.text(min_size=1, max_size=5), "invoked_at": moments},
    optional={
        "workflow_path": st.none() | texts,
        "completed": st.booleans(),
        "duration_seconds": st.none() | st.floats(0, 1e9) | st.integers(0, 10**9),
        "follow_up_actions": st.none() | st.lists(texts, max_size=3),
        "error_type": st.none() | texts,
        "session_id": json_values,
        "user_query": json_values,
        "reaped": json_values,
    },
)
spoilt = st.tuples(plausible, st.dictionaries(st.sampled_from([*DEFAULTS, "x"]), json_values)).map(
    lambda both: {**both[0], **both[1]}
)


def good(**members: object) -> dict[str, object]:
    return {
        "skill_name": "s",
        "invoked_at": "2025-02-10T12:00:00",
        "workflow_path": None,
        "completed": True,
        "duration_seconds": 1.5,
        "follow_up_actions": [],
        "error_type": None,
        **members,
    }


def understood(value: object, *, session: bool = False, zone: str = "UTC") -> Understood:
    return record.understand(value, ZoneReader(zone), session, NOW_US)


def stored(u: Understood) -> dict[str, object]:
    """The columns as a reader finds them."""
    if u.pending:
        values = record.inflight_of(u, 1, 7)
        row = dict(zip(PENDING_COLUMNS, values, strict=False))
        row |= {"attributes": values[7], "legacy": values[8], "outcome": None}
        row |= {"duration_us": None, "error_type": None, "follow_up_actions": "[]"}
    else:
        row = record.row_of(u, 1, 7)._asdict()
        row["duration_us"] = None if row["duration_us"] == "" else row["duration_us"]
    return {
        name: None if value == 0 and name != "duration_us" else value for name, value in row.items()
    }


@given(json_values | plausible | spoilt, st.booleans())
def test_any_value_is_refused_with_a_reason_or_gives_itself_back(
    value: object, session: bool
) -> None:
    try:
        u = understood(value, session=session)
    except Refused as error:
        refusal = error
    else:
        _gives_itself_back(value, u)
        return
    assert refusal.reason.isidentifier()
    assert refusal.detail


def _gives_itself_back(value: object, u: Understood) -> None:
    assert isinstance(value, dict)
    row = stored(u)
    assert record.content_of(row) == u.content
    members = {name: value.get(name, DEFAULTS.get(name)) for name in record.MEMBERS}
    assert record.legacy_record(row) == members
    extra = {name: item for name, item in value.items() if name not in record.MEMBERS}
    kept = dict(u.extra) if u.session_id is None else {**u.extra, "session_id": u.session_id}
    assert kept == extra


@given(plausible)
def test_a_plausible_record_without_odd_members_is_never_refused(value: dict[str, object]) -> None:
    plain = {name: item for name, item in value.items() if name in record.MEMBERS}
    assert understood(plain).skill_name == value["skill_name"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not_an_object"),
        ([good()], "not_an_object"),
        ("text", "not_an_object"),
        ({}, "bad_skill_name"),
        (good(skill_name=""), "bad_skill_name"),
        (good(skill_name=5), "bad_skill_name"),
        (good(invoked_at=None), "bad_moment"),
        (good(invoked_at="yesterday"), "bad_moment"),
        (good(invoked_at="2025-02-30T00:00:00"), "bad_moment"),
        (good(workflow_path=["a"]), "bad_workflow_path"),
        (good(error_type=False), "bad_error_type"),
        (good(completed=1), "bad_completed"),
        (good(completed="true"), "bad_completed"),
        (good(completed=None), "bad_completed"),
        (good(duration_seconds=True), "bad_duration"),
        (good(duration_seconds="1"), "bad_duration"),
        (good(duration_seconds=-1e-9), "bad_duration"),
        (good(duration_seconds=float("nan")), "bad_duration"),
        (good(duration_seconds=float("inf")), "bad_duration"),
        (good(duration_seconds=10**400), "bad_duration"),
        (good(duration_seconds=1e300), "bad_duration"),
        (good(follow_up_actions="commit"), "bad_follow_up_actions"),
        (good(follow_up_actions=["a", None]), "bad_follow_up_actions"),
        (good(follow_up_actions=["a"] * (rows.MAX_ACTIONS + 1)), "not_storable"),
        (good(skill_name="lone \ud800"), "not_storable"),
        (good(workflow_path="\udfff"), "not_storable"),
        (good(follow_up_actions=["\ud800"]), "not_storable"),
        (good(skill_name="x" * (rows.MAX_LABEL + 1)), "not_storable"),
        (good(error_type="é" * (rows.MAX_LABEL + 1)), "not_storable"),
        (good(session_id="x" * (rows.MAX_LABEL + 1)), "not_storable"),
        (good(extra=float("nan")), "not_storable"),
        (good(extra=["\ud800"]), "not_storable"),
        (good(extra="x" * rows.MAX_ATTRIBUTES), "not_storable"),
    ],
)
def test_what_cannot_be_a_row_is_refused_by_name(value: object, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        understood(value)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "members",
    [
        {"skill_name": "x" * rows.MAX_LABEL},
        {"workflow_path": ""},
        {"error_type": ""},
        {"error_type": "", "completed": False, "duration_seconds": None},
        {"follow_up_actions": ["", ""]},
        {"follow_up_actions": None},
        {"follow_up_actions": ["a"] * rows.MAX_ACTIONS},
        {"skill_name": "nul\0inside", "workflow_path": "\0"},
        {"duration_seconds": -0.0},
        {"duration_seconds": 5e-324},
        {"duration_seconds": 0.1 + 0.2},
        {"duration_seconds": 1e9},
        {"duration_seconds": 3},
        {"session_id": ""},
        {"session_id": 5},
        {"extra": 10**400},
        {"reaped": "by hand"},
        {"invoked_at": "2025-02-10"},
        {"invoked_at": "2025-02-10\x0012:00:00"},
    ],
)
def test_what_is_odd_but_storable_comes_back_unchanged(members: dict[str, object]) -> None:
    value = good(**members)
    row = stored(understood(value))
    given_back = record.legacy_record(row)
    assert given_back == {name: value[name] for name in record.MEMBERS}
    assert record.content_of(row) == understood(value).content


def test_only_a_record_that_says_nothing_of_an_end_is_pending() -> None:
    bare = {"completed": False, "duration_seconds": None}
    assert understood(good(**bare)).pending
    assert understood({"skill_name": "s", "invoked_at": "2025-02-10"}).pending
    assert not understood(good(**bare, error_type="E")).pending
    assert not understood(good(**bare, follow_up_actions=["a"])).pending
    assert not understood(good(completed=False, duration_seconds=0.0)).pending
    assert not understood(good(duration_seconds=None)).pending


def test_the_invented_duration_counts_as_none_in_the_siblings_shape_alone() -> None:
    sibling = understood(good(duration_seconds=0.01, session_id="a"), session=True)
    assert (sibling.duration_us, sibling.seconds) == (None, 0.01)
    assert [flag for flag, _ in sibling.flags] == ["placeholder_duration"]
    assert record.legacy_record(stored(sibling))["duration_seconds"] == 0.01
    assert understood(good(duration_seconds=0.01)).duration_us == 10_000


def test_ids_tell_keys_and_ordinals_apart_and_know_nothing_of_the_zone() -> None:
    u = understood(good())
    assert u.id(1) == understood(good(duration_seconds=9.0), zone="Asia/Tokyo").id(1)
    assert u.id(1) == record.row_id(u.key, u.raw_invoked_at, 1)
    others = [good(workflow_path=path) for path in ("", "null", "a")]
    ids = {u.id(1), u.id(2), u.id(12)} | {understood(other).id(1) for other in others}
    assert len(ids) == 6
    for text in ids:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant) == (8, uuid.RFC_4122)
        assert str(parsed) == text


@given(st.lists(moments, max_size=6))
def test_ids_are_in_the_order_of_the_moments_texts(texts: list[str]) -> None:
    known = [u for u in (understood(good(invoked_at=text)) for text in texts) if u.face_us >= 0]
    in_time = sorted(known, key=lambda u: u.face_us // 1000)
    assert [u.id(1)[:13] for u in in_time] == sorted(u.id(1)[:13] for u in known)


def test_what_is_not_the_trackers_is_kept_as_attributes_and_flagged() -> None:
    u = understood(good(model="opus", tags={"b": [1, None], "a": "ü"}))
    assert json.loads(u.attributes or "") == {"model": "opus", "tags": {"b": [1, None], "a": "ü"}}
    assert [flag for flag, _ in u.flags] == ["unknown_keys"]
    known = understood(good(session_id="a", user_query="q", selection_rank=1), session=True)
    assert (known.session_id, known.flags) == ("a", ())


def test_a_moment_more_than_a_day_ahead_is_flagged() -> None:
    assert understood(good(invoked_at="2026-03-11T12:00:00")).flags == ()
    assert [f for f, _ in understood(good(invoked_at="2026-03-11T12:00:01")).flags] == [
        "in_the_future"
    ]
