"""Fuzzed files of other people's telemetry: what the families import, with anything in it."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from checking import problems
from fuzzed_library import CALLERS_FAULT, blamed
from hostile import MOMENTS, NUMBERS, Texts

from metrics_store import MetricsStore, Settings, sqlite
from metrics_store.errors import SourceError

Row = dict[str, Any]
#: A row that is whole, of each table that there is somewhere.
_TABLES: dict[str, Row] = {
    "service_health": {
        "service_name": "importer", "status": "running", "current_task": "batch 1",
        "heartbeat_timestamp": "2026-01-31T12:00:00Z", "latency_seconds": 0.5,
    },
    "agent_metrics": {
        "agent_id": "builder", "status": "active", "cpu_usage": 12.5, "memory_usage": 3,
        "timestamp": "2026-01-31 10:00:00", "current_task": None,
    },
    "task_events": {
        "task_id": "T-0", "event_type": "blocked", "details": '{"title": "x"}',
        "timestamp": "2026-01-31T10:05:00Z",
    },
    "git_commits": {
        "commit_hash": "a" * 40, "author": "jane", "message": "x", "files_changed": 3,
        "commit_timestamp": "2026-01-31T10:05:00+01:00",
    },
    "system_health": {
        "overall_status": "healthy", "cpu": 12, "api_latency": 3.5,
        "timestamp": 1_769_856_000,
    },
    "rag_metrics": {
        "total_patterns": 12, "hit_rate": 0.5, "top_patterns": "[]",
        "timestamp": "2026-01-31T10:05:00.123456Z",
    },
    "alerts": {
        "alert_id": "a-1", "type": "system", "severity": "critical", "title": "Disk full",
        "message": "0 bytes left", "source": "builder-1", "acknowledged": 1,
        "acknowledged_by": "jane", "acknowledged_at": "2026-01-31T11:05:00", "resolved": 1,
        "resolved_at": "2026-01-31T12:00:00", "created_at": "2026-01-31T11:00:00",
    },
    "executions": {
        "task_id": "old-1", "timestamp": "2026-01-31T11:00:00", "success": True,
        "actual_cost": 0.02, "duration_seconds": 3.5, "error_type": None, "branch": "main",
    },
    "snapshots": {
        "ts": "2026-01-31T12:00:00Z", "files_total": 3, "files_indexed": 2,
        "projects": {"x": {"files": 1}},
    },
}  # fmt: skip
_AGENTS = ("agent_metrics", "task_events", "git_commits", "system_health", "rag_metrics")
#: The calls, the tables each takes, and the forms.
_CALLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "import_services": (("service_health",), ("jsonl", "csv", "db", "gz")),
    "import_agents": (_AGENTS, ("jsonl", "db", "gz")),
    "import_alerts": (("alerts",), ("jsonl", "db", "gz")),
    "import_executions": (("executions",), ("jsonl",)),
    "import_snapshots": (("snapshots",), ("jsonl", "gz")),
    "take_board": ((), ("json",)),
}
_ZONES = (None, None, "UTC", "Europe/Berlin")


def begin(folder: Path, chance: Random) -> Imports:
    """A new store, and files to take in."""
    return Imports(folder, chance)


class Imports:
    """A store that takes anything in."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self._folder = folder
        self._chance = chance
        self._texts = Texts(chance, longest=20_000)
        settings = Settings(folder / "m.db", durability="normal", busy_timeout=5)
        self._store = MetricsStore(settings=settings)

    def one(self) -> Iterator[str]:
        name = self._chance.choices([*_CALLS], (25, 25, 15, 20, 15, 3))[0]
        tables, forms = _CALLS[name]
        form = self._chance.choice(forms)
        path = self._folder / f"given.{form}"
        path.unlink(missing_ok=True)
        self._write(path, form, tables)
        # A board that is none may be torn: it is waited for.
        if self._chance.random() < (0.02 if form == "json" else 0.3):
            path.write_bytes(self._texts.broken(path.read_bytes()))
        take: Callable[..., Any] = getattr(self._store, name)
        given = {} if name == "take_board" else {"zone": self._chance.choice(_ZONES)}
        try:
            take(path, **given)
            again = take(path, **given)
        except Exception as error:
            yield from blamed(error, name, (*CALLERS_FAULT, SourceError))
        else:
            if _new(name, again):
                yield f"{name}: something was taken in twice: {again!a:.300}"

    def end(self) -> Iterator[str]:
        report = self._store.check("deep")
        if report.findings:
            yield f"the check: {report.findings!a:.300}"
        self._store.close()
        yield from problems(self._folder / "m.db")

    # Files

    def _write(self, path: Path, form: str, tables: tuple[str, ...]) -> None:
        if form == "json":
            path.write_text(json.dumps(self._board(), default=str))
            return
        rows = [self._row(self._chance.choice(tables)) for _ in range(self._chance.randrange(6))]
        if form == "db":
            self._write_tables(path, tables)
        elif form == "csv":
            path.write_text(_csv(rows), encoding="utf-8", errors="surrogatepass")
        else:
            lines = "".join(json.dumps(row, default=str) + "\n" for row in rows)
            data = lines.encode("utf-8", "surrogatepass")
            path.write_bytes(gzip.compress(data, 1) if form == "gz" else data)

    def _row(self, table: str) -> Row:
        """A row of a table, most often with something odd in it."""
        row = {"n": self._chance.randrange(9), **_TABLES[table]}
        for name in [*row]:
            odd = self._chance.random()
            if odd < 0.04:
                del row[name]
            elif odd < 0.16:
                row[name] = self._odd()
        if self._chance.random() < 0.1:
            row[self._texts.text()] = self._odd()
        return row

    def _odd(self) -> Any:
        match self._chance.randrange(4):
            case 0:
                return self._chance.choice(NUMBERS)
            case 1:
                return self._chance.choice(MOMENTS)
            case 2:
                return self._texts.text()
            case _:
                return [{"a": self._texts.text()}, [self._texts.text()], {}, [], None, True][
                    self._chance.randrange(6)
                ]

    def _board(self) -> object:
        tasks = {
            self._texts.text(): {
                "id": self._odd(),
                "status": self._odd(),
                "assigned_to": self._odd(),
                "title": self._texts.text(),
            }
            for _ in range(self._chance.randrange(5))
        }
        shapes = [
            {"version": 1, "tasks": list(tasks.values())},
            {"tasks": tasks, "updated": self._odd()},
            {"columns": {self._texts.text(): list(tasks.values())}},
            self._odd(),
        ]
        return self._chance.choices(shapes, (10, 10, 10, 1))[0]

    def _write_tables(self, path: Path, tables: tuple[str, ...]) -> None:
        connection = sqlite.binding.connect(str(path))
        for table in self._chance.sample(tables, self._chance.randrange(1, len(tables) + 1)):
            columns = [*_TABLES[table]]
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            for _ in range(self._chance.randrange(5)):
                row = self._row(table)
                values = [_stored(row.get(name)) for name in columns]
                places = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO {table} VALUES ({places})", values)
        connection.commit()
        connection.close()


def _new(name: str, again: Any) -> bool:
    """Whether a file that had been taken in had something new."""
    if name == "take_board":
        return bool(again.changed or again.events)
    return bool(again.total("inserted") if hasattr(again, "total") else again.inserted)


def _stored(value: Any) -> Any:
    """What SQLite would hold of a value."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if abs(value) < 2**63 else str(value)
        case str():
            return value.encode("utf-8", "surrogatepass") if not value.isascii() else value
        case Mapping() | list():
            return json.dumps(value)
        case _:
            return str(value)


def _csv(rows: list[Row]) -> str:
    text = StringIO()
    names = [*_TABLES["service_health"]]
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
