"""Finding the record that a tracker which is not ours wrote for a call.

Such a tracker has the classic methods and no more; yet a call's row in the store is to bear the
legacy record's own moment. The record is looked for in what the completer holds, for the legacy
tracker's closes over it, and else in the file, from its end.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from types import CellType, FunctionType

from metrics_store import clock
from metrics_store.errors import LegacyNotOverwritten
from metrics_store.legacy_format.members import MEMBERS
from metrics_store.legacy_format.moments import readings
from metrics_store.timeline import zone_named
from metrics_store.trackers import file_state
from metrics_store.trackers.document import is_pending
from metrics_store.trackers.layout import Json

#: Records of a call's skill and path that are looked at in the file.
LIMIT = 1_000
#: Clocks that round instead of cutting off, microseconds.
_ROUNDING_US = 2
#: Things held by a completer that are looked into.
_WIDEST = 50
_FRACTION = re.compile(r":\d\d[.,](\d+)")
#: How json.dumps lays the legacy file out with an indent of 2.
_HEAD = b'{\n  "invocations": [\n    {\n      "skill_name": "'


@dataclass(frozen=True, slots=True)
class Sought:
    """A call whose record is sought.

    Args:
        from_us, to_us: microseconds since 1970, just before and after ``track_invocation``.
        zone: of the tracker's naive moments, an IANA name.
    """

    skill_name: str
    workflow_path: str | None
    from_us: int
    to_us: int
    zone: str

    def is_of(self, record: object) -> bool:
        """Whether a record, or an object with its attributes, can be this call's."""
        return (
            _member(record, "skill_name") == self.skill_name
            and _member(record, "workflow_path") == self.workflow_path
            and isinstance(moment := _member(record, "invoked_at"), str)
            and self.has(moment)
        )

    def has(self, moment: str) -> bool:
        """Whether a moment of the file is one of the call's; moments may be whole seconds."""
        try:
            read = readings(moment, self.zone)
        except (ValueError, OverflowError):
            return False
        fraction = _FRACTION.search(moment)
        digits = min(6, len(fraction[1])) if fraction else 0
        grain = 10 ** (6 - digits) + _ROUNDING_US
        begin, end = min(self.from_us, self.to_us) - grain, max(self.from_us, self.to_us) + grain
        return any(begin <= us <= end for us in read)

    def seconds(self) -> list[str]:
        """How a moment of the call can begin, in local time and in UTC: to its whole second."""
        found = []
        for place in (zone_named(self.zone), UTC):
            for us in (self.to_us, self.from_us):
                local = clock.to_datetime(us).astimezone(place).replace(tzinfo=None)
                found.append(local.isoformat(timespec="seconds"))
        return list(dict.fromkeys(found))


def invoked_at_of(completer: Callable[..., object], sought: Sought) -> str | None:
    """The moment of a call as its tracker has it, if the completer tells. Never raises."""
    for held in _held_by(completer):
        if _matches(sought, held):
            return str(_member(held, "invoked_at"))
    return None


def record_of(
    completer: Callable[..., object],
    sought: Sought,
    metrics_file: str | os.PathLike[str],
    ending: Mapping[str, Json],
    *,
    limit: int = LIMIT,
) -> dict[str, Json] | None:
    """The record of a call as its tracker has it, once the completer was called.

    Args:
        completer: what ``track_invocation`` gave.
        sought: the call.
        metrics_file: the tracker's file, which is looked at if the completer does not tell.
        ending: ``completed``, ``follow_up_actions`` and ``error_type`` as the completer was
            given them; of several records that fit, one that says the same is taken.
        limit: records of this skill and path that are looked at.

    Returns:
        The seven members of the legacy format; None if there is no such record, or if the file
        is torn just now.
    """
    for held in _held_by(completer):
        if _matches(sought, held):
            record = {name: _member(held, name) for name in MEMBERS}
            if _is_legacy(record) and _has_ended(record, ending):
                return record | {"follow_up_actions": list(_list(record["follow_up_actions"]))}
    try:
        found = _in_file(os.fspath(metrics_file), sought, limit)
    except (LegacyNotOverwritten, OSError, ValueError, RecursionError):
        return None
    fitting = [record for record in found if _has_ended(record, ending)]
    same = [record for record in fitting if _says(record, ending)]
    for record in same or fitting:
        return {name: record.get(name) for name in MEMBERS}
    return None


# In what the completer holds ---------------------------------------------------------------------


