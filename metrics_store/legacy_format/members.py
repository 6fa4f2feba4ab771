"""The members of a legacy record, read one by one: each is fit for a row, or refused with why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from metrics_store import rows
from metrics_store.legacy_format.moments import Read, ZoneReader

#: The members the legacy tracker knows, in its order: any other makes it drop its whole history.
MEMBERS = (
    "skill_name",
    "invoked_at",
    "workflow_path",
    "completed",
    "duration_seconds",
    "follow_up_actions",
    "error_type",
)
KNOWN = frozenset(MEMBERS)
#: What the sibling with session ids writes beside them.
_SESSION_MEMBERS = frozenset(
    ("session_id", "user_query", "alternatives_considered", "selection_rank")
)


class Refused(Exception):
    """The record cannot be a row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def moment(raw: object, zone: ZoneReader) -> tuple[str, Read]:
    """The moment, as text and as it was read."""
    if not isinstance(raw, str):
        raise Refused("bad_moment", f"invoked_at is {kind_of(raw)}")
    try:
        return raw, zone.read(raw)
    except (ValueError, OverflowError) as error:
        raise Refused("bad_moment", f"invoked_at: {error}") from None


def beyond(
    value: Mapping[str, object], session_shape: bool
) -> tuple[str | None, dict[str, object], tuple[tuple[str, str], ...]]:
    """The session, what else the legacy tracker does not know, and a flag for what nobody does."""
    extra = {key: item for key, item in value.items() if key not in KNOWN}
    unknown = [key for key in extra if not (session_shape and key in _SESSION_MEMBERS)]
    detail = "kept as attributes: " + ", ".join(sorted(unknown))
    flags = (("unknown_keys", detail),) if unknown else ()
    if isinstance(extra.get("session_id"), str):
        return str(extra.pop("session_id")), extra, flags
    return None, extra, flags


def optional_text(value: object, name: str) -> str | None:
    """A text or null."""
    if value is None or isinstance(value, str):
        return value
    raise Refused(f"bad_{name}", f"{name} is {kind_of(value)}, not text")


def seconds_of(value: object) -> float | None:
    """A duration in seconds or null: finite, not negative, at most some 31 years."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("bad_duration", f"duration_seconds is {kind_of(value)}, not a number")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds <= rows.MAX_DURATION_US / 1e6:
        raise Refused("bad_duration", f"duration_seconds is {seconds:g}")
    return seconds + 0.0  # -0.0 is 0


def actions_of(value: object) -> list[str] | None:
    """A list of texts, or null."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused("bad_follow_up_actions", "follow_up_actions is not a list of texts")
    return value


def storable(
    skill: str,
    raw: str,
    path: str | None,
    error_type: str | None,
    session: str | None,
    actions: Sequence[str],
    extra: dict[str, object],
) -> str | None:
    """Check that every text can be stored; gives the extra members as JSON text, if any."""
    if len(actions) > rows.MAX_ACTIONS:
        raise Refused("not_storable", f"{len(actions):,} follow-up actions")
    for text in (skill, raw, path, error_type, session, *actions):
        if text is None or (text.isascii() and len(text) <= rows.MAX_LABEL):
            continue
        if len(text) > rows.MAX_LABEL:
            raise Refused(
                "not_storable",
                f"a text of {len(text):,} characters; at most {rows.MAX_LABEL:,}",
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refused(
                "not_storable", "half of a character (a lone surrogate) is in its text"
            ) from None
    try:
        return rows.object_text("attributes", extra) if extra else None
    except (ValueError, RecursionError) as error:
        raise Refused("not_storable", str(error)) from None


def kind_of(value: object) -> str:
    """What a value is, in words for a person."""
    match value:
        case None:
            return "missing or null"
        case bool():
            return "true" if value else "false"
        case "":
            return "empty"
        case str():
            return f"the text {value[:40]!r}"
        case int() | float():
            return f"the number {value!r}"[:60]
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return type(value).__name__
