"""From what a caller says of an invocation to the row that is written, checked and with its digest.

The hot path of the store: some 5 us a row, most of it the digest and the id.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from json.encoder import encode_basestring
from typing import NamedTuple

from metrics_store import clock
from metrics_store.errors import InvalidValue
from metrics_store.sqlite import Value

#: The version of the log row's layout, kept in every row.
ROW_VERSION = 1
#: Longest text that is a key of a rollup, in characters; longest JSON of attributes, in characters.
MAX_LABEL = 16_384
MAX_ATTRIBUTES = 16_777_216
#: Longest duration that is believed, in microseconds: some 31 years.
MAX_DURATION_US = 1_000_000_000_000_000
MAX_ACTIONS = 10_000
#: Deepest nesting of attributes.
MAX_DEPTH = 500

JsonObject = Mapping[str, object]
Moment = str | datetime | None
Duration = float | timedelta | None

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


#: A text as JSON; the encoder proper costs 2 us a call before it begins.
_quoted = encode_basestring


class Row(NamedTuple):
    """A log row as it is bound: 0 stands for a NULL text, ``""`` for a NULL number."""

    id: str
    skill_name: str
    invoked_at: str
    ended_at: str | int
    workflow_path: str | int
    session_id: str | int
    project_path: str | int
    outcome: str
    duration_us: str | int
    error_type: str | int
    follow_up_actions: str
    origin: str
    attributes: str | int
    legacy: str | int
    schema_version: int
    digest: str


def row(
    invocation_id: str,
    skill_name: str,
    invoked_us: int,
    ended_us: int | None,
    workflow_path: str | None,
    session_id: str | None,
    project_path: str | None,
    outcome: str,
    duration_us: int | None,
    error_type: str | None,
    actions: str,
    origin: str,
    attributes: str | None,
    legacy: str | None = None,
) -> Row:
    """Put a checked row together.

    Args:
        invoked_us, ended_us: microseconds since 1970.
        duration_us: microseconds.
        actions, attributes, legacy: JSON text, as :func:`actions_text` and so on made it.
    """
    invoked_at = clock.text(invoked_us)
    ended_at = None if ended_us is None else clock.text(ended_us)
    return Row(
        invocation_id,
        skill_name,
        invoked_at,
        0 if ended_at is None else ended_at,
        0 if workflow_path is None else workflow_path,
        0 if session_id is None else session_id,
        0 if project_path is None else project_path,
        outcome,
        "" if duration_us is None else duration_us,
        0 if error_type is None else error_type,
        actions,
        origin,
        0 if attributes is None else attributes,
        0 if legacy is None else legacy,
        ROW_VERSION,
        digest(
            (
                invocation_id,
                skill_name,
                invoked_at,
                ended_at,
                workflow_path,
                session_id,
                project_path,
                outcome,
                duration_us,
                error_type,
                actions,
                origin,
                attributes,
                legacy,
                ROW_VERSION,
            )
        ),
    )


def digest(content: Sequence[Value]) -> str:
    """The digest of a row's content: BLAKE2b, 128 bits, in hex.

    Args:
        content: every column but ``seq`` and ``digest``, in the order of :class:`Row`, NULL as
            None.
    """
    # ascii() tells None, 0, "" and "0" apart and quotes text, so that two rows never share a text.
    # It is the same in every version of Python (repr() is not: it asks Unicode what is printable),
    # and by far the fastest way to write a tuple down.
    return hashlib.blake2b(ascii(tuple(content)).encode(), digest_size=16).hexdigest()


def label(name: str, value: object) -> str:
    """Check a text that becomes a key: not empty, not endless, and storable as UTF-8.

    Raises:
        InvalidValue: it is not such a text.
    """
    if not isinstance(value, str):
        raise InvalidValue(f"{name} is {type(value).__name__}, not text")
    if not value:
        raise InvalidValue(f"{name} is empty")
    return _storable(name, value, MAX_LABEL)


def optional(name: str, value: object) -> str | None:
    """Check a text that may be missing or empty.

    Raises:
        InvalidValue: it is something else.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        if not isinstance(value, os.PathLike):
            raise InvalidValue(f"{name} is {type(value).__name__}, not text")
        value = str(value)
    return _storable(name, value, MAX_LABEL)


def _storable(name: str, value: str, limit: int) -> str:
    if len(value) > limit:
        raise InvalidValue(
            f"{name} has {len(value):,} characters",
            hint=f"At most {limit:,}; put what is long into attributes.",
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(
                f"{name} has half of a character at position {error.start}",
                hint="A lone surrogate is no text; decode it with errors='replace'.",
            ) from error
    # An enum's member is its text, and nothing else, once it is stored.
    return value if value.__class__ is str else str.__str__(value)


def actions_text(value: object) -> str:
    """Check follow-up actions, a sequence of texts, and write them as a JSON array.

    Raises:
        InvalidValue: they are something else.
    """
    if value is None:
        return "[]"
    # The two common types first: asking the abstract class costs 0.5 us.
    if not isinstance(value, (list, tuple)) and (
        isinstance(value, (str, bytes)) or not isinstance(value, Sequence)
    ):
        raise InvalidValue(f"follow_up_actions is {type(value).__name__}, not a list of texts")
    if len(value) > MAX_ACTIONS:
        raise InvalidValue(f"follow_up_actions has {len(value):,} entries")
    for action in value:
        label("a follow-up action", action)
    return "[" + ",".join(map(_quoted, value)) + "]"


def object_text(name: str, value: JsonObject | None) -> str | None:
    """Write a JSON object.

    Raises:
        InvalidValue: it is no mapping, or it holds what JSON cannot.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidValue(f"{name} is {type(value).__name__}, not a mapping")
    try:
        _shallow(value)
        text = _encode(dict(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"{name}: {error}", hint="Use what JSON can hold.") from error
    return _storable(name, text, MAX_ATTRIBUTES)


def _shallow(value: object) -> None:
    """Refuse what SQLite's JSON functions find too deep (1,000 levels)."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        level = [
            item
            for outer in level
            if isinstance(outer, (Mapping, list, tuple))
            for item in (outer.values() if isinstance(outer, Mapping) else outer)
        ]


def moment_us(name: str, value: str | datetime) -> int:
    """Microseconds since 1970 of a datetime or ISO 8601 text that bears its offset.

    Raises:
        InvalidValue: it is something else.
    """
    try:
        us = clock.parse(value) if isinstance(value, str) else clock.of_datetime(value)
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        # TypeError: a naive datetime, or something else altogether.
        raise InvalidValue(
            f"{name}: {error}",
            hint="Use an aware datetime, or text such as 2026-01-31T12:00:00+01:00.",
        ) from error
    if not clock.MIN_US <= us <= clock.MAX_US:
        raise InvalidValue(f"{name}: {value} is outside the years 1 to 9999 in UTC")
    return us


def duration_us(value: Duration, name: str = "duration_seconds") -> int | None:
    """Whole microseconds of a duration in seconds; ``name`` is what errors call it.

    Raises:
        InvalidValue: it is negative, not finite, or past some 31 years.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        us = value // timedelta(microseconds=1)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} is {type(value).__name__}, not a number")
    elif not 0 <= value <= MAX_DURATION_US / clock.MICROSECONDS:
        us = -1  # NaN and infinities too
    else:
        us = round(value * clock.MICROSECONDS)
    if not 0 <= us <= MAX_DURATION_US:
        raise InvalidValue(f"{name} is {value!s:.40}", hint="It is 0 to 1e9 seconds.")
    return us
