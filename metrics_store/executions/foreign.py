"""What others call an execution, in the words of this store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from uuid import UUID

from metrics_store.errors import InvalidValue
from metrics_store.executions.record import FIELDS

_MONEY = frozenset({"cost_estimate", "actual_cost"})
_TRUTHS = frozenset({"success", "user_accepted"})


def understood(raw: Mapping[str, object], zone: tzinfo) -> tuple[str | None, dict[str, object]]:
    """The id and the fields of an execution; what has no field of its own goes into its metadata.

    Args:
        raw: by the names of the source's columns.
        zone: whose times those without an offset are.

    Raises:
        InvalidValue: a value is none of its field.
    """
    fields: dict[str, object] = {}
    more: dict[str, object] = {}
    for name, value in raw.items():
        if value is None or name in ("task_id", "metadata"):
            continue
        if name not in FIELDS:
            more[name] = value
        elif name == "timestamp":
            fields[name] = aware(value, zone)
        elif isinstance(value, Decimal) and name not in _MONEY:
            fields[name] = float(value)
        elif name in _TRUTHS and type(value) is int and value in (0, 1):
            fields[name] = value == 1
        else:
            fields[name] = value
    metadata = _metadata(raw.get("metadata"))
    for name, value in more.items():
        metadata[name if name not in metadata else f"{name} (column)"] = _plain(value)
    if metadata:
        fields["metadata"] = metadata
    return _identity(raw.get("task_id")), fields


def aware(value: object, zone: tzinfo) -> datetime:
    """The moment that a source means.

    Raises:
        InvalidValue: it is none.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidValue(f"timestamp: {error}") from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise InvalidValue(f"timestamp is {type(value).__name__}, not a moment")
    return value.replace(tzinfo=zone) if value.tzinfo is None else value


def _identity(value: object) -> str | None:
    if isinstance(value, UUID) or type(value) is int:
        return str(value)
    if value is None or isinstance(value, str):
        return value
    raise InvalidValue(f"task_id is {type(value).__name__}, not text")


def _metadata(value: object) -> dict[str, object]:
    if isinstance(value, str):
        with suppress(ValueError):  # a plain text is kept as it is
            value = json.loads(value)
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {"metadata": _plain(value)}


def _plain(value: object) -> object:
    """A value that JSON can hold."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)
