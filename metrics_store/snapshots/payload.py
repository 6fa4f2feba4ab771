"""A status tool's JSON: what can be kept, and of which moment it is; nothing is thrown away."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from metrics_store import clock, rows
from metrics_store.errors import InvalidValue
from metrics_store.legacy_format.moments import ZoneReader, local_zone
from metrics_store.snapshots.fields import MOMENT

Payload = Mapping[str, object]

#: Longest JSON of one snapshot, in bytes.
MAX_BYTES = 16_777_216

HINT = "The page docs/snapshots.md has the names and what they may hold."
#: A value as short JSON.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_escape = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Document:
    """A payload that is JSON, and an object.

    Args:
        fields: what it holds.
        text: itself, as it came.
    """

    fields: Payload
    text: str


class Zones:
    """The zone of moments without an offset; of this machine, unless one is named.

    Args:
        name: an IANA name.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._reader: ZoneReader | None = None if name is None else ZoneReader(name)
        #: The zone, once a moment needed one.
        self.used: str | None = None

    def again(self) -> Zones:
        """The same zone for another file, whose moments have an order of their own."""
        return Zones(self._name)

    def moment_us(self, said: object) -> int:
        """Microseconds since 1970 of a moment: ISO 8601 text, or seconds since 1970.

        Raises:
            InvalidValue: it is neither, or it is local time and this machine's zone has no name.
        """
        if isinstance(said, str):
            return self._of_text(said)
        if isinstance(said, bool) or not isinstance(said, (int, float)):
            raise InvalidValue(f"the moment is {kind_of(said)}", hint=HINT)
        if not clock.MIN_US / 1e6 <= said <= clock.MAX_US / 1e6:  # NaN too
            raise InvalidValue(f"the moment is {said!s:.40}", hint="Seconds since 1970, or text.")
        return max(clock.MIN_US, min(round(said * clock.MICROSECONDS), clock.MAX_US))

    def _of_text(self, said: str) -> int:
        try:
            return rows.moment_us("the moment", said)
        except InvalidValue:
            pass  # without an offset, or none at all
        try:
            if self._reader is None:
                self._reader = ZoneReader(local_zone())
            us = self._reader.read(said).us
        except (ValueError, OverflowError) as error:
            if isinstance(error, InvalidValue):
                raise
            raise InvalidValue(
                f"the moment {said!r:.60}: {error}", hint="Such as 2026-02-06T11:00:00+01:00."
            ) from error
        self.used = self._reader.zone
        return us


def document(payload: Payload | str | bytes) -> Document:
    """Check that a payload is a JSON object that can be kept.

    Args:
        payload: a mapping that JSON can hold, or the text of one.

    Raises:
        InvalidValue: it is not.
    """
    if isinstance(payload, Mapping):
        fields: object = payload
        text = _written(payload)
    else:
        text = _decoded(payload)
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(f"it is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise InvalidValue(f"it is {kind_of(fields)}, not a JSON object")
        _written(fields)  # NaN and the like, which Python takes for JSON
    size = len(text) if text.isascii() else len(text.encode())
    if size > MAX_BYTES:
        raise InvalidValue(f"it has {size:,} bytes", hint=f"At most {MAX_BYTES:,}.")
    assert isinstance(fields, Mapping)
    return Document(fields, text)


def _decoded(payload: str | bytes) -> str:
    try:
        if isinstance(payload, bytes):
            return payload.decode("utf-8-sig").strip()
        if isinstance(payload, str):
            payload.encode()
            return payload.removeprefix("\ufeff").strip()
    except UnicodeError as error:
        raise InvalidValue(f"it is not UTF-8: {error}") from error
    raise InvalidValue(f"the payload is {kind_of(payload)}, not a mapping or JSON text")


def _written(payload: Payload) -> str:
    try:
        _shallow(payload)
        text = encode(dict(payload))
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half a character, as of a file name that is not UTF-8: kept as an escape.
            text = _escape(dict(payload))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"the payload: {error}", hint="Use what JSON can hold.") from error
    return text


def _shallow(payload: Payload) -> None:
    """Refuse what SQLite's JSON functions find too deep."""
    level: list[object] = [payload]
    for _ in range(rows.MAX_DEPTH):
        inner: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                inner += value.values()
            elif isinstance(value, (list, tuple)):
                inner += value
        if not inner:
            return
        level = inner
    raise ValueError(f"nested deeper than {rows.MAX_DEPTH} levels")


def moment_of(payload: Payload) -> object:
    """What a payload says of its moment; None if nothing."""
    return next((payload[name] for name in MOMENT if payload.get(name) is not None), None)


def kind_of(value: object) -> str:
    """What a JSON value is, in a word."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int():
            return "a number"
        case float():
            return "a number" if math.isfinite(value) else "no number"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return type(value).__name__
