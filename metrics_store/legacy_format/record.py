"""A legacy record: what it says, what it becomes in the store, and what a row was before.

A record has no id. Its key is (skill_name, raw invoked_at, workflow_path); records of one key are
told apart by an ordinal, and key and ordinal give the row's id. A record becomes a row only if the
row can give back the very same record; everything else is refused with a reason, and kept as text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import NamedTuple

from metrics_store import clock, rows
from metrics_store.legacy_format import members
from metrics_store.legacy_format.members import MEMBERS, Refused
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.rows import Row

__all__ = ["MEMBERS", "Refused", "Understood", "content_of", "understand"]

ORIGIN = "legacy"
#: The sibling's invention where it was given no duration.
_PLACEHOLDER_SECONDS = 0.01

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
#: A text as JSON. An encoder proper takes 2 us a call before it begins, three times a record.
_quoted = encode_basestring


class Understood(NamedTuple):
    """A record that can be a row.

    Args:
        key: JSON text of skill, raw moment and path.
        invoked_us: microseconds since 1970.
        face_us: the raw moment as if it were UTC, microseconds since 1970.
        pending: it never ended.
        duration_us: microseconds; None if unknown.
        seconds: the duration as the file has it.
        actions: the follow-up actions as the file has them: a list of texts, or None.
        extra: members the legacy tracker does not know, but for ``session_id``.
        attributes: the same as JSON text; None without any.
        placeholder: the duration is the sibling's invention.
        flags: pairs of flag and detail.
    """

    key: str
    skill_name: str
    raw_invoked_at: str
    invoked_us: int
    face_us: int
    workflow_path: str | None
    pending: bool
    completed: bool
    duration_us: int | None
    seconds: float | None
    actions: list[str] | None
    error_type: str | None
    session_id: str | None
    extra: dict[str, object]
    attributes: str | None
    flags: tuple[tuple[str, str], ...]

    @property
    def content(self) -> str:
        """Canonical JSON text of everything it says."""
        return _text(
            [
                self.skill_name,
                self.raw_invoked_at,
                self.workflow_path,
                self.completed,
                self.seconds,
                self.actions,
                self.error_type,
                self.session_id,
                self.extra,
            ]
        )

    @property
    def is_bare(self) -> bool:
        """Whether it has nothing beyond the seven members of the legacy tracker."""
        return self.session_id is None and not self.extra

    @property
    def actions_text(self) -> str:
        """The follow-up actions as a JSON array."""
        return "[" + ",".join(map(_quoted, self.actions)) + "]" if self.actions else "[]"

    def id(self, ordinal: int) -> str:
        """The id of the row that the how-manieth record of this key becomes."""
        return _row_id(self.key, self.face_us, ordinal)

    def legacy(self, source_id: int | None) -> str:
        """JSON text of what the row's columns cannot give back, and where it is from.

        Args:
            source_id: the file whose totals count it; None if none does.
        """
        source = "" if source_id is None else f'"source":{source_id},'
        text = f'{{{source}"invoked_at":{_quoted(self.raw_invoked_at)}'
        us = self.duration_us
        if self.seconds is not None and (us is None or us / 1e6 != self.seconds):
            text += f',"duration_seconds":{self.seconds!r}'
        if self.actions is None:
            text += ',"follow_up_actions":null'
        return text + ("}" if self.is_bare else ',"beyond":true}')


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
        raise Refused("not_an_object", f"it is {members.kind_of(value)}, not an object")
    get = value.get
    skill = get("skill_name")
    if not isinstance(skill, str) or not skill:
        raise Refused("bad_skill_name", f"skill_name is {members.kind_of(skill)}")
    raw, read = members.moment(get("invoked_at"), zone)
    path = members.optional_text(get("workflow_path"), "workflow_path")
    error_type = members.optional_text(get("error_type"), "error_type")
    completed = get("completed", False)
    if completed is not True and completed is not False:
        raise Refused(
            "bad_completed", f"completed is {members.kind_of(completed)}, not true or false"
        )
    seconds = members.seconds_of(get("duration_seconds"))
    actions = members.actions_of(get("follow_up_actions", []))
    flags: tuple[tuple[str, str], ...] = ()
    if read.flag:
        flags += ((read.flag, f"{raw} in {zone.zone}"),)
    if read.us > now_us + 86_400 * clock.MICROSECONDS:
        flags += (("in_the_future", raw),)
    session: str | None = None
    extra: dict[str, object] = {}
    if len(value) > len(MEMBERS) or not members.KNOWN.issuperset(value):
        session, extra, unknown = members.beyond(value, session_shape)
        flags += unknown
    us = None if seconds is None else round(seconds * clock.MICROSECONDS)
    if session_shape and seconds == _PLACEHOLDER_SECONDS:
        us = None
        flags += (("placeholder_duration", "0.01 s is what is written when none was given"),)
    attributes = members.storable(skill, raw, path, error_type, session, actions or (), extra)
    return Understood(
        key_of(skill, raw, path),
        skill,
        raw,
        read.us,
        read.face_us,
        path,
        seconds is None and not completed and error_type is None and not actions,
        completed,
        us,
        seconds,
        actions,
        error_type,
        session,
        extra,
        attributes,
        flags,
    )


def content_of(row: Mapping[str, object], *, bare: bool = False) -> str:
    """The canonical text of the record that a stored row came from.

    Args:
        row: the columns of the log or of what is in flight; for the latter ``outcome`` is None.
        bare: as the legacy tracker writes it: its seven members, without what a row knows beyond
            them (its ``legacy`` says whether it does).
    """
    legacy = json.loads(str(row["legacy"]))
    bare = bare and "beyond" in legacy
    us = row["duration_us"]
    actions = json.loads(str(row["follow_up_actions"]))
    attributes = json.loads(str(row["attributes"])) if row["attributes"] and not bare else {}
    if row["outcome"] == "abandoned":
        # The reaper's word; the record may have had a member of that name.
        attributes.pop(
            max((name for name in attributes if _is_reapers(name)), key=len, default=""), None
        )
    return _text(
        [
            row["skill_name"],
            legacy["invoked_at"],
            row["workflow_path"],
            row["outcome"] == "completed",
            legacy.get("duration_seconds", None if us is None else int(str(us)) / 1e6),
            legacy.get("follow_up_actions", actions),
            row["error_type"],
            None if bare else row["session_id"],
            attributes,
        ]
    )


def _is_reapers(name: str) -> bool:
    return name.rstrip("_") == "reaped"


def key_of(skill_name: str, raw_invoked_at: str, workflow_path: str | None) -> str:
    """The key that tells records apart as far as the legacy format can."""
    path = "null" if workflow_path is None else _quoted(workflow_path)
    return f"[{_quoted(skill_name)},{_quoted(raw_invoked_at)},{path}]"


def row_of(
    record: Understood,
    row_id: str,
    source_id: int | None,
    *,
    origin: str = ORIGIN,
    project_path: str | None = None,
) -> Row:
    """The log row of a record that ended.

    Args:
        row_id: its id, of :meth:`Understood.id`.
        source_id: the file whose totals count it; None if none does.
        origin: where it comes from.
        project_path: what the legacy format has no place for.
    """
    return _row(record, row_id, origin, project_path, record.legacy(source_id))


def live_row(record: Understood, row_id: str, project_path: str | None) -> Row:
    """The log row of a record that the store itself began, or is the first to hear of: under an
    id of its own, and of no legacy file."""
    return _row(record, row_id, "live", project_path, None)


def _row(
    record: Understood, row_id: str, origin: str, project_path: str | None, legacy: str | None
) -> Row:
    us = record.duration_us
    return rows.row(
        row_id,
        record.skill_name,
        record.invoked_us,
        None if us is None or record.invoked_us + us > clock.MAX_US else record.invoked_us + us,
        record.workflow_path,
        record.session_id,
        project_path,
        "completed" if record.completed else "failed",
        us,
        record.error_type,
        record.actions_text,
        origin,
        record.attributes,
        legacy,
    )


def inflight_of(record: Understood, row_id: str, source_id: int) -> tuple[str | int, ...]:
    """The in-flight row of a record that never ended, as ``skills.start_invocation`` binds it."""
    return (
        row_id,
        record.skill_name,
        clock.text(record.invoked_us),
        0 if record.workflow_path is None else record.workflow_path,
        0 if record.session_id is None else record.session_id,
        0,
        ORIGIN,
        0 if record.attributes is None else record.attributes,
        record.legacy(source_id),
        0,
    )


def row_id(key: str, raw_invoked_at: str, ordinal: int) -> str:
    """The id of the how-manieth record of a key: a UUIDv8 (RFC 9562 §5.8).

    It begins with the raw moment, so that ids of a file lie close together in the index, and goes
    on with a hash of key and ordinal. The zone is no part of it.
    """
    moment = datetime.fromisoformat(raw_invoked_at)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return _row_id(key, clock.of_datetime(aware), ordinal)


def _row_id(key: str, face_us: int, ordinal: int) -> str:
    ms = max(0, face_us // 1000) & 0xFFFF_FFFF_FFFF
    hashed = hashlib.blake2b(f"{ordinal}:{key}".encode("utf-8", "surrogatepass"), digest_size=10)
    tail = hashed.hexdigest()
    variant = "89ab"[int(tail[3], 16) & 3]
    head = f"{ms:012x}"
    return f"{head[:8]}-{head[8:]}-8{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"


def legacy_record(row: Mapping[str, object]) -> dict[str, object]:
    """The record as the legacy tracker writes it: its members, in its order, and no others."""
    return dict(zip(MEMBERS, json.loads(content_of(row))[:7], strict=True))
