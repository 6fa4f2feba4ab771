"""Watching a task board: each of its states is taken in once, with the events that led to it.

The state that was taken in last is kept in the store, in the same transaction as its events. So
whatever ends a watcher, the next one goes on from there; and two at once take turns.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metrics_store import clock, logs
from metrics_store.agents import recording
from metrics_store.agents.board import MAX_BYTES, NotABoard, Parsed, dumped, loaded, parse
from metrics_store.agents.changes import Change, changes
from metrics_store.agents.results import TaskEvent
from metrics_store.connection import Database
from metrics_store.errors import MetricsStoreError, MissingExtra, SourceError
from metrics_store.families.activity import TASKS
from metrics_store.logs import Content
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection

BOARD = "task-board.json"
#: Who changed a task, where the board does not say.
_SOMEBODY = "task-board"
#: Tries to read a file that is being written, and seconds between them.
_TRIES, _PAUSE = 20, 0.05
#: Milliseconds after which a watched file is looked at, though nobody said that it changed.
_LOOK_AGAIN = 1000


@dataclass(frozen=True, slots=True)
class BoardTaken(Result):
    """What taking a board in came to.

    Args:
        path: the board.
        changed: whether it was another one than the one that was taken in last.
        tasks: tasks on it.
        events: what was recorded, in its order.
        left_out: what of the file is no task, and why.
    """

    path: str
    changed: bool
    tasks: int
    events: tuple[TaskEvent, ...]
    left_out: tuple[str, ...]


class BoardChanging(SourceError):
    """The task board was changed all the while it was being read."""


def board_path(path: Path) -> Path:
    """The board that is meant: the file itself, or the one of the usual name in a directory.

    What is not there is taken for a file if it is called one.
    """
    is_file = path.is_file() or (path.suffix == ".json" and not path.is_dir())
    found = path if is_file else path / BOARD
    # Its directory's links are resolved, not its own: what it leads to may be exchanged.
    return found.parent.resolve() / found.name


def take_in(database: Database, path: Path, sleep: Callable[[float], None]) -> BoardTaken:
    """Take in a board as it is now; a file that is just being written is tried again.

    Args:
        path: the board, or its directory.
        sleep: waits so many seconds.

    Raises:
        NotABoard: it stays torn, or is no board; nothing was taken in.
        SourceError: it is not there, or cannot be read.
        WriteError: nothing was taken in.
    """
    board = board_path(path)
    for tries in range(_TRIES, 0, -1):
        try:
            return _taken(database, board)
        except (NotABoard, BoardChanging):
            if tries == 1:
                raise
            sleep(_PAUSE)
    raise AssertionError("unreachable")


def _taken(database: Database, board: Path) -> BoardTaken:
    """Take in a board as it is now, at the first try."""
    content, mark = _read(board)
    sha = hashlib.sha256(content).hexdigest()
    key = _named(board)
    with database.read() as connection:
        kept = connection.execute(query("agents.board"), (key,)).fetchone()
        if kept is not None and kept[0] == sha:
            return BoardTaken(key, False, len(loaded(kept[1])), (), ())
    parsed = parse(content)

    def work(connection: Connection) -> list[Content] | None:
        # Another watcher may have taken a later state in; then this one is not to come after it.
        if _mark(board) != mark:
            raise BoardChanging(str(board))
        return _write(connection, key, sha, parsed, database.clock.now_us())

    events = database.write(work, rows=len(parsed.tasks))
    if events is None:
        return BoardTaken(key, False, len(parsed.tasks), (), ())
    shown = tuple(_event(content) for content in events)
    return BoardTaken(key, True, len(parsed.tasks), shown, parsed.left_out)


def _write(
    connection: Connection, key: str, sha: str, parsed: Parsed, now_us: int
) -> list[Content] | None:
    """Write what changed, and the state that it led to; None if another watcher just did."""
    row = connection.execute(query("agents.board"), (key,)).fetchone()
    if row is not None and row[0] == sha:
        return None
    before = None if row is None else loaded(row[1])
    taken_us = None if row is None else clock.parse(row[2])
    # A clock that was set back does not bring a change before the one it followed.
    now_us = now_us if taken_us is None else max(now_us, taken_us + 1)
    events: list[Content] = []
    last: dict[str, int] = {}
    for change in changes(before, parsed.tasks):
        task_id = change.task.task_id
        last[task_id] = us = max(_moment(change, taken_us, now_us), last.get(task_id, clock.MIN_US))
        events.append(_content(change, us, key))
    logs.append(connection, TASKS, events)
    values = (key, sha, dumped(parsed.tasks), clock.text(now_us))
    connection.execute(query("agents.take_board"), values)
    return events


def _moment(change: Change, taken_us: int | None, now_us: int) -> int:
    """When it happened: by the task's own word, if that is after the state before it."""
    us = change.happened
    if us is None or us > now_us or (taken_us is not None and us <= taken_us):
        return now_us
    return us


