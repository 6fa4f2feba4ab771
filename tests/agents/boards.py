"""Task boards for tests, and what their changes are to come to, worked out in the plainest way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from metrics_store.agents.results import TaskEvent

#: A board as a test has it: by task id, the status, who has it, the title, and something more.
State = Mapping[str, tuple[str | None, str | None, str | None, int | None]]
DONE, STOPPED = "Done", "blocked"


def written(state: State, shape: str = "list") -> str:
    """A board as JSON, in one of the shapes."""
    tasks = {}
    for name, (status, to, title, more) in state.items():
        named = {"status": status, "assigned_to": to, "title": title, "priority": more}
        tasks[name] = {key: value for key, value in named.items() if value is not None}
    if shape == "list":
        return json.dumps({"version": 1, "tasks": [{"id": n, **t} for n, t in tasks.items()]})
    if shape == "mapping":
        return json.dumps({"tasks": tasks, "updated": "now"})
    columns: dict[str, list[object]] = {}
    for name, task in tasks.items():
        status = str(task.pop("status", "todo"))
        columns.setdefault(status, []).append({"task_id": name, **task})
    return json.dumps({"columns": columns})


def put(path: Path, text: str) -> None:
    """Replace a file at once, as careful writers do."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def expected(before: State | None, after: State) -> list[tuple[str, str, str | None, str | None]]:
    """The events of a change: task, type, new status, who has it."""
    found: list[tuple[str, str, str | None, str | None]] = []
    for name, (status, to, title, more) in after.items():
        ending = {DONE: "completed", STOPPED: "blocked"}.get(status or "")
        if before is None or name not in before:
            found.append((name, "created", status, to))
            if ending and before is not None:
                found.append((name, ending, status, to))
            continue
        old_status, old_to, old_title, old_more = before[name]
        if to != old_to:
            found.append((name, "assigned", status, to or ""))
        if status != old_status:
            found.append((name, ending or "updated", status, to))
        elif to == old_to and (title, more) != (old_title, old_more):
            found.append((name, "updated", status, to))
    found += [(n, "updated", "removed", None) for n in before or {} if n not in after]
    return found


def told(events: Sequence[TaskEvent]) -> list[tuple[str, str, str | None, str | None]]:
    """The same of events that were recorded."""
    return [(e.task_id, e.event_type, e.new_status, e.assigned_to) for e in events]
