"""Task boards: the shapes that are understood, what changed between two, and each change once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from boards import State, expected, put, told, written
from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.agents.board import NotABoard, Task, dumped, loaded, parse
from metrics_store.errors import SourceError

ONE = {"T-1": Task("T-1", "doing", "ann", "Write", None, {"priority": 1})}
WRITTEN = {"title": "Write", "priority": 1}
_numbers = itertools.count()


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board that is not there yet."""
    folder = tmp_path / "coordination"
    folder.mkdir()
    return folder / "task-board.json"


@pytest.mark.parametrize(
    "shape",
    [
        {"tasks": [{"id": "T-1", "status": "doing", "assigned_to": "ann", **WRITTEN}]},
        [{"task_id": "T-1", "state": "doing", "assignee": "ann", **WRITTEN}],
        {"tasks": {"T-1": {"status": "doing", "assignedTo": "ann", **WRITTEN}}},
        {"T-1": {"status": "doing", "owner": "ann", **WRITTEN}, "meta": {"version": 3}},
        {"doing": [{"id": "T-1", "assignee": "ann", **WRITTEN}], "done": [], "version": "2"},
        {"tasks": {"doing": [{"id": "T-1", "assignee": {"name": "ann"}, **WRITTEN}], "done": []}},
        {"columns": [{"name": "doing", "tasks": [{"id": "T-1", "assignees": ["ann"], **WRITTEN}]}]},
        {"columns": {"doing": [{"id": "T-1", "agent": "ann", **WRITTEN}]}},
        {"lists": [{"id": "doing", "cards": [{"key": "T-1", "agent_id": "ann", **WRITTEN}]}]},
        {"board": {"tasks": [{"taskId": "T-1", "status": "doing", "owner": "ann", **WRITTEN}]}},
        {"doing": {"tasks": [{"id": "T-1", "assignee": "ann", **WRITTEN}]}},
    ],
)
def test_each_shape_is_understood(shape: object) -> None:
    parsed = parse(json.dumps(shape).encode())
    assert parsed.tasks == ONE
    assert parsed.left_out == ()
    assert loaded(dumped(parsed.tasks)) == ONE


def test_tasks_may_be_said_in_few_words() -> None:
    assert parse(b'{"todo": ["A", 7], "done": ["B"]}').tasks == {
        "A": Task("A", "todo"),
        "7": Task("7", "todo"),
        "B": Task("B", "done"),
    }
    assert parse(b'{"tasks": {"A": "todo"}}').tasks == {"A": Task("A", "todo")}
    assert parse(b"{}").tasks == {}
    assert parse(b'\xef\xbb\xbf{"tasks": []}').tasks == {}


def test_what_is_no_task_is_left_out_and_told() -> None:
    parsed = parse(
        b'{"tasks": [{"title": "no id"}, null, {"id": "A"}, {"id": "A", "status": "x"}]}'
    )
    assert parsed.tasks == {"A": Task("A", "x")}
    assert len(parsed.left_out) == 3
    long = json.dumps({"tasks": [{"id": "A", "title": "x" * 20_000}]}).encode()
    assert parse(long).tasks == {}