def _content(change: Change, us: int, board: str) -> Content:
    return recording.event(
        us,
        change.task.task_id,
        change.event_type,
        {
            "previous_status": change.previous_status,
            "new_status": change.new_status,
            "assigned_to": change.assigned_to,
            "changed_by": change.task.changed_by or _SOMEBODY,
            "details": {**change.details, "board": board},
        },
    )


def _event(content: Content) -> TaskEvent:
    *fields, details = content
    return TaskEvent(*(*fields, json.loads(str(details))))


def _named(board: Path) -> str:
    """Its path as text that can be stored: a byte that is no letter is written out."""
    return os.fsencode(board).decode("utf-8", "backslashreplace")


Mark = tuple[int, int, int, int]


def _mark(board: Path) -> Mark | None:
    """What tells whether a file is still the one that was read; None if it is not there."""
    try:
        found = board.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(board: Path) -> tuple[bytes, Mark]:
    try:
        with board.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > MAX_BYTES:
                raise NotABoard(f"{board} has {before.st_size:,} bytes")
            content = file.read(MAX_BYTES + 1)
            mark = _mark(board)
    except FileNotFoundError as error:
        raise SourceError(
            f"there is no {board}", hint="Name the board or its directory."
        ) from error
    except OSError as error:
        raise SourceError(f"{board}: {error.strerror}") from error
    read = (before.st_dev, before.st_ino, len(content), before.st_mtime_ns)
    if mark is None or read != mark:
        raise BoardChanging(str(board))
    return content, mark


def watch(
    database: Database,
    path: Path,
    stop: threading.Event,
    *,
    taken: Callable[[BoardTaken], None],
    trouble: Callable[[MetricsStoreError], None],
) -> None:
    """Take in every change of a board until told to stop.

    A board that is torn, gone, or written while the store is busy is tried again, until it is
    taken in.

    Args:
        path: the board, or its directory, which has to be there.
        stop: ends it.
        taken: told of every state that was taken in.
        trouble: told once of what is in the way, each time that it is another thing.

    Raises:
        MissingExtra: watchfiles is not installed.
        SourceError: there is no such directory.
    """
    board = board_path(path)
    if not board.parent.is_dir():
        raise SourceError(f"there is no directory {board.parent}")
    said = ""
    for _ in _looks(board, stop):
        # Whatever its size and time are: two states may share them.
        try:
            result = _taken(database, board)
        except BoardChanging:
            continue  # there is a turn for the change, too
        except MetricsStoreError as error:
            if str(error) != said:
                said = str(error)
                trouble(error)
            continue
        said = ""
        if result.changed:
            taken(result)


def _looks(board: Path, stop: threading.Event) -> Iterator[None]:
    """A turn at once, at every change in the board's directory, and now and then besides."""
    try:
        from watchfiles import watch as changed
    except ImportError as error:
        raise MissingExtra(
            "watchfiles",
            hint="pip install 'metrics-store[agents]', or run agents watch --once by cron",
        ) from error
    changed_there = changed(
        board.parent,
        watch_filter=lambda _, name: os.path.basename(name) == board.name,
        debounce=200,
        step=20,
        rust_timeout=_LOOK_AGAIN,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=False,
        recursive=False,
    )
    # Before the first of them, watching has not begun; what changes until then is seen after it.
    yield None
    try:
        for _ in changed_there:
            if stop.is_set():
                return
            yield None
    except (OSError, RuntimeError):
        # The directory is gone, or this user may watch no more of them: looking now and then
        # finds every change too, a little later.
        while not stop.wait(_LOOK_AGAIN / 1000):
            yield None
