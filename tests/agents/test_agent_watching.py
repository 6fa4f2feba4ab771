"""`agents watch` as a process: told to end, killed, started again, two at once."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from boards import State, expected, put, told, written
from checking import python_path

from metrics_store import MetricsStore
from metrics_store.agents import watching
from metrics_store.errors import MissingExtra, SourceError

pytest.importorskip("watchfiles")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is ended by signals")
#: Seconds after which something that is waited for has not happened.
PATIENCE = 30.0


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board that is not there yet."""
    folder = tmp_path / "coordination"
    folder.mkdir()
    return folder / "task-board.json"


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a watcher as a process, on the store ``m.db``."""
    started: list[subprocess.Popen[str]] = []

    def begin(folder: Path, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "metrics_store.cli", "--db", str(tmp_path / "m.db"),
             "agents", "watch", str(folder), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        started.append(process)
        assert process.stderr is not None
        assert "watching" in process.stderr.readline()
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something, and fail if it does not come."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def state(number: int) -> State:
    """Boards of which each differs from the one before."""
    return {
        f"T-{n}": ("Done" if n < number else "doing", "ann" if n % 2 else None, None, number)
        for n in range(max(0, number - 3), number + 1)
    }


def taken_in(store: MetricsStore, text: str) -> Callable[[], bool]:
    """Whether a board is the one that was taken in last."""
    sha = hashlib.sha256(text.encode()).hexdigest()
    return lambda: store.query("SELECT sha256 FROM task_board") == [{"sha256": sha}]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watcher_takes_changes_in_and_ends_when_it_is_told_to(
    store: MetricsStore, board: Path, start: Start, number: signal.Signals
) -> None:
    process = start(board.parent, "--json")
    assert process.stdout is not None
    put(board, written({"T": ("todo", None, "\x1b[31mone", None)}))
    line = json.loads(process.stdout.readline())
    assert [event["event_type"] for event in line["events"]] == ["created"]
    board.write_text('{"tasks": [{"id": "T", "st')  # torn: not taken in
    until(lambda: bool(process.stderr) and "no task board" in process.stderr.readline())  # type: ignore[union-attr]
    put(board, written({"T": ("Done", "ann", "\x1b[31mone", None)}))
    line = json.loads(process.stdout.readline())
    assert [event["event_type"] for event in line["events"]] == ["assigned", "completed"]
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert told(store.task_history("T")) == [
        ("T", "created", "todo", None),
        ("T", "assigned", "Done", "ann"),
        ("T", "completed", "Done", "ann"),
    ]


def test_killed_in_the_midst_and_started_again_it_neither_repeats_nor_misses_a_change(
    store: MetricsStore, board: Path, start: Start
) -> None:
    put(board, written(state(0)))
    until_now = written(state(0))
    number = 0
    for kill in range(3):
        process = start(board.parent)
        # Changes faster than they are taken in, and one is killed somewhere among them.
        for _ in range(12):
            number += 1
            until_now = written(state(number), ("list", "mapping", "columns")[number % 3])
            put(board, until_now)
            time.sleep(0.004 * (kill + 1))
        process.kill()
        process.wait(PATIENCE)
        number += 1  # a change while nobody watches
        until_now = written(state(number))
        put(board, until_now)
    process = start(board.parent)
    until(taken_in(store, until_now))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    _check_chain(store, number)


def test_two_watchers_at_once_take_turns(store: MetricsStore, board: Path, start: Start) -> None:
    put(board, written(state(0)))
    watchers = [start(board.parent) for _ in range(2)]
    for number in range(1, 20):
        put(board, written(state(number)))
        time.sleep(0.01)
    until(taken_in(store, written(state(19))))
    for process in watchers:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    _check_chain(store, 19)


def _check_chain(store: MetricsStore, last: int) -> None:
    """Each task's events follow from each other, and end where the board does."""
    end = state(last)
    tasks = {task.task_id: task for task in store.tasks()}
    for name, (status, to, _, _) in end.items():
        assert (tasks[name].status, tasks[name].assigned_to) == (status, to)
    # A state may be passed over where two follow each other at once, its events not: of each task
    # everything follows from what was before.
    seen = store.query("SELECT DISTINCT task_id FROM task_events")
    assert {str(row["task_id"]) for row in seen} >= set(end)
    for name in tasks:
        history = store.task_history(name)
        assert [e.event_type for e in history].count("created") == 1
        assert [e.event_type for e in history].count("completed") <= 1
        assert [e.new_status for e in history].count("removed") == (0 if name in end else 1)
        for before, after in itertools.pairwise(history):
            assert after.previous_status in (before.new_status, before.previous_status, None)
            assert after.recorded_at >= before.recorded_at


@pytest.mark.parametrize("error", [OSError("no watches left"), RuntimeError("inside")])
def test_where_nothing_can_be_watched_it_is_looked_at_now_and_then(
    store: MetricsStore, board: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def watch(*_: object, **__: object) -> Iterator[object]:
        raise error
        yield

    monkeypatch.setattr("watchfiles.watch", watch)
    monkeypatch.setattr(watching, "_LOOK_AGAIN", 20)
    stop = threading.Event()
    taken: list[watching.BoardTaken] = []
    said: list[Exception] = []
    thread = threading.Thread(
        target=watching.watch, args=(store.database, board, stop),
        kwargs={"taken": taken.append, "trouble": said.append},
    )  # fmt: skip
    thread.start()
    try:
        until(lambda: bool(said))  # there is no board yet, and that is said once
        for number in range(3):
            put(board, written(state(number)))
            until(lambda: len(taken) == number + 1)  # noqa: B023
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(said) == 1
    assert told([e for one in taken for e in one.events]) == [
        *expected(None, state(0)), *expected(state(0), state(1)), *expected(state(1), state(2)),
    ]  # fmt: skip


def test_without_a_watcher_once_is_enough(
    store: MetricsStore, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    put(board, written(state(0)))
    assert told(store.take_board(board).events) == expected(None, state(0))

    def nobody(_: object) -> None:
        raise AssertionError

    stop = threading.Event()
    with pytest.raises(MissingExtra, match="watchfiles") as caught:
        watching.watch(store.database, board, stop, taken=nobody, trouble=nobody)
    assert "metrics-store[agents]" in caught.value.hint
    nowhere = board.parent / "nowhere" / "b.json"
    with pytest.raises(SourceError, match="no directory"):
        watching.watch(store.database, nowhere, stop, taken=nobody, trouble=nobody)