@pytest.mark.parametrize(
    "torn",
    [
        b"", b" ", b"{", b'{"tasks": [{"id": "T', b'"text"', b"7", b"null", b"\xff\xfe{}",
        b'{"tasks": [{"id": "T", "cost": NaN}]}', b'{"tasks": [{"id": "\\ud800"}]}',
        b"[" * 100_000, b'{"tasks": [{"id": "T", "x": ' + b"[" * 600 + b"]" * 600 + b"}]}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_what_is_torn_or_no_board_is_refused_and_nothing_is_taken_in(
    store: MetricsStore, board: Path, torn: bytes, clock: SettableClock
) -> None:
    put(board, written({"T": ("todo", None, None, None)}))
    store.take_board(board)
    board.write_bytes(torn)
    before = clock.monotonic_us()
    with pytest.raises(NotABoard):
        store.take_board(board)
    assert clock.monotonic_us() > before  # it was tried again
    assert len(store.task_history("T")) == 1
    put(board, written({"T": ("doing", None, None, None)}))
    assert told(store.take_board(board).events) == [("T", "updated", "doing", None)]


def test_a_board_that_is_being_written_is_tried_again(
    open_store: Callable[..., MetricsStore], board: Path
) -> None:
    class Waiting(SettableClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            put(board, written({"T": ("todo", None, None, None)}))

    store = open_store(clock=Waiting())
    board.write_text('{"tasks": [{"id": "T", "sta')
    assert told(store.take_board(board.parent).events) == [("T", "created", "todo", None)]


def test_what_is_not_there_says_so(store: MetricsStore, board: Path) -> None:
    with pytest.raises(SourceError, match="there is no"):
        store.take_board(board)
    with pytest.raises(SourceError, match="there is no"):
        store.take_board(board.parent / "nowhere" / "board.json")
    board.mkdir()
    with pytest.raises(SourceError):
        store.take_board(board)


def test_each_change_is_an_event_of_its_own(store: MetricsStore, board: Path) -> None:
    put(board, written({"A": ("todo", None, "one", 1), "B": ("Done", "bob", None, None)}))
    first = store.take_board(board)
    # What was done before anybody looked is not counted as done now.
    assert told(first.events) == [("A", "created", "todo", None), ("B", "created", "Done", "bob")]
    assert first.events[0].details == {
        "title": "one", "fields": {"priority": 1}, "first_seen": True, "board": str(board),
    }  # fmt: skip
    put(board, written({"A": ("Done", "ann", "one", 2), "C": ("blocked", None, None, None)}))
    second = store.take_board(board)
    assert told(second.events) == [
        ("A", "assigned", "Done", "ann"),
        ("A", "completed", "Done", "ann"),
        ("C", "created", "blocked", None),
        ("C", "blocked", "blocked", None),
        ("B", "updated", "removed", None),
    ]
    assert second.events[1].previous_status == "todo"
    assert second.events[1].details["changed"] == ["priority"]
    assert second.events[0].changed_by == "task-board"
    assert store.take_board(board).changed is False
    put(board, written({"A": ("Done", None, "two", 2)}))
    assert told(store.take_board(board).events) == [
        ("A", "assigned", "Done", ""),
        ("C", "updated", "removed", None),
    ]
    assert {one.task_id: one.status for one in store.tasks()} == {
        "A": "Done", "B": "removed", "C": "removed",
    }  # fmt: skip


def test_stamps_alone_are_no_change(store: MetricsStore, board: Path) -> None:
    for moment in ("one", "two", "three"):
        put(board, json.dumps([{"id": "T", "updated_at": moment, "lastUpdated": moment}]))
        store.take_board(board)
    assert len(store.task_history("T")) == 1


def test_the_tasks_own_moments_count_where_they_can_be_right(
    store: MetricsStore, board: Path, clock: SettableClock
) -> None:
    task = {"id": "T", "status": "done", "created_at": "2026-03-01T10:00:00Z"}
    put(board, json.dumps([{**task, "completedAt": "2026-03-02T10:00:00+01:00"}, {"id": "F"}]))
    store.take_board(board)
    assert [(e.event_type, e.recorded_at[:16]) for e in store.task_history("T")] == [
        ("created", "2026-03-01T10:00"),
        ("completed", "2026-03-02T09:00"),
    ]
    assert store.task_velocity(14).average_lead_seconds == 23 * 3600
    clock.advance(3600)
    # Before the state that was taken in last, ahead of the clock, or no moment: it is now.
    for name, said in (("A", "2026-03-01T10:00:00Z"), ("B", "2027-01-01T00:00:00Z"), ("C", "?")):
        put(board, json.dumps([{"id": name, "status": "todo", "created_at": said}]))
        clock.advance(1)
        [event] = [e for e in store.take_board(board).events if e.event_type == "created"]
        assert event.recorded_at[:13] == "2026-03-10T13"


def test_a_clock_that_was_set_back_does_not_turn_changes_round(
    store: MetricsStore, board: Path, clock: SettableClock
) -> None:
    put(board, written({"T": ("todo", None, None, None)}))
    store.take_board(board)
    clock.set("2026-03-09T12:00:00Z")
    put(board, written({"T": ("doing", None, None, None)}))
    store.take_board(board)
    assert [one.status for one in store.tasks()] == ["doing"]
    assert [e.new_status for e in store.task_history("T")] == ["todo", "doing"]


states = st.dictionaries(
    st.sampled_from(["A", "B", 'C"1', "\u202e😀"]),
    st.tuples(
        st.sampled_from(["todo", "doing", "Done", "blocked"]),
        st.none() | st.sampled_from(["ann", "bob"]),
        st.none() | st.sampled_from(["one", "two"]),
        st.none() | st.integers(0, 2),
    ),
    max_size=4,
)
shapes = st.sampled_from(["list", "mapping", "columns"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), states, shapes),
        st.tuples(st.just("tear"), st.floats(0, 0.95), st.none()),
        st.tuples(st.just("delete"), st.none(), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none()),
    ),
    max_size=8,
)


@settings(max_examples=25)
@given(walk=steps)
def test_neither_torn_files_nor_restarts_repeat_or_miss_a_change(
    open_store: Callable[..., MetricsStore], tmp_path: Path, walk: list[tuple[str, object, str]]
) -> None:
    number = next(_numbers)
    board = tmp_path / str(number) / "task-board.json"
    board.parent.mkdir()
    store = open_store(f"{number}.db")
    before: State | None = None
    due: list[tuple[str, str, str | None, str | None]] = []
    for what, value, shape in walk:
        if what == "restart":
            store.close()
            store = open_store(f"{number}.db")
        elif what == "delete":
            board.unlink(missing_ok=True)
        elif what == "tear":
            whole = board.read_bytes() if board.exists() else b'{"tasks": []}'
            board.write_bytes(whole[: int(len(whole) * float(str(value)))])
        else:
            after: State = value  # type: ignore[assignment]
            put(board, written(after, shape))
            # A board in columns has their order.
            due += sorted(expected(before, after))
            before = after
        try:
            found = told(store.take_board(board).events)
        except SourceError:
            assert what != "put"
            continue
        if what == "put":
            assert sorted(found) == sorted(due[len(due) - len(found) :])
        else:
            assert found == []
    recorded = store.query("SELECT task_id, event_type, new_status, assigned_to FROM task_events")
    rows = [tuple(row.values()) for row in recorded]
    assert sorted(rows, key=str) == sorted(due, key=str)
    store.close()
