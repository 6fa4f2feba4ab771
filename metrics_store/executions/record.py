"""From what a caller says of an execution to the content of its log row, checked."""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Required, TypedDict, cast

from metrics_store import clock, rows
from metrics_store.errors import InvalidValue
from metrics_store.executions import money
from metrics_store.executions.money import Money
from metrics_store.executions.vectors import DIMENSIONS, as_blob
from metrics_store.rows import Duration, JsonObject
from metrics_store.sqlite import Value

#: Longest free text, such as a description, in characters.
MAX_TEXT = 1_048_576
_MOST = 1_000_000_000_000_000

Vector = Sequence[float] | bytes


class Execution(TypedDict, total=False):
    """What may be said of an execution that has ended, beside its id.

    Keys:
        success: whether it did what it was to do; the only one that is needed.
        timestamp: when it ended or was noted, an aware datetime or ISO 8601 text with an offset;
            by default now.
        task_type, task_description, repo, model_tier, pool_type, swarm_topology, error_type,
            error_message, solution_summary: text.
        file_count, estimated_tokens: whole numbers.
        routing_confidence, complexity_score: numbers; the second 0 or more, to three decimals.
        duration_seconds, cpu_time_seconds: seconds or a timedelta.
        quality_score: 0 to 100, to three decimals.
        cost_estimate, actual_cost: dollars; see :func:`metrics_store.executions.money.nano`.
        user_accepted: true or false.
        user_rating: 1 to 5.
        peak_memory_mb: megabytes, to three decimals.
        embedding: 384 numbers, or their 1,536 bytes (float32, lowest byte first).
        metadata: a mapping that JSON can hold.
    """

    success: Required[bool]
    timestamp: str | datetime | None
    task_type: str | None
    task_description: str | None
    repo: str | os.PathLike[str] | None
    file_count: int | None
    estimated_tokens: int | None
    model_tier: str | None
    pool_type: str | None
    swarm_topology: str | None
    routing_confidence: float | None
    complexity_score: float | None
    duration_seconds: Duration
    quality_score: float | None
    cost_estimate: Money | None
    actual_cost: Money | None
    error_type: str | None
    error_message: str | None
    user_accepted: bool | None
    user_rating: int | None
    peak_memory_mb: float | None
    cpu_time_seconds: Duration
    solution_summary: str | None
    embedding: Vector | None
    metadata: JsonObject | None


#: The fields of an execution by the names that users know.
FIELDS = frozenset(Execution.__annotations__)
Content = tuple[Value, ...]


def content(now_us: int, task_id: str | None, fields: Mapping[str, object]) -> Content:
    """The values of the log's stored columns, in their order.

    Args:
        now_us: microseconds since 1970, for an execution that says no time.
        task_id: its id; None for a new one.
        fields: see :class:`Execution`.

    Raises:
        InvalidValue: a value cannot be recorded, or a key is unknown.
    """
    if not FIELDS.issuperset(fields):
        unknown = ", ".join(sorted(map(repr, set(fields) - FIELDS)))
        raise InvalidValue(f"unknown: {unknown}", hint="Put what is your own into metadata.")
    moment = fields.get("timestamp")
    us = now_us if moment is None else rows.moment_us("timestamp", cast("str", moment))
    identity = clock.new_id(us) if task_id is None else rows.label("task_id", task_id)
    values: list[Value] = [identity, clock.text(us)]
    for name, check in _CHECKS.items():
        value = fields.get(name)
        values.append(None if value is None and name != "success" else check(name, value))
    return tuple(values)


def described(task_id: str | None, fields: Mapping[str, object]) -> str:
    """A text that is the same for the same content, whatever the order of its keys."""
    return json.dumps([task_id, fields], sort_keys=True, default=_plain, ensure_ascii=True)


def _plain(value: object) -> object:
    if isinstance(value, array):
        return value.tolist()
    return value.hex() if isinstance(value, bytes) else str(value)


def _label(name: str, value: object) -> str | None:
    return rows.optional(name, value)


def _text(name: str, value: object) -> str | None:
    if isinstance(value, str) and rows.MAX_LABEL < len(value) <= MAX_TEXT:
        for start in range(0, len(value), rows.MAX_LABEL):
            rows.optional(name, value[start : start + rows.MAX_LABEL])
        return str.__str__(value)
    return rows.optional(name, value)


def _whole(least: int, most: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidValue(
                f"{name} is {value!r:.40}", hint=f"It is a whole number from {least:,} to {most:,}."
            )
        return int(value)

    return check


def _milli(most: int) -> Callable[[str, object], int]:
    """Whole thousandths of a number from 0 to ``most``."""

    def check(name: str, value: object) -> int:
        number = _number(name, value)
        if not 0 <= number <= most:
            raise InvalidValue(f"{name} is {value!r:.40}", hint=f"It is 0 to {most:,}.")
        return round(number * 1000)

    return check


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} is {type(value).__name__}, not a number")
    try:
        number = float(value)
    except OverflowError:  # a whole number that no float comes near to
        number = math.inf
    if not math.isfinite(number):
        raise InvalidValue(f"{name} is {value!s:.40}, not a finite number")
    return number + 0.0  # SQLite keeps no minus before a nought


def _truth(name: str, value: object) -> int:
    if value is True or value is False:
        return int(value)
    if value is None:
        raise InvalidValue(f"{name} is missing", hint="It is true or false.")
    raise InvalidValue(f"{name} is {value!r:.40}, not true or false")


def _duration(name: str, value: object) -> int | None:
    return rows.duration_us(cast("Duration", value), name)


def _money(name: str, value: object) -> int | None:
    return money.nano(name, cast("Money", value))


def _metadata(name: str, value: object) -> str | None:
    return rows.object_text(name, cast("JsonObject", value))


#: The check of each field, in the order of the log's columns after ``timestamp``.
_CHECKS: dict[str, Callable[[str, object], Value]] = {
    "task_type": _label,
    "task_description": _text,
    "repo": _label,
    "file_count": _whole(0, _MOST),
    "estimated_tokens": _whole(0, _MOST),
    "model_tier": _label,
    "pool_type": _label,
    "swarm_topology": _label,
    "routing_confidence": _number,
    "complexity_score": _milli(_MOST // 1000),
    "success": _truth,
    "duration_seconds": _duration,
    "quality_score": _milli(100),
    "cost_estimate": _money,
    "actual_cost": _money,
    "error_type": _label,
    "error_message": _text,
    "user_accepted": _truth,
    "user_rating": _whole(1, 5),
    "peak_memory_mb": _milli(_MOST // 1000),
    "cpu_time_seconds": _duration,
    "solution_summary": _label,
    "embedding": as_blob,
    "metadata": _metadata,
}

assert DIMENSIONS == 384
