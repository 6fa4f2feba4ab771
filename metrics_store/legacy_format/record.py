"""A legacy record: what it says, what it becomes in the store, and what a row was before.

A record has no id. Its key is (skill_name, raw invoked_at, workflow_path); records of one key are
told apart by an ordinal, and key and ordinal give the row's id. A record becomes a row only if the
row can give back the very same record; everything else is refused with a reason, and kept as text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from metrics_store import clock, rows
from metrics_store.legacy_format.moments import Read, ZoneReader
from metrics_store.rows import Row

ORIGIN = "legacy"
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
_KNOWN = frozenset(MEMBERS)
#: What the sibling with session ids writes beside them.
_SESSION_MEMBERS = frozenset(
    ("session_id", "user_query", "alternatives_considered", "selection_rank")
)
#: The sibling's invention where it was given no duration.
_PLACEHOLDER_SECONDS = 0.01

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Understood:
    """A record that can be a row.

    Args:
        key: JSON text of skill, raw moment and path.
        content: canonical JSON text of everything it says.
        invoked_us: microseconds since 1970.
        pending: it never ended.
        duration_us: microseconds; None if unknown.
        legacy: JSON object of what the columns cannot give back.
        flags: pairs of flag and detail.
    """

    key: str
    content: str
    skill_name: str
    raw_invoked_at: str
    invoked_us: int
    workflow_path: str | None
    pending: bool
    completed: bool
    duration_us: int | None
    actions: str
    error_type: str | None
    session_id: str | None
    attributes: str | None
    legacy: dict[str, object]
    flags: tuple[tuple[str, str], ...]


class Refused(Exception):
    """The record cannot be a row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def understand(value: object, zone: ZoneReader, session_shape: bool, now_us: int) -> Understood:
    """Read a record.

    Args:
        value: the parsed element.
        zone: reads its moment; to be called for every record of the file, in order.
        session_shape: whether it is from the sibling that writes session ids.
        now_us: microseconds since 1970, to flag moments in the future.

    Raises:
        Refused: with the reason.
    """
    if not isinstance(value, dict):
        raise Refused("not_an_object", f"it is {_kind(value)}, not an object")
    get = value.get
    skill = get("skill_name")
    if not isinstance(skill, str) or not skill:
        raise Refused("bad_skill_name", f"skill_name is {_kind(skill)}")
    raw, read = _moment(get("invoked_at"), zone)
    path = _optional(get("workflow_path"), "workflow_path")
    error_type = _optional(get("error_type"), "error_type")
    completed = get("completed", False)
    if completed is not True and completed is not False:
        raise Refused("bad_completed", f"completed is {_kind(completed)}, not true or false")
    seconds = _seconds(get("duration_seconds"))
    given = get("follow_up_actions", [])
    actions = _actions(given)
    flags = [(read.flag, f"{raw} in {zone.zone}")] if read.flag else []
    if read.us > now_us + 86_400 * clock.MICROSECONDS:
        flags.append(("in_the_future", raw))
    session: str | None = None
    extra: dict[str, object] = {}
    if len(value) > len(MEMBERS) or not _KNOWN.issuperset(value):
        session, extra = _beyond(value, session_shape, flags)
    legacy: dict[str, object] = {"invoked_at": raw}
    duration = _duration_us(seconds, session_shape, flags, legacy)
    if given is None:
        legacy["follow_up_actions"] = None
    said = [skill, raw, path, completed, seconds, given, error_type, session, extra]
    try:
        content = _text(said)
        _storable(content)
        if len(content) > 4096:
            _short_enough(skill, raw, path, error_type, session, given or ())
        attributes = rows.object_text("attributes", extra) if extra else None
    except (ValueError, RecursionError) as error:
        raise Refused("not_storable", str(error)) from None
    return Understood(
        key_of(skill, raw, path),
        content,
        skill,
        raw,
        read.us,
        path,
        seconds is None and not completed and not error_type and not given,
        completed,
        duration,
        actions,
        error_type,
        session,
        attributes,
        legacy,
        tuple(flags),
    )


def content_of(row: Mapping[str, object]) -> str:
    """The canonical text of the record that a stored row came from.

    Args:
        row: the columns of the log or of what is in flight; for the latter ``outcome`` is None.
    """
    legacy = json.loads(str(row["legacy"]))
    us = row["duration_us"]
    actions = json.loads(str(row["follow_up_actions"]))
    attributes = json.loads(str(row["attributes"])) if row["attributes"] else {}
    attributes.pop("reaped", None)
    return _text(
        [
            row["skill_name"],
            legacy["invoked_at"],
            row["workflow_path"],
            row["outcome"] == "completed",
            legacy.get("duration_seconds", None if us is None else int(str(us)) / 1e6),
            legacy.get("follow_up_actions", actions),
            row["error_type"],
            row["session_id"],
            attributes,
        ]
    )


def key_of(skill_name: str, raw_invoked_at: str, workflow_path: object) -> str:
    """The key that tells records apart as far as the legacy format can."""
    return _text([skill_name, raw_invoked_at, workflow_path])


