"""Fuzzed calls of the library: every value of every argument may be anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from checking import problems
from fuzzing import untyped
from hostile import PIECES, Texts

from metrics_store import MetricsStore, Settings
from metrics_store.errors import AlreadyEnded, DuplicateRecord, MetricsStoreError, UsageError
from metrics_store.listing import LoggedInvocation

#: What may be said of a call of a store that is sound: it is the caller's fault.
CALLERS_FAULT = (UsageError, AlreadyEnded, DuplicateRecord)
_TEXTS = ("workflow_path", "session_id", "project_path", "error_type")


def blamed(
    error: Exception, what: str, allowed: tuple[type[Exception], ...] = CALLERS_FAULT
) -> Iterator[str]:
    """What is wrong with an error of a call: it says nothing, or does not blame the caller."""
    if isinstance(error, MetricsStoreError) and (not str(error) or not error.message):
        yield f"{type(error).__name__} says nothing"
    if not isinstance(error, allowed):
        yield untyped(error, what)


def begin(folder: Path, chance: Random) -> Library:
    """A new store, and calls of it."""
    return Library(folder / "m.db", chance)


class Library:
    """A store whose methods get anything."""

    def __init__(self, path: Path, chance: Random) -> None:
        self._path = path
        self._chance = chance
        self._texts = Texts(chance, longest=chance.choice([20_000, 1_000_000]))
        self._store = MetricsStore(settings=Settings(path, durability="normal", busy_timeout=5))
        self._buffer = self._store.buffered(max_delay=3600)
        self._known: list[str] = []
        self._calls: list[Callable[[], object]] = [
            *[self._record] * 6, self._record_anything, self._batch, self._tracked, self._buffered,
            self._read, self._read, self._listed, self._timeline, self._searched, self._queried,
            self._reaped, self._settings,
        ]  # fmt: skip

    def one(self) -> Iterator[str]:
        call = self._chance.choice(self._calls)
        try:
            wrong = call()
        except Exception as error:
            yield from blamed(error, call.__name__)
        else:
            if wrong:
                yield f"{call.__name__}: {wrong}"

    def end(self) -> Iterator[str]:
        try:
            self._buffer.close()
            self._store.export_legacy(StringIO())
        except Exception as error:
            yield untyped(error, "the end")
        self._store.close()
        yield from problems(self._path)

    # Writing

    def _fields(self) -> dict[str, Any]:
        """A record that is most often one."""
        texts, chance = self._texts, self._chance
        fields: dict[str, Any] = {name: texts.text() for name in _TEXTS if chance.random() < 0.5}
        if chance.random() < 0.5:
            fields["duration_seconds"] = chance.choice([0, 1.5, 1e-7, 3e8, 86400])
        if chance.random() < 0.3:
            fields["follow_up_actions"] = [texts.text() for _ in range(chance.randrange(4))]
        if chance.random() < 0.3:
            fields["attributes"] = {texts.text(): texts.text() for _ in range(chance.randrange(4))}
        if chance.random() < 0.1:
            fields["invocation_id"] = texts.text()
        if chance.random() < 0.1:
            fields[chance.choice([*_TEXTS, "attributes", "invoked_at", "outcome", "x"])] = (
                texts.value()
            )
        return fields

    def _record(self) -> str:
        name, fields = self._texts.text(), self._fields()
        done = self._store.record_invocation(name, self._chance.random() < 0.8, **fields)
        found = self._store.get_invocation(done)
        if found is None:
            return f"{done!a} cannot be found"
        self._known = [*self._known[-20:], name]
        return _differs(found, name, fields)

    def _record_anything(self) -> None:
        fields = {
            name: self._texts.value()
            for name in (*_TEXTS, "duration_seconds", "follow_up_actions", "attributes", "outcome")
            if self._chance.random() < 0.3
        }
        name, completed = self._texts.value(), self._texts.value()
        self._store.record_invocation(name, completed, **fields)

    def _batch(self) -> None:
        records: list[Any] = [
            {"skill_name": self._texts.text(), **self._fields()}
            for _ in range(self._chance.randrange(5))
        ]
        if self._chance.random() < 0.3:
            records.append(self._texts.value())
        self._store.record_invocations(records, batch_size=self._chance.choice([None, 1, 2, 0]))

    def _tracked(self) -> None:
        chance, texts = self._chance, self._texts
        given = [texts.value() if chance.random() < 0.1 else texts.text() for _ in range(3)]
        started = self._store.track_invocation(*given, attributes=texts.value())
        if chance.random() < 0.5:
            started.heartbeat()
        started.complete(True, [texts.text()], texts.text(), chance.choice([None, 1, -1]))

    def _buffered(self) -> None:
        self._buffer.record_invocation(self._texts.text(), **self._fields())
        if self._chance.random() < 0.2:
            self._buffer.flush()

    def _reaped(self) -> None:
        self._store.reap(self._texts.value())

    # Reading

    def _name(self) -> Any:
        chance = self._chance
        if self._known and chance.random() < 0.6:
            return chance.choice(self._known)
        return self._texts.value() if chance.random() < 0.3 else self._texts.text()

    def _read(self) -> None:
        store, name = self._store, self._name()
        match self._chance.randrange(7):
            case 0:
                store.get_skill_metrics(name, exact=self._chance.random() < 0.5)
            case 1:
                store.get_session_skills(name)
            case 2:
                store.get_invocation(name)
            case 3:
                store.in_flight(name, self._texts.value())
            case 4:
                store.get_sessions(self._texts.value())
            case 5:
                store.get_daily_counts(self._texts.value(), self._texts.value())
            case _:
                store.get_skill_metrics(name)

    def _listed(self) -> None:
        names = ("skill_name", "session_id", "workflow_path", "project_path", "outcome",
                 "error_type", "origin", "since", "until", "limit", "after")  # fmt: skip
        given = {name: self._texts.value() for name in names if self._chance.random() < 0.15}
        self._store.invocations(**given)

    def _timeline(self) -> None:
        values = self._texts
        given: dict[str, Any] = {
            name: values.value()
            for name in ("time_window", "bucket", "zone", "now")
            if self._chance.random() < 0.3
        }
        self._store.get_skill_timeline(self._name(), **given)

    def _searched(self) -> str:
        text = self._texts.text()
        self._store.search_workflow_paths(text, fts=self._chance.random() < 0.5)
        if self._chance.random() < 0.05:
            # A path that is there is found by its own words, whatever they are.
            return self._found_by_itself()
        return ""

    def _found_by_itself(self) -> str:
        word = f"word{self._chance.randrange(10**6)}"
        path = f"{self._chance.choice(PIECES)} {word}".encode(errors="replace").decode()
        self._store.record_invocation("searched", workflow_path=path)
        if path not in [found.workflow_path for found in self._store.search_workflow_paths(path)]:
            return f"{path!a} is not found by itself"
        return ""

    def _queried(self) -> None:
        self._store.query(
            self._chance.choice(
                [self._texts.text(), "SELECT ?", "SELECT :x", f"SELECT '{self._texts.text()}'",
                 "PRAGMA user_version = 1", "DELETE FROM skill_invocation", "VACUUM", "BEGIN"]
            ),
            self._chance.choice([(), (self._texts.text(),), {"x": self._texts.text()}]),
        )  # fmt: skip

    def _settings(self) -> None:
        names = ("durability", "busy_timeout", "checkpoint_mb", "cache_mb", "slow_ms", "database",
                 "allow_network_filesystem", "backup_directory", "x")  # fmt: skip
        given = {name: self._texts.value() for name in names if self._chance.random() < 0.3}
        database = given.pop("database", "m.db")
        environment = {
            f"METRICS_STORE_{name.upper()}": self._texts.text()
            for name in (*names, "db")
            if self._chance.random() < 0.2
        }
        Settings.load(database, environ=environment, **given)


def _differs(found: LoggedInvocation, name: str, fields: dict[str, Any]) -> str:
    """How a row differs from the record it was made of; empty if it does not."""
    pairs = {
        "skill_name": name,
        **{key: fields[key] for key in _TEXTS if isinstance(fields.get(key), str)},
        **{key: fields[key] for key in ("follow_up_actions",) if key in fields},
    }
    attributes = fields.get("attributes")
    if isinstance(attributes, dict) and all(isinstance(v, str) for v in attributes.values()):
        pairs["attributes"] = attributes
    for key, expected in pairs.items():
        value = getattr(found, key)
        if isinstance(expected, list):
            expected, value = list(map(str, expected)), list(value)
        if value != expected:
            return f"{key} is {value!a:.100}, it was {expected!a:.100}"
    seconds = fields.get("duration_seconds")
    if isinstance(seconds, (int, float)) and not math.isclose(
        found.duration_seconds or 0.0, seconds, abs_tol=1e-6
    ):
        return f"it took {found.duration_seconds}, not {seconds}"
    return ""
