"""Fuzzed legacy files: of every shape, with anything in them, torn and broken."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from checking import problems
from fuzzing import untyped
from hostile import Texts

from metrics_store import JsonMetricsTracker, MetricsStore, Settings
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import json_file, spill
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.legacy_format.record import Refused, understand

_MOMENTS = ("2025-11-01T10:00:00", "2025-10-26T02:30:00", "2025-03-30T02:30:00.5", "2025-11-01",
            "2025-11-01 10:00", "1700000000", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999",
            "2025-11-01T10:00:00+02:00")  # fmt: skip
_NOW_US = 1_773_144_000_000_000
_ZONES = ("UTC", "Europe/Berlin", "America/New_York")


def begin(folder: Path, chance: Random) -> LegacyFiles:
    """A store, and legacy files for it."""
    return LegacyFiles(folder, chance)


class LegacyFiles:
    """A store that takes in what is called a legacy file."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self._path = folder / "skill_metrics.json"
        self._db = folder / "m.db"
        self._chance = chance
        self._texts = Texts(chance, longest=50_000)
        self._zone = chance.choice(_ZONES)
        self._reader = ZoneReader(self._zone)
        self._store = MetricsStore(settings=Settings(self._db, durability="normal"))

    def one(self) -> Iterator[str]:
        data = self._data()
        self._path.write_bytes(data)
        os.utime(self._path, (1_700_000_000, 1_700_000_000))  # it has settled long ago
        work = self._chance.choices(
            (self._read, self._taken_in, self._tracked, self._spilled), (70, 20, 5, 5)
        )[0]
        try:
            wrong = work()
        except MetricsStoreError as error:
            if not str(error):
                yield f"{type(error).__name__} says nothing"
        except Exception as error:
            yield untyped(error, (work.__name__, data[:200]))
        else:
            if wrong:
                yield f"{work.__name__}: {wrong}: {data[:200]!a}"

    def end(self) -> Iterator[str]:
        written = StringIO()
        try:
            self._store.export_legacy(written)
            json.loads(written.getvalue())
        except Exception as error:
            yield untyped(error, "export")
        self._store.close()
        yield from problems(self._db)

    # What is done with it

    def _read(self) -> str:
        """Read it from begin to end, and understand each record."""
        read = 0
        for part in json_file.read(self._path, chunk_size=self._chance.choice([64, 1000, 1 << 18])):
            if isinstance(part, json_file.Record):
                read += 1
                with suppress(Refused):
                    understand(part.value, self._reader, self._chance.random() < 0.2, _NOW_US)
        return ""

    def _taken_in(self) -> str:
        # One attempt: nobody is writing it, so nobody has to be waited for.
        copy = copy_stable(self._path, self._db.parent, attempts=1)
        try:
            report = take_in(self._store, self._path, zone=self._zone, copy=copy)
        finally:
            copy.path.unlink()
        return "" if report.conserved else f"it does not add up: {report}"[:500]

    def _tracked(self) -> str:
        """A tracker of the file raises, or adds one record to it and keeps the others."""
        before = self._records()
        tracker = JsonMetricsTracker(self._path)
        tracker.track_invocation("deploy")(completed=True)
        after = self._records()
        if before is not None and after is not None and len(after) != len(before) + 1:
            return f"{len(before)} records became {len(after)}"
        return ""

    def _records(self) -> list[object] | None:
        try:
            found = json.loads(self._path.read_bytes())["invocations"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return found if isinstance(found, list) else None

    def _spilled(self) -> None:
        path = Path(f"{self._path}.spill")
        path.write_bytes(self._path.read_bytes())
        spill.contents(self._path)
        path.unlink()

    # What it is

    def _data(self) -> bytes:
        chance = self._chance
        if chance.random() < 0.05:
            return self._texts.text().encode("utf-8", "surrogatepass")
        text = json.dumps(
            self._document(), ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 2])
        )
        if chance.random() < 0.03:
            # Deeper than Python's own json can write.
            depth = chance.choice([50, 500, 5_000, 200_000])
            text = text.replace("[", "[" * depth + "]" * (depth - 1) + ",", 1)
        data = text.encode(chance.choice(["utf-8"] * 8 + ["utf-16", "utf-8-sig"]), "surrogatepass")
        return self._texts.broken(data) if chance.random() < 0.4 else data

    def _document(self) -> Any:
        chance = self._chance
        document: dict[str, Any] = {
            "invocations": [self._record() for _ in range(chance.randrange(6))],
            "skills": {
                self._texts.text(): chance.choice([{"total_invocations": 1}, self._json()])
                for _ in range(chance.randrange(3))
            },
            "last_updated": chance.choice(["2025-11-01T10:00:00", self._json()]),
        }
        if chance.random() < 0.1:
            document[chance.choice(["invocations", "skills", self._texts.text()])] = self._json()
        return document

    def _record(self) -> Any:
        chance, texts = self._chance, self._texts
        if chance.random() < 0.05:
            return self._json()
        record: dict[str, Any] = {
            "skill_name": texts.text() if chance.random() < 0.7 else "deploy",
            "invoked_at": chance.choice(_MOMENTS),
            "workflow_path": chance.choice([None, texts.text()]),
            "completed": chance.random() < 0.7,
            "duration_seconds": chance.choice([None, 0, 1.5, 1e-7, 86_400]),
            "follow_up_actions": [texts.text() for _ in range(chance.randrange(3))],
            "error_type": chance.choice([None, texts.text()]),
        }
        if chance.random() < 0.3:
            record[chance.choice([*record, texts.text(), "session_id"])] = self._json()
        if chance.random() < 0.1:
            del record[chance.choice([*record])]
        return record

    def _json(self, depth: int = 2) -> Any:
        chance = self._chance
        match chance.randrange(9 if depth else 7):
            case 0 | 1:
                return self._texts.text()
            case 2:
                return chance.choice([0, -1, 1.5, 1e308, 10**30, 10**400, -0.0, 5e-324])
            case 3:
                return chance.choice([float("nan"), float("inf"), float("-inf")])
            case 4:
                return None
            case 5:
                return chance.random() < 0.5
            case 6:
                return chance.choice(_MOMENTS)
            case 7:
                return [self._json(depth - 1) for _ in range(chance.randrange(4))]
            case _:
                return {self._texts.text(): self._json(depth - 1) for _ in range(2)}
