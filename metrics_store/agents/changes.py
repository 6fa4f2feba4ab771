"""What changed from one state of a task board to the next, as events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from metrics_store import rows
from metrics_store.agents.board import BLOCKED, COMPLETED, REMOVED, Board, Task
from metrics_store.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Change:
    """An event that follows from a change of a board; its fields are those of a task event.

    Args:
        happened: when, by the task's own word, in microseconds since 1970; None if it has none.
    """

    task: Task
    event_type: str
    previous_status: str | None
    new_status: str | None
    assigned_to: str | None
    details: dict[str, object]
    happened: int | None = None


def changes(before: Board | None, after: Board) -> Iterator[Change]:
    """What has happened, task by task in the order of the board; what is gone comes last.

    Args:
        before: None if the board is seen for the first time. What is completed by then is not
            counted as completed now.
    """
    known = before or {}
    for task_id, task in after.items():
        if task_id in known:
            yield from _changed(known[task_id], task)
        else:
            yield from _created(task, first=before is None)
    for task_id, task in known.items():
        if task_id not in after:
            yield Change(
                task, "updated", task.status, REMOVED, None, {**_titled(task), "removed": True}
            )


def _created(task: Task, *, first: bool) -> Iterator[Change]:
    details = {**_titled(task), **({"fields": dict(task.others)} if task.others else {})}
    if first:
        details["first_seen"] = True
    made, ended = _moment(task, "created"), _ending(task)
    yield Change(task, "created", None, task.status, task.assigned_to, details, made)
    when = _moment(task, ended)
    if ended and (not first or when is not None):
        yield Change(task, ended, None, task.status, task.assigned_to, _titled(task), when)


def _changed(old: Task, new: Task) -> Iterator[Change]:
    others = sorted(
        name
        for name in {*old.others, *new.others}
        if old.others.get(name) != new.others.get(name)
        or (name in old.others) != (name in new.others)
    )
    if old.title != new.title:
        others.insert(0, "title")
    details: dict[str, object] = {**_titled(new), **({"changed": others} if others else {})}
    if old.assigned_to != new.assigned_to:
        yield Change(
            new, "assigned", old.status, new.status, new.assigned_to or "",
            {**details, "previously": old.assigned_to},
        )  # fmt: skip
    if old.status != new.status:
        kind = _ending(new)
        event_type = kind if kind and kind != _ending(old) else "updated"
        when = _moment(new, event_type)
        yield Change(new, event_type, old.status, new.status, new.assigned_to, details, when)
    elif others and old.assigned_to == new.assigned_to:
        yield Change(new, "updated", old.status, new.status, new.assigned_to, details)


def _ending(task: Task) -> str:
    """The event that a status is by itself; nothing for most."""
    if task.is_in(COMPLETED):
        return "completed"
    return "blocked" if task.is_in(BLOCKED) else ""


def _moment(task: Task, event_type: str) -> int | None:
    """What a task says, with a zone, of when it was created, completed or blocked."""
    for name in (f"{event_type}_at", f"{event_type}At"):
        said = task.others.get(name)
        if isinstance(said, str):
            with suppress(InvalidValue):
                return rows.moment_us(name, said)
    return None


def _titled(task: Task) -> dict[str, object]:
    return {} if task.title is None else {"title": task.title}
