"""The keys of tasks: those that are not completed, and what happened to each."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable

from metrics_store import asked
from metrics_store.agents.results import TaskEvent, TaskState
from metrics_store.live.bounds import Bounds
from metrics_store.live.sections import Behind, Tops, Update
from metrics_store.sql import query
from metrics_store.sqlite import Connection

CURRENT = "tasks:current"
#: Tasks that are read one by one; if more have changed, all are read anew.
_ONE_BY_ONE = 500
#: Moment of the newest event, and the task.
_Rank = tuple[str, str]


class Tasks:
    """What is held of tasks: the latest, each with its history, and the latest current ones."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._held: dict[str, _Rank] = {}
        self._current: dict[str, TaskState] = {}
        #: Whether there are current tasks beyond the bound.
        self._is_full = False

    def load(self, connection: Connection) -> Update:
        """Read everything anew."""
        latest, current = _Latest(self._bounds.tasks), _Latest(self._bounds.tasks)
        for name, last_at, done in connection.execute(query("live.tasks")):
            latest.add((last_at, name))
            if not done:
                current.add((last_at, name))
        self._held = {rank[1]: rank for rank in latest.ranks}
        self._is_full = current.is_over
        self._current = {}
        for _, name in current.ranks:
            state, _ = _state(connection, name)
            self._current[name] = state
        values: dict[str, object] = {
            history_key(name): history(connection, name, self._bounds.history)
            for name in self._held
        }
        return Update({**values, CURRENT: self._sorted()}, set())

    def follow(self, connection: Connection, before: Tops, after: Tops) -> Update:
        """Read what came since.

        Raises:
            Behind: it is too much to be read task by task.
        """
        if after.events == before.events:
            return Update({}, set())
        found = connection.execute(
            query("live.tasks_after"), (before.events, _ONE_BY_ONE + 1)
        ).fetchall()
        if len(found) > _ONE_BY_ONE:
            raise Behind
        touched = []
        for (name,) in found:
            state, done = _state(connection, name)
            self._held[name] = (state.last_at, name)
            touched.append(name)
            self._follow_current(state, done)
        gone = self._forget()
        values: dict[str, object] = {
            history_key(name): history(connection, name, self._bounds.history)
            for name in touched
            if name not in gone
        }
        return Update({**values, CURRENT: self._sorted()}, {history_key(name) for name in gone})

    def _follow_current(self, state: TaskState, done: bool) -> None:
        if not done:
            self._current[state.task_id] = state
        elif self._current.pop(state.task_id, None) is not None and self._is_full:
            raise Behind  # whose place it makes is in the store alone

    def _forget(self) -> set[str]:
        """Let go of the tasks whose newest events are the oldest, past the bounds."""
        over = len(self._current) - self._bounds.tasks
        if over > 0:
            self._is_full = True
            oldest = heapq.nsmallest(over, ((s.last_at, s.task_id) for s in self._current.values()))
            for _, name in oldest:
                del self._current[name]
        over = len(self._held) - self._bounds.tasks
        gone = {name for _, name in heapq.nsmallest(max(over, 0), self._held.values())}
        for name in gone:
            del self._held[name]
        return gone

    def _sorted(self) -> tuple[TaskState, ...]:
        return tuple(
            sorted(self._current.values(), key=lambda s: (s.last_at, s.task_id), reverse=True)
        )


class _Latest:
    """The latest of many, as many as a bound."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self.ranks: list[_Rank] = []
        self.is_over = False

    def add(self, rank: _Rank) -> None:
        if len(self.ranks) < self._bound:
            heapq.heappush(self.ranks, rank)
        else:
            heapq.heappushpop(self.ranks, rank)
            self.is_over = True


def history_key(name: str) -> str:
    """The key of a task's history."""
    return f"tasks:{name}:history"


def task_of(key: str) -> str | None:
    """The task whose history a key is; None if it is another key."""
    head, tail = "tasks:", ":history"
    if key.startswith(head) and key.endswith(tail) and len(key) > len(head) + len(tail):
        return key[len(head) : -len(tail)]
    return None


def history(connection: Connection, name: str, limit: int) -> tuple[TaskEvent, ...]:
    """The newest events of a task, oldest first."""
    values = (asked.text("key", name), limit)
    found: Iterable[tuple[str, ...]] = connection.execute(query("live.history_of"), values)
    events = [
        TaskEvent(*values, json.loads(details) if details else {})  # type: ignore[call-arg, arg-type]
        for *values, details in found
    ]
    return tuple(reversed(events))


def _state(connection: Connection, name: str) -> tuple[TaskState, bool]:
    *values, done = connection.execute(query("live.task"), (name,)).fetchone()
    return TaskState(*values), bool(done)