def row_of(record: Understood, ordinal: int, source_id: int) -> Row:
    """The log row of a record that ended."""
    us = record.duration_us
    return rows.row(
        row_id(record.key, record.raw_invoked_at, ordinal),
        record.skill_name,
        record.invoked_us,
        None if us is None or record.invoked_us + us > clock.MAX_US else record.invoked_us + us,
        record.workflow_path,
        record.session_id,
        None,
        "completed" if record.completed else "failed",
        us,
        record.error_type,
        record.actions,
        ORIGIN,
        record.attributes,
        _json({"source": source_id, **record.legacy}),
    )


def inflight_of(record: Understood, ordinal: int, source_id: int) -> tuple[str | int, ...]:
    """The in-flight row of a record that never ended, as ``skills.start_invocation`` binds it."""
    return (
        row_id(record.key, record.raw_invoked_at, ordinal),
        record.skill_name,
        clock.text(record.invoked_us),
        0 if record.workflow_path is None else record.workflow_path,
        0 if record.session_id is None else record.session_id,
        0,
        ORIGIN,
        0 if record.attributes is None else record.attributes,
        _json({"source": source_id, **record.legacy}),
        0,
    )


def row_id(key: str, raw_invoked_at: str, ordinal: int) -> str:
    """The id of the how-manieth record of a key: a UUIDv8 (RFC 9562 §5.8).

    It begins with the raw moment, so that ids of a file lie close together in the index, and goes
    on with a hash of key and ordinal. The zone is no part of it.
    """
    moment = datetime.fromisoformat(raw_invoked_at)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    ms = max(0, clock.of_datetime(aware) // 1000) & 0xFFFF_FFFF_FFFF
    hashed = hashlib.blake2b(f"{ordinal}:{key}".encode("utf-8", "surrogatepass"), digest_size=10)
    tail = hashed.hexdigest()
    variant = "89ab"[int(tail[3], 16) & 3]
    head = f"{ms:012x}"
    return f"{head[:8]}-{head[8:]}-8{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"


def legacy_record(row: Mapping[str, object]) -> dict[str, object]:
    """The record as the legacy tracker writes it: its members, in its order, and no others."""
    return dict(zip(MEMBERS, json.loads(content_of(row))[:7], strict=True))


def _moment(raw: object, zone: ZoneReader) -> tuple[str, Read]:
    if not isinstance(raw, str):
        raise Refused("bad_moment", f"invoked_at is {_kind(raw)}")
    try:
        return raw, zone.read(raw)
    except (ValueError, OverflowError) as error:
        raise Refused("bad_moment", f"invoked_at: {error}") from None


def _duration_us(
    seconds: float | None,
    session_shape: bool,
    flags: list[tuple[str, str]],
    legacy: dict[str, object],
) -> int | None:
    """Whole microseconds; what they cannot give back is kept in ``legacy``."""
    if seconds is None:
        return None
    if session_shape and seconds == _PLACEHOLDER_SECONDS:
        flags.append(("placeholder_duration", "0.01 s is what is written when none was given"))
        legacy["duration_seconds"] = seconds
        return None
    us = round(seconds * clock.MICROSECONDS)
    if us / 1e6 != seconds:
        legacy["duration_seconds"] = seconds
    return us


def _beyond(
    value: Mapping[str, object], session_shape: bool, flags: list[tuple[str, str]]
) -> tuple[str | None, dict[str, object]]:
    extra = {key: item for key, item in value.items() if key not in _KNOWN}
    unknown = [key for key in extra if not (session_shape and key in _SESSION_MEMBERS)]
    if unknown:
        flags.append(("unknown_keys", "kept as attributes: " + ", ".join(sorted(unknown))))
    if isinstance(extra.get("session_id"), str):
        return str(extra.pop("session_id")), extra
    return None, extra


def _optional(value: object, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Refused(f"bad_{name}", f"{name} is {_kind(value)}, not text")


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("bad_duration", f"duration_seconds is {_kind(value)}, not a number")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds <= rows.MAX_DURATION_US / 1e6:
        raise Refused("bad_duration", f"duration_seconds is {seconds:g}")
    return seconds + 0.0  # -0.0 is 0


def _actions(value: object) -> str:
    if value is None or value == []:
        return "[]"
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused("bad_follow_up_actions", "follow_up_actions is not a list of texts")
    return _json(value)


def _short_enough(
    skill: str,
    raw: str,
    path: str | None,
    error_type: str | None,
    session: str | None,
    actions: Sequence[str],
) -> None:
    for text in (skill, raw, path, error_type, session, *actions):
        if text is not None and len(text) > rows.MAX_LABEL:
            raise ValueError(f"a text of {len(text):,} characters; at most {rows.MAX_LABEL:,}")
    if len(actions) > rows.MAX_ACTIONS:
        raise ValueError(f"{len(actions):,} follow-up actions; at most {rows.MAX_ACTIONS:,}")


def _storable(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("half of a character (a lone surrogate) is in its text") from None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _kind(value: object) -> str:
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
