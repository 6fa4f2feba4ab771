"""Fuzzed calls of the sibling families: every argument of every call may be anything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from checking import problems
from fuzzed_library import blamed
from hostile import MOMENTS, NUMBERS, Texts

from metrics_store import MetricsStore, Settings
from metrics_store.agents.fields import (
    CommitFields,
    EventFields,
    RagFields,
    SampleFields,
    SystemFields,
)
from metrics_store.executions.record import Execution
from metrics_store.telemetry import Telemetry

_FIELDS: dict[str, type] = {
    "record_agent_sample": SampleFields,
    "record_task_event": EventFields,
    "record_commit": CommitFields,
    "record_system_health": SystemFields,
    "record_rag_metrics": RagFields,
    "record_execution": Execution,
}
#: Records that are given together, and their key.
_SEVERAL: dict[str, tuple[type, str]] = {
    "commits": (CommitFields, "commit_hash"),
    "executions": (Execution, "task_id"),
}
#: They read files, which are surfaces of their own, or would begin a thread.
_NOT_HERE = ("import_", "take_", "heartbeats", "database_status")
#: A clock that is not to be believed is not; and what is called is the caller's own.
_NOT_GIVEN = ("trust_clock", "progress")
_SPANS = ("7 days", "24 hours", 3600, "1 min", None)
_PAYLOADS = (
    {"files_total": 3, "chunks_indexed": 2.5, "top": {"a": [1, {"b": None}]}},
    '{"ts": "2026-03-10T12:00:00Z", "files_indexed": 7}',
    b'{"ts": "2026-03-10T12:00:01Z", "files_indexed": 8, "projects": {"x": {"files": 1}}}',
)
#: What each argument may sensibly be.
_LIKELY: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("window", "every", "grace", "min_interval"), _SPANS),
    "time_range": ("1h", "24h", "7d", "30d", "90d"),
    "per": ("day", "hour"),
    "state": ("open", "unacknowledged", "resolved", "all"),
    "type": ("agent", "task", "system", "performance"),
    "severity": ("info", "warning", "error", "critical"),
    "overall_status": ("healthy", "degraded", "unhealthy"),
    "status": ("running", "active", "idle", "error", "offline"),
    "event_type": ("created", "updated", "completed", "failed"),
    "which": ("latest", 1, 2, "2026-03-10T12:00:00Z"),
    "before": ("latest", 1, 2, 28),
    "after": ("latest", 1, 2),
    "field": ("file_count", "files_indexed", "chunk_count"),
    "zone": ("Europe/Berlin", None),
    "payload": _PAYLOADS,
    "embedding": ([0.5] * 384, bytes(1536)),
    "keep": ({"skill": "1 day"}, {"agent": "forever"}, {}),
    "seconds": (1, 0.5),
    "bad_statuses": (["error"], []),
    "rules": (None,),
}
#: Or what its annotation says that it may be, the first that is part of it.
_OF_ANNOTATION: dict[str, tuple[Any, ...]] = {
    "Moment": ("2026-03-10T12:00:00Z", "2026-03-10T12:59:59.5+01:00", None),
    "datetime": ("2026-03-09T12:00:00Z",),
    "bool": (True, False),
    "JsonObject": ({"a": [1, {"b": None}]}, {}),
    "Money": (0.1, "1.50", 0),
    "Duration": (0, 1.5, 86_400),
    "float": (0, 0.5, 12.125, 100),
    "int": (1, 2, 5, 14),
}


def begin(folder: Path, chance: Random) -> Families:
    """A new store, and calls of it."""
    return Families(folder / "m.db", chance)


class Families:
    """A store whose families get anything."""

    def __init__(self, path: Path, chance: Random) -> None:
        self._path = path
        self._chance = chance
        self._texts = Texts(chance, longest=20_000)
        self._store = MetricsStore(settings=Settings(path, durability="normal", busy_timeout=5))
        self._known = [self._texts.text() for _ in range(4)]
        calls = [
            name
            for name, _ in inspect.getmembers(Telemetry, inspect.isfunction)
            if not name.startswith(("_", *_NOT_HERE))
        ]
        writing = ("record", "heartbeat", "raise", "set")
        self._calls = [*calls, *[name for name in calls if name.startswith(writing)] * 3]

    def one(self) -> Iterator[str]:
        name = self._chance.choice(self._calls)
        call = getattr(self._store, name)
        # Whoever gets one thing wrong gets the others right, as a rule.
        self._sane = self._chance.choice((0.5, 0.95, 1.0))
        given, more = self._arguments(name, call)
        try:
            done = call(*given, **more)
            if inspect.isgenerator(done):
                list(done)
            else:
                self._remember(done)
                if not self._found(name, given, done):
                    yield f"{name}: it cannot be found"
        except Exception as error:
            yield from blamed(error, name)

    def end(self) -> Iterator[str]:
        report = self._store.check("deep")
        if report.findings:
            yield f"the check: {report.findings!a:.300}"
        self._store.close()
        yield from problems(self._path)

    def _arguments(
        self, name: str, call: Callable[..., object]
    ) -> tuple[list[object], dict[str, object]]:
        given: list[object] = []
        more: dict[str, object] = {}
        for parameter in inspect.signature(call).parameters.values():
            needed = parameter.default is parameter.empty
            if parameter.kind is parameter.VAR_KEYWORD:
                more |= self._record(_FIELDS[name])
            elif parameter.name in _NOT_GIVEN or not (needed or self._chance.random() < 0.4):
                continue
            elif parameter.kind is parameter.KEYWORD_ONLY or not needed:
                more[parameter.name] = self._value(parameter.name, parameter.annotation)
            else:
                given.append(self._value(parameter.name, parameter.annotation))
        return given, more

    def _record(self, fields: type) -> dict[str, object]:
        return {
            key: self._value(key, annotation.__forward_arg__)
            for key, annotation in fields.__annotations__.items()
            if "Required" in annotation.__forward_arg__ or self._chance.random() < 0.3
        }

    def _value(self, name: str, annotation: str) -> Any:
        chance = self._chance
        if chance.random() < self._sane:
            return self._likely(name, annotation)
        match chance.randrange(4):
            case 0:
                return chance.choice(NUMBERS)
            case 1:
                return chance.choice(MOMENTS)
            case 2:
                return self._texts.text()
            case _:
                return self._texts.value()

    def _likely(self, name: str, annotation: str) -> Any:
        chance = self._chance
        if name in _SEVERAL:
            fields, key = _SEVERAL[name]
            return [
                {**self._record(fields), key: self._value(key, "str")}
                for _ in range(chance.randrange(4))
            ]
        if name in _LIKELY:
            return chance.choice(_LIKELY[name])
        if name != "task_id" and not name.endswith("_id"):
            for part, values in _OF_ANNOTATION.items():
                if part in annotation:
                    return chance.choice(values)
        return chance.choice(self._known)

    def _remember(self, done: object) -> None:
        """Ids of what was written are asked for, too."""
        made = getattr(done, "alert_id", getattr(done, "snapshot_id", done))
        if isinstance(made, str):
            self._known = [*self._known[-20:], made]

    def _found(self, name: str, given: list[Any], done: Any) -> bool:
        """Whether what was just written is there."""
        store = self._store
        match name:
            case "record_execution":
                return store.get_execution(done) is not None
            case "heartbeat":
                return store.service_status(given[0]) is not None
            case "record_agent_sample":
                return store.agent_status(given[0]) != []
            case "record_task_event":
                return store.task_history(given[0]) != []
            case "set_metadata":
                return store.get_metadata(given[0]) == given[1]
            case "raise_alert":
                return store.alert(done.alert_id).alert == done
            case _:
                return True
