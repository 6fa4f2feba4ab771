"""A read answered by both sides, and what came of comparing the two answers.

After GitHub's Scientist: the control's answer is what the caller gets, and the outcome is a frozen
value that says whether the other side agreed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from metrics_store.legacy.calls import nearest_us
from metrics_store.results import Result

Kind = Literal["matched", "mismatched", "ignored"]

#: What one skill's numbers are compared by.
_COUNTS = ("total_invocations", "completed_invocations", "abandoned_invocations")
_MAPS = ("workflow_paths", "common_errors", "follow_up_actions")
#: A float sum of seconds, and an exact sum of microseconds: rounding of each one's duration.
_SECONDS_PER_RECORD = 1e-6

#: A difference that is none: first and last are of the first and last *end* on one side.
ORDER_OF_ENDS = "the JSON file notes the order of ends, the store that of starts"

Plain = dict[str, object]


@dataclass(frozen=True, slots=True)
class Outcome(Result):
    """What comparing one read came to.

    Args:
        method: the classic call, such as ``get_skill_metrics``.
        subject: the skill that was asked for; empty for all.
        kind: ``matched``, ``mismatched``, or ``ignored`` with a reason.
        reason: why a difference is none, or in which numbers the two differ.
        in_json, in_store: the two answers as plain values.
        json_us, store_us: how long each took, microseconds.
    """

    method: str
    subject: str
    kind: Kind
    reason: str
    in_json: object
    in_store: object
    json_us: int
    store_us: int


def numbers(value: object) -> Plain | None:
    """One skill's numbers as plain values, of whichever tracker they are; None for none."""
    if value is None:
        return None
    found: Plain = {}
    for name in (*_COUNTS, "total_duration_seconds", *_MAPS, "first_invoked", "last_invoked"):
        item = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        found[name] = dict(item) if isinstance(item, Mapping) else item
    return found


def plain(method: str, value: object) -> object:
    """An answer as plain values."""
    if method == "get_skill_metrics":
        return numbers(value)
    if not isinstance(value, Mapping):
        return value
    if method == "get_all_metrics":
        return {str(name): numbers(item) for name, item in value.items()}
    return dict(value)


def difference(method: str, in_json: object, in_store: object, zone: str) -> tuple[str, str]:
    """Compare two plain answers.

    Returns:
        What differs and matters, and what differs for a reason that is known; each empty if
        nothing does.
    """
    if method == "get_skill_metrics":
        return _of_skill(in_json, in_store, zone)
    if not isinstance(in_json, Mapping) or not isinstance(in_store, Mapping):
        return ("" if in_json == in_store else "the answers differ"), ""
    if method == "get_all_metrics":
        return _of_all(in_json, in_store, zone)
    return _of_summary(in_json, in_store), ""


def _of_all(
    in_json: Mapping[str, object], in_store: Mapping[str, object], zone: str
) -> tuple[str, str]:
    matters, known = [], []
    for name in sorted({*in_json, *in_store}):
        wrong, reason = _of_skill(in_json.get(name), in_store.get(name), zone)
        matters += [f"{name}: {wrong}"] if wrong else []
        known += [reason] if reason else []
    return "; ".join(matters[:5]), known[0] if known else ""


def _of_skill(in_json: object, in_store: object, zone: str) -> tuple[str, str]:
    if not isinstance(in_json, Mapping) or not isinstance(in_store, Mapping):
        if in_json is None and in_store is None:
            return "", ""
        return f"only in the {'store' if in_json is None else 'JSON file'}", ""
    wrong = [name for name in _COUNTS if (in_json[name] or 0) != (in_store[name] or 0)]
    wrong += [name for name in _MAPS if _labels(in_json[name]) != _labels(in_store[name])]
    n = max(1, _int(in_json["total_invocations"]))
    if not _close(in_json["total_duration_seconds"], in_store["total_duration_seconds"], n):
        wrong.append("total_duration_seconds")
    known = ""
    for name in ("first_invoked", "last_invoked"):
        match _moments(in_json[name], in_store[name], zone, first=name == "first_invoked"):
            case "within":
                known = ORDER_OF_ENDS
            case "other":
                wrong.append(name)
            case _:
                pass
    return ", ".join(wrong), known


def _of_summary(in_json: Mapping[str, object], in_store: Mapping[str, object]) -> str:
    wrong = []
    for name in sorted({*in_json, *in_store}):
        one, other = in_json.get(name), in_store.get(name)
        if name == "skills_by_usage":
            same = _usage(one) == _usage(other)
        elif name == "most_used_skill":
            # Of several with the same count, each side may name another.
            usage = dict(_usage(in_json.get("skills_by_usage")))
            same = one == other or usage.get(str(one)) == usage.get(str(other))
        elif name == "avg_duration_seconds":
            # The sum is right to a microsecond a record; the average is of the completed ones.
            rate = _float(in_json.get("overall_completion_rate")) / 100
            same = _close(one, other, math.ceil(1 / rate) if rate > 0 else 1)
        elif isinstance(one, float) or isinstance(other, float):
            same = math.isclose(_float(one), _float(other), rel_tol=1e-12)
        else:
            same = (one or 0) == (other or 0)
        if not same:
            wrong.append(name)
    return ", ".join(wrong)


def _usage(value: object) -> list[tuple[str, object]]:
    """The pairs of name and count, in an order of their own; of what is no such list, nothing
    that equals anything."""
    if not isinstance(value, (list, tuple)):
        return []
    pairs = [
        (str(item[0]), item[1]) if isinstance(item, (list, tuple)) and len(item) == 2
        else (repr(item), None)
        for item in value
    ]  # fmt: skip
    return sorted(pairs, key=repr)


def _labels(value: object) -> dict[object, object]:
    # An empty label is counted by the legacy tracker and by nobody else.
    return {k: v for k, v in value.items() if k and v} if isinstance(value, Mapping) else {}


def _close(one: object, other: object, n: int) -> bool:
    a, b = _float(one), _float(other)
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=_SECONDS_PER_RECORD * max(1, n))


def _moments(in_json: object, in_store: object, zone: str, *, first: bool) -> str:
    if not in_json or not in_store:
        return "same" if not in_json and not in_store else "other"
    try:
        about = nearest_us(str(in_store), zone, 0)
        us = nearest_us(str(in_json), zone, about)
    except (ValueError, OverflowError):
        return "other"
    if us == about:
        return "same"
    return "within" if (us > about) == first else "other"


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
