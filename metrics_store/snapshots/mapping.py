"""From a status tool's JSON to the columns of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metrics_store import rows
from metrics_store.errors import InvalidValue
from metrics_store.families.snapshots import WORKERS
from metrics_store.snapshots.fields import (
    FIELDS,
    FILES_CHUNKED,
    PROJECT_FIELDS,
    PROJECTS,
    SHARES,
    STATUS,
    WORKER_FIELDS,
    Field,
)
from metrics_store.snapshots.payload import HINT, Payload, encode, kind_of
from metrics_store.sqlite import Value

#: Largest numbers that are believed: sums of millions of them are still exact.
MAX_COUNT = 1_000_000_000_000
MAX_REAL = 1_000_000_000.0
MAX_PROJECTS = 10_000


def columns(payload: Payload) -> dict[str, Value]:
    """The columns that a payload comes to, by their names.

    Raises:
        InvalidValue: a value is not what it has to be, or nothing in it is known.
    """
    found: dict[str, Value] = {field.name: _value(field, payload) for field in STATUS}
    given = dict(found, files_chunked=_value(FILES_CHUNKED, payload))
    for name, (part, whole) in SHARES.items():
        if found[name] is None:
            found[name] = _share(given[part], given[whole])
    for worker in WORKERS:
        reached = _is_reached(worker, payload)
        for field in WORKER_FIELDS[worker]:
            found[field.name] = _value(field, payload) if reached else None
    found[PROJECTS] = _projects(payload.get(PROJECTS))
    if all(value is None for value in found.values()) and not _mentions_known(payload):
        raise InvalidValue("nothing of a status is in it", hint=HINT)
    return found


def _mentions_known(payload: Payload) -> bool:
    if any(_is_there(name, payload) for field in FIELDS for name in field.names):
        return True
    workers = payload.get("workers")
    return PROJECTS in payload or (
        isinstance(workers, Mapping) and any(worker in workers for worker in WORKERS)
    )


def _is_reached(worker: str, payload: Payload) -> bool:
    """A worker whose pid is given as none, as 0 or less, or that says so, was not reached."""
    workers = payload.get("workers")
    if isinstance(workers, Mapping) and worker in workers:
        said = workers[worker]
        if said is None or (isinstance(said, Mapping) and said.get("reachable") is False):
            return False
    pid = WORKER_FIELDS[worker][0]
    given = [_at(name, payload) for name in pid.names if _is_there(name, payload)]
    if not given:
        return True
    known = next((value for value in given if value is not None), None)
    return not (known is None or (isinstance(known, (int, float)) and known <= 0))


def _value(field: Field, payload: Payload) -> Value:
    for name in field.names:
        value = _at(name, payload)
        if value is not None:
            return _checked(field, name, value)
    return None


def _at(name: str, payload: Payload) -> object:
    inner: object = payload
    for part in name.split("."):
        if not isinstance(inner, Mapping):
            return None
        inner = inner.get(part)
    return inner


def _is_there(name: str, payload: Payload) -> bool:
    *path, last = name.split(".")
    inner: object = payload
    for part in path:
        inner = inner.get(part) if isinstance(inner, Mapping) else None
    return isinstance(inner, Mapping) and last in inner


def _checked(field: Field, name: str, value: object) -> Value:
    match field.kind:
        case "text":
            return _text(name, value)
        case "percent" | "size":
            return _real(name, value)
        case _:
            return _count(name, value)


def _count(name: str, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(f"{name} is {kind_of(value)}, not a whole number", hint=HINT)
    if not 0 <= value <= MAX_COUNT:
        raise InvalidValue(f"{name} is {value!s:.40}", hint=f"It is 0 to {MAX_COUNT:,}.")
    return value


def _real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} is {kind_of(value)}, not a number", hint=HINT)
    if not 0 <= value <= MAX_REAL:
        raise InvalidValue(f"{name} is {value!s:.40}", hint=f"It is 0 to {MAX_REAL:,.0f}.")
    return float(value) + 0.0  # without a sign if it is nothing


def _text(name: str, value: object) -> str | None:
    if isinstance(value, str):
        # A file's name need not be UTF-8; its odd bytes come as halves of characters.
        value = value.encode("utf-8", "backslashreplace").decode()
    return rows.optional(name, value) or None


def _share(part: Value, whole: Value) -> float | None:
    if not isinstance(part, int) or not isinstance(whole, int) or whole == 0:
        return None
    return 100.0 * part / whole


def _projects(said: object) -> str | None:
    if said is None:
        return None
    if isinstance(said, Mapping):
        named = [(name, project) for name, project in said.items()]
    elif isinstance(said, Sequence) and not isinstance(said, (str, bytes)):
        named = [(None, project) for project in said]
    else:
        raise InvalidValue(f"projects is {kind_of(said)}, not a list of objects", hint=HINT)
    if len(named) > MAX_PROJECTS:
        raise InvalidValue(f"projects has {len(named):,} entries", hint=f"At most {MAX_PROJECTS:,}")
    return encode([_project(name, project) for name, project in named])


def _project(name: object, project: object) -> dict[str, Value]:
    if not isinstance(project, Mapping):
        raise InvalidValue(f"a project is {kind_of(project)}, not an object", hint=HINT)
    if name is None:
        name = project.get("name")
    text = _text("a project's name", name)
    return {
        "name": rows.label("a project's name", text),
        **{field.name: _value(field, project) for field in PROJECT_FIELDS},
    }
