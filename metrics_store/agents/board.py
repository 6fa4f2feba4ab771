"""Task boards: the shapes that are understood, and what changed from one state to the next.

A board is JSON. Its tasks are a list of objects, a mapping by id, or columns by status, alone or
under ``tasks``, ``board`` or ``columns``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from metrics_store import rows
from metrics_store.errors import SourceError

#: The names under which a task says something, the first that is there counts.
ID = ("id", "task_id", "taskId", "key")
STATUS = ("status", "state")
ASSIGNEE = ("assigned_to", "assignedTo", "assignee", "assignees", "owner", "agent", "agent_id")
TITLE = ("title", "name", "summary", "subject")
CHANGED_BY = ("changed_by", "changedBy", "updated_by", "updatedBy", "modified_by")
#: What changes whenever anything does, and is no change by itself.
_STAMPS = frozenset(
    {
        "updated_at", "updatedAt", "last_updated", "lastUpdated", "modified_at", "modifiedAt",
        "last_modified", "lastModified", "last_activity", "heartbeat", "timestamp",
    }
)  # fmt: skip
#: Under these the tasks stand; everything else beside them is about the board.
_WITHIN = ("tasks", "board", "columns", "lists")
_ITEMS = ("tasks", "cards", "items")
_COLUMN = ("status", "name", "title", "id")

COMPLETED = frozenset({"completed", "complete", "done", "closed", "finished", "resolved", "merged"})
BLOCKED = frozenset({"blocked", "on_hold", "stuck"})
#: The status of a task that has gone from its board.
REMOVED = "removed"

#: Largest file that is believed to be a board, in bytes.
MAX_BYTES = 16_000_000


class NotABoard(SourceError):
    """The file is no task board."""

    default_hint = "docs/agents.md has the shapes that are understood."


@dataclass(frozen=True, slots=True)
class Task:
    """A task as a board has it.

    Args:
        others: whatever else it says, without what changes with every change.
    """

    task_id: str
    status: str | None = None
    assigned_to: str | None = None
    title: str | None = None
    changed_by: str | None = None
    others: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """As it is kept, to be compared with the next state."""
        return {
            "status": self.status,
            "assigned_to": self.assigned_to,
            "title": self.title,
            "changed_by": self.changed_by,
            "others": dict(self.others),
        }

    @classmethod
    def of_dict(cls, task_id: str, kept: Mapping[str, object]) -> Task:
        """What :meth:`as_dict` gave."""
        return cls(task_id, **kept)  # type: ignore[arg-type]

    def is_in(self, statuses: frozenset[str]) -> bool:
        """Whether its status is one of those, however it is written."""
        return self.status is not None and _folded(self.status) in statuses


Board = dict[str, Task]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A board, and what of the file is no task.

    Args:
        left_out: what each of those is.
    """

    tasks: Board
    left_out: tuple[str, ...] = ()


def parse(content: bytes) -> Parsed:
    """Read a board.

    Raises:
        NotABoard: it is torn, no JSON, or no board.
    """
    try:
        found = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
        rows.object_text("it", {"": found})
    except (ValueError, RecursionError) as error:  # what cannot be stored, too
        raise NotABoard(f"{error!s:.200}") from error
    if not isinstance(found, (dict, list)):
        raise NotABoard(f"it holds {type(found).__name__}")
    tasks: Board = {}
    left_out: list[str] = []
    for entry, default_id, status in _entries(found, None):
        task = _task(entry, default_id, status)
        if isinstance(task, str):
            left_out.append(task)
            continue
        if task.task_id in tasks:
            left_out.append(f"{task.task_id[:80]} stands there twice: the last one counts")
        tasks[task.task_id] = task
    return Parsed(tasks, tuple(left_out))


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


Entry = tuple[object, str | None, str | None]


def _entries(found: object, status: str | None, depth: int = 0) -> Iterator[Entry]:
    """Every task, with the id and the status that its place gives it."""
    if isinstance(found, list):
        for item in found:
            column = _items(item)
            if column is not None and not (_said(item, ID)[1] and _said(item, STATUS)[1]):
                yield from ((task, None, _said(item, _COLUMN)[1]) for task in column)
            else:
                yield item, None, status
    elif isinstance(found, dict):
        for name in _WITHIN:
            if depth < len(_WITHIN) and isinstance(found.get(name), (dict, list)):
                yield from _entries(found[name], status, depth + 1)
                return
        for name, value in found.items():
            yield from _named(name, value, status, depth)


def _named(name: str, value: object, status: str | None, depth: int) -> Iterator[Entry]:
    """What stands under a name: a column, or a task. The rest is about the board."""
    column = value if isinstance(value, list) else _items(value)
    if column is not None and not _said(value, STATUS)[1]:
        yield from ((task, None, name) for task in column)
    elif isinstance(value, dict):
        if depth or any(_said(value, names)[1] for names in (ID, STATUS, ASSIGNEE, TITLE)):
            yield value, name, status
    elif depth and isinstance(value, str):
        yield {"status": value}, name, status


def _items(value: object) -> list[object] | None:
    """What stands in a column."""
    if isinstance(value, dict):
        for name in _ITEMS:
            if isinstance(value.get(name), list):
                found: list[object] = value[name]
                return found
    return None


def _task(entry: object, default_id: str | None, column: str | None) -> Task | str:
    """A task, or why it is none."""
    if _word(entry) and not isinstance(entry, dict):
        entry = {"id": entry}
    said = {names: _said(entry, names) for names in (ID, STATUS, ASSIGNEE, TITLE, CHANGED_BY)}
    task_id = said[ID][1] or default_id
    if not task_id or not isinstance(entry, dict):
        return f"{json.dumps(entry)[:80]} has no id"
    texts = [task_id, *(text for _, text in said.values() if text)]
    if any(len(text) > rows.MAX_LABEL for text in texts):
        return f"{task_id[:80]} has a text of more than {rows.MAX_LABEL:,} characters"
    used = {name for name, _ in said.values()} | _STAMPS
    return Task(
        task_id,
        said[STATUS][1] or column,
        said[ASSIGNEE][1],
        said[TITLE][1],
        said[CHANGED_BY][1],
        {name: value for name, value in entry.items() if name not in used},
    )


def _said(entry: object, names: tuple[str, ...]) -> tuple[str, str | None]:
    """The first of some names that says something, and what; None if none does."""
    if isinstance(entry, dict):
        for name in names:
            value = entry.get(name)
            words = [_word(item) for item in value] if isinstance(value, list) else [_word(value)]
            if text := ", ".join(filter(None, words)):
                return name, text
    return "", None


def _word(value: object) -> str | None:
    if isinstance(value, dict):
        return _said(value, ("name", "id", "login"))[1]
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    return None


def _folded(status: str) -> str:
    return "_".join(status.casefold().replace("-", " ").replace("_", " ").split())


def dumped(tasks: Board) -> str:
    """A board as JSON, to be kept; the same board always gives the same text."""
    kept = {task_id: task.as_dict() for task_id, task in tasks.items()}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def loaded(text: str) -> Board:
    """What :func:`dumped` wrote."""
    return {task_id: Task.of_dict(task_id, kept) for task_id, kept in json.loads(text).items()}
