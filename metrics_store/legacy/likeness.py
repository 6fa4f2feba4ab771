"""Whether a row of the store says what a legacy record says, and what it says if it does not."""

from __future__ import annotations

import json
from json.encoder import encode_basestring

from metrics_store import clock
from metrics_store.legacy_format import record
from metrics_store.legacy_format.moments import REPEATED
from metrics_store.legacy_format.record import Understood
from metrics_store.legacy_format.stored import StoredRow

#: How much alike a row and a record are: not; but for what the row knows beyond it; altogether.
UNLIKE, BARE, EQUAL = 0, 1, 2

_IF_COMPLETED, _IF_NOT = ("completed",), ("failed", None)
_SOURCE = '{"source":'


def likeness(row: StoredRow, u: Understood) -> int:
    """How much a row is like a record: as :func:`stored.says` has it, found faster if it is."""
    legacy, us = row["legacy"], row["duration_us"]
    if (
        isinstance(legacy, str)
        and row["skill_name"] == u.skill_name
        and row["workflow_path"] == u.workflow_path
        and row["error_type"] == u.error_type
        and u.seconds == (us / 1e6 if isinstance(us, int) else None)
        and row["outcome"] in (_IF_COMPLETED if u.completed else _IF_NOT)
        and u.actions is not None
        and row["follow_up_actions"] == u.actions_text
    ):
        raw = f',"invoked_at":{encode_basestring(u.raw_invoked_at)}'
        plain = u.attributes is None and row["attributes"] is None
        if plain and row["session_id"] == u.session_id and _is_source_and(legacy, raw + "}"):
            return EQUAL
        if u.is_bare and _is_source_and(legacy, raw + ',"beyond":true}'):
            if row["session_id"] is not None:
                return BARE
            if plain:
                return EQUAL
            # Its attributes may come to nothing.
    if not is_legible(row):
        return UNLIKE
    says = u.content
    if record.content_of(row) == says:
        return EQUAL
    return BARE if u.is_bare and record.content_of(row, bare=True) == says else UNLIKE


def _is_source_and(legacy: str, rest: str) -> bool:
    """Whether a ``legacy`` text is the source's number and then just this."""
    return (
        legacy.startswith(_SOURCE)
        and legacy.endswith(rest)
        and legacy[len(_SOURCE) : -len(rest)].isdecimal()
    )


def is_legible(row: StoredRow) -> bool:
    """Whether a row can be read as a record; one that was tampered with may not be."""
    try:
        record.content_of(row)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def content(row: StoredRow, *, bare: bool = False) -> str:
    """What a row says: the record it came from, else its columns."""
    if is_legible(row):
        return record.content_of(row, bare=bare)
    return json.dumps(dict(row), ensure_ascii=False)


def same_moment(row: StoredRow, u: Understood) -> bool:
    """Whether a row stands for the moment of a record, as far as its text tells."""
    if row["invoked_at"] == clock.text(u.invoked_us):
        return True
    # Which of the two times that the text stands for, only the order in the file tells.
    return any(flag == REPEATED for flag, _ in u.flags)