def _held_by(completer: object) -> Iterator[object]:
    """What a completer closes over, is bound to, or has as attributes; then what those have."""
    level: list[object] = [completer]
    seen = {id(completer)}
    # A bound method of an object that holds the function that closes over the record.
    for _ in range(3):
        below = []
        for holder in level:
            try:
                parts = _parts(holder)
            except Exception:  # noqa: BLE001 - a proxy does whatever it likes when it is looked at
                continue
            for part in parts:
                if id(part) not in seen:
                    seen.add(id(part))
                    below.append(part)
        yield from below
        level = below[:_WIDEST]


def _parts(holder: object) -> list[object]:
    found: list[object] = []
    if isinstance(holder, (str, bytes, int, float, type, list, tuple, Mapping)):
        return found
    if isinstance(holder, FunctionType):
        cells = holder.__closure__ or ()
        found += [cell.cell_contents for cell in cells if cell != CellType()]
    names: list[str] = ["__self__", "record"]
    if isinstance(holder, functools.partial):
        found += [holder.func, *holder.args, *holder.keywords.values()]
    for kind in type(holder).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    for name in names:
        try:
            found.append(getattr(holder, name))
        except Exception:  # noqa: BLE001 - it is not there, or does not want to be seen
            continue
    attributes = getattr(holder, "__dict__", None)
    if isinstance(attributes, Mapping):
        found += attributes.values()
    return found


def _matches(sought: Sought, held: object) -> bool:
    try:
        return sought.is_of(held)
    except Exception:  # noqa: BLE001 - nor what comparing it does
        return False


def _member(record: object, name: str) -> Json:
    if isinstance(record, Mapping):
        return record.get(name)
    return getattr(record, name, None)


# In the file -------------------------------------------------------------------------------------


def _in_file(path: str, sought: Sought, limit: int) -> list[dict[str, Json]]:
    """The records of the file that fit, the last first."""
    data = file_state.read(path).data
    if data is None:
        return []
    if data.startswith(_HEAD):
        # 15 MB are searched in 3 ms, and parsed in 150.
        return _by_text(data, sought, limit) if data.endswith(b"\n}") else []
    value = json.loads(data)
    records = value.get("invocations") if isinstance(value, dict) else None
    return _fitting(reversed(records), sought, limit) if isinstance(records, list) else []


def _by_text(data: bytes, sought: Sought, limit: int) -> list[dict[str, Json]]:
    for ensure_ascii in (True, False) if not sought.skill_name.isascii() else (True,):
        name = json.dumps(sought.skill_name, ensure_ascii=ensure_ascii)
        begin = f'\n    {{\n      "skill_name": {name},\n      "invoked_at": "'
        # Last of all whatever moment it has, for that may be written in another way.
        for moment in (*sought.seconds(), ""):
            needle = (begin + moment).encode("utf-8", "surrogatepass")
            if found := _fitting(_elements(data, needle), sought, limit):
                return found
    return []


def _elements(data: bytes, needle: bytes) -> Iterator[Json]:
    end = len(data)
    while (start := data.rfind(needle, 0, end)) >= 0:
        # No text of JSON holds a bare line feed, so this closes the element.
        close = data.find(b"\n    }", start)
        yield json.loads(data[start : close + 6])
        end = start + 1


def _fitting(records: Iterable[Json], sought: Sought, limit: int) -> list[dict[str, Json]]:
    found = []
    for record in records:
        if not isinstance(record, dict) or record.get("skill_name") != sought.skill_name:
            continue
        if sought.is_of(record):
            found.append(record)
        limit -= 1
        if limit <= 0:
            break
    return found


# What a record says ------------------------------------------------------------------------------


def _is_legacy(record: Mapping[str, Json]) -> bool:
    """Whether an object's attributes have the types that the file has."""
    seconds, actions, error = map(
        record.get, ("duration_seconds", "follow_up_actions", "error_type")
    )
    return (
        isinstance(record["completed"], bool)
        and (seconds is None or isinstance(seconds, (int, float)))
        and all(isinstance(action, str) for action in _list(actions))
        and (actions is None or isinstance(actions, (list, tuple)))
        and (error is None or isinstance(error, str))
    )


def _has_ended(record: Mapping[str, Json], ending: Mapping[str, Json]) -> bool:
    return not is_pending(dict(record)) or is_pending({**ending, "duration_seconds": None})


def _says(record: Mapping[str, Json], ending: Mapping[str, Json]) -> bool:
    return (
        record.get("completed") == ending.get("completed")
        and (record.get("follow_up_actions") or []) == list(_list(ending.get("follow_up_actions")))
        and record.get("error_type") == ending.get("error_type")
    )


def _list(actions: Json) -> Iterable[Json]:
    return actions if isinstance(actions, (list, tuple)) else ()
