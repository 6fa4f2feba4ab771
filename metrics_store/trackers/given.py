"""What callers give for a record, checked: any text is taken, and nothing that is none.

Every function raises InvalidValue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from metrics_store.errors import InvalidValue
from metrics_store.legacy_format.members import KNOWN, MEMBERS
from metrics_store.rows import duration_us
from metrics_store.trackers.document import is_pending
from metrics_store.trackers.layout import Json

#: The members that say how an invocation ended, while it has not.
PENDING: dict[str, Json] = {
    "completed": False,
    "duration_seconds": None,
    "follow_up_actions": [],
    "error_type": None,
}


def ending(completed: object, actions: object, error_type: object) -> dict[str, Json]:
    """The members that say how an invocation ended; the duration is None yet."""
    if not isinstance(completed, bool):
        raise InvalidValue(f"completed is {completed!r}, not True or False"[:200])
    if actions is None:
        actions = ()
    if isinstance(actions, (str, bytes)) or not isinstance(actions, Sequence):
        raise InvalidValue(f"follow_up_actions is {type(actions).__name__}, not a list of texts")
    return {
        "completed": completed,
        "duration_seconds": None,
        "follow_up_actions": [_text("a follow-up action", action) for action in actions],
        "error_type": optional_text("error_type", error_type),
    }


def checked(record: Mapping[str, Json]) -> dict[str, Json]:
    """The record of an invocation that has ended, its members in the legacy order."""
    if set(record) != KNOWN:
        raise InvalidValue(f"a record has the members {', '.join(MEMBERS)}, and no other")
    ended = ending(record["completed"], record["follow_up_actions"], record["error_type"])
    seconds = record["duration_seconds"]
    if seconds is not None:
        duration_us(seconds)  # type: ignore[arg-type]
        ended["duration_seconds"] = float(str(seconds))
    if is_pending(ended):
        raise InvalidValue("the record says nothing of an end", hint="Give its duration.")
    return {
        "skill_name": name(record["skill_name"]),
        "invoked_at": moment(record["invoked_at"]),
        "workflow_path": optional_text("workflow_path", record["workflow_path"]),
        **ended,
    }


def name(value: object) -> str:
    """The name of a skill."""
    if value == "":
        raise InvalidValue("skill_name is empty")
    return _text("skill_name", value)


def moment(value: object) -> str:
    """A moment as the file is to have it: ISO 8601."""
    text = _text("invoked_at", value)
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue(f"invoked_at: {error}") from error
    return text


def optional_text(what: str, value: object) -> str | None:
    """A text, or None."""
    return None if value is None else _text(what, value)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{what} is {type(value).__name__}, not text")
    # An enum's member is its text, and nothing else, once it is stored.
    return value if value.__class__ is str else str.__str__(value)
