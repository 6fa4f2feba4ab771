"""How users' records of the five tables are written, and the rows they become."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from metrics_store import clock
from metrics_store.agents import recording
from metrics_store.agents.fields import (
    CommitFields,
    EventFields,
    RagFields,
    SampleFields,
    SystemFields,
)
from metrics_store.errors import InvalidValue
from metrics_store.logs import Content

#: Reads a moment, however it is written: microseconds since 1970.
Moments = Callable[[object], int]
Said = dict[str, object]

#: The names under which a record's moment is looked for, where it has none of its own.
_MOMENTS = ("recorded_at", "timestamp", "created_at", "at", "ts")
#: Ids that are numbers count rows of one file; longer ones are ids of ours.
_LONG_ID = 16
#: Columns that no user's table has, or that say nothing else than others do.
_OURS = re.compile("id|seq|digest|.*_(milli|micro|us)")


class NotARecord(InvalidValue):
    """It is no record of these tables."""


@dataclass(frozen=True, slots=True)
class Form:
    """A table as users know it.

    Args:
        table: its name.
        names: further names by which a line of JSON may call it.
        signs: what a record of it has that no other has; one of these sets of names.
        columns: how each of its columns is read.
        moments: names of its moment, the first that is there counts.
        build: makes the row of what was read.
    """

    table: str
    names: frozenset[str]
    signs: tuple[frozenset[str], ...]
    columns: Mapping[str, Callable[[str, object], object]]
    moments: tuple[str, ...]
    build: Callable[[int, Said], Content]

    def content(self, said: Said, us: Moments) -> tuple[Content, list[str]]:
        """The row of a record, with an empty id where it bears none, and what it has besides.

        Raises:
            InvalidValue: it cannot be recorded.
        """
        at = next((said[name] for name in self.moments if said.get(name) is not None), None)
        if at is None:
            raise NotARecord(f"it has no moment: none of {', '.join(self.moments)}")
        moment = us(at)
        if not clock.MIN_US <= moment <= clock.MAX_US:
            raise InvalidValue(f"{at!r:.80} is outside the years 1 to 9999")
        fields: Said = {}
        unknown = []
        for name, value in said.items():
            if name == "last_activity" and value is not None and name in self.columns:
                fields[name] = clock.text(us(value))
            elif name in self.columns:
                fields[name] = self.columns[name](name, value)
            elif name not in self.moments and not _OURS.fullmatch(name):
                unknown.append(name)
        content = self.build(moment, fields)
        if self.table == "git_commits":
            return content, unknown
        own = said.get("id")
        kept = own if isinstance(own, str) and len(own) >= _LONG_ID else ""
        return (kept, *content[1:]), unknown


def form_of(record: Mapping[str, object], table: str | None) -> tuple[Form, Said]:
    """Of which table a record is, and what it says by the names of our columns.

    Args:
        table: it is of this one.

    Raises:
        NotARecord: it does not tell.
    """
    said = {_snake(name): value for name, value in record.items()}
    if table is not None:
        return FORMS[table], said
    for key in ("table", "family", "kind", "type"):
        name = said.get(key)
        for form in FORMS.values():
            if isinstance(name, str) and name.casefold() in form.names:
                return form, {other: value for other, value in said.items() if other != key}
    for form in FORMS.values():
        if any(sign <= said.keys() for sign in form.signs):
            return form, said
    raise NotARecord("of which table it is, its names do not tell", hint="Say so with --table.")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


# How columns are read --------------------------------------------------------------------------


def _text(name: str, value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _word(name: str, value: object) -> object:
    return value.strip().casefold() if isinstance(value, str) else value


def _number(name: str, value: object) -> object:
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            return float(value)
        except ValueError as error:
            raise InvalidValue(f"{name} is {value!r:.80}, not a number") from error
    return value


def _count(name: str, value: object) -> object:
    number = _number(name, value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number


def _json(name: str, value: object) -> object:
    if isinstance(value, str):
        try:
            return json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return value
    return value


def _object(name: str, value: object) -> object:
    found = _json(name, value)
    return found if found is None or isinstance(found, dict) else {name: found}


# The five tables -------------------------------------------------------------------------------


def _taken(fields: Said, *names: str) -> list[str]:
    """What the row cannot be without, taken out of the fields."""
    found = [fields.pop(name, None) for name in names]
    return cast("list[str]", found)


def _sample(us: int, fields: Said) -> Content:
    agent, status = _taken(fields, "agent_id", "status")
    return recording.sample(us, agent, status, cast("SampleFields", fields))


def _event(us: int, fields: Said) -> Content:
    task, kind = _taken(fields, "task_id", "event_type")
    return recording.event(us, task, kind, cast("EventFields", fields))


def _commit(us: int, fields: Said) -> Content:
    [commit_hash] = _taken(fields, "commit_hash")
    fields = {**fields, "message": fields.get("message") or "", "commit_timestamp": clock.text(us)}
    return recording.commit(us, commit_hash, cast("CommitFields", fields))


def _health(us: int, fields: Said) -> Content:
    [status] = _taken(fields, "overall_status")
    return recording.system(us, status, cast("SystemFields", fields))


def _rag(us: int, fields: Said) -> Content:
    return recording.rag(us, cast("RagFields", fields))


_AGENT = Form(
    "agent_metrics",
    frozenset({"agent_metrics", "agent", "agents"}),
    (frozenset({"agent_id", "status"}),),
    {
        "agent_id": _text, "status": _word, "current_task": _text, "cpu_usage": _number,
        "memory_usage": _number, "memory_percent": _number, "uncommitted_changes": _count,
        "uptime_seconds": _number, "last_activity": _text, "branch": _text,
    },
    _MOMENTS,
    _sample,
)  # fmt: skip
_TASK = Form(
    "task_events",
    frozenset({"task_events", "task", "tasks"}),
    (frozenset({"task_id", "event_type"}),),
    {
        "task_id": _text, "event_type": _word, "previous_status": _text, "new_status": _text,
        "assigned_to": _text, "changed_by": _text, "details": _object,
    },
    _MOMENTS,
    _event,
)  # fmt: skip
_COMMIT = Form(
    "git_commits",
    frozenset({"git_commits", "commit", "commits"}),
    (frozenset({"commit_hash"}),),
    {
        "commit_hash": _text, "short_hash": _text, "agent_id": _text, "author": _text,
        "message": _text, "branch": _text, "files_changed": _count, "lines_added": _count,
        "lines_deleted": _count, "repository": _text,
    },
    ("commit_timestamp", "committed_at", "timestamp", "recorded_at", "created_at", "date"),
    _commit,
)  # fmt: skip
_SYSTEM = Form(
    "system_health",
    frozenset({"system_health", "system", "health"}),
    (frozenset({"overall_status"}),),
    {
        "overall_status": _word, "api_latency": _number, "websocket_connections": _count,
        "file_watch_events": _count, "error_count": _count, "cpu": _number, "memory": _number,
        "disk": _number, "details": _object,
    },
    _MOMENTS,
    _health,
)  # fmt: skip
_RAG = Form(
    "rag_metrics",
    frozenset({"rag_metrics", "rag"}),
    (frozenset({"hit_rate"}), frozenset({"total_patterns"}), frozenset({"top_patterns"})),
    {
        "total_patterns": _count, "total_queries": _count, "average_response_time": _number,
        "hit_rate": _number, "memory_usage": _number, "query_volume_last_hour": _count,
        "top_patterns": _json, "recent_queries": _json,
    },
    _MOMENTS,
    _rag,
)  # fmt: skip
#: The five, by their table; of what their names do not tell apart, the first counts.
FORMS: dict[str, Form] = {form.table: form for form in (_COMMIT, _TASK, _AGENT, _SYSTEM, _RAG)}
