"""Heartbeats as their users keep them today: SQLite tables, CSV, JSONL; read as a stream."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Literal, NamedTuple, cast

from metrics_store import foreign, sqlite
from metrics_store.errors import InvalidValue, SourceError
from metrics_store.sql import query

Kind = Literal["sqlite", "csv", "jsonl"]

HISTORY, CURRENT = "system_status_history", "system_status"
_ENDINGS: Mapping[str, Kind] = {
    ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".csv": "csv", ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}  # fmt: skip
#: The names under which a value is known; the first that is there is taken.
_NAMES = {
    "service": ("service_name", "service", "name"),
    "status": ("status",),
    "task": ("current_task", "task"),
    "moment": ("heartbeat_timestamp", "last_heartbeat", "timestamp", "ts", "at"),
    "created": ("created_at", "updated_at"),
    "seconds": ("latency_seconds", "latency"),
    "milliseconds": ("latency_ms",),
}
_NEEDED = ("service", "status", "moment")
_LONGEST_LINE = 1 << 20


class Said(NamedTuple):
    """A heartbeat as a file has it: nothing is checked, None where there is nothing.

    Args:
        current: it is the current row of its service, which the history has too.
        wrong: why it is no heartbeat at all; empty if it may be one.
    """

    service: object
    status: object
    task: object
    moment: object
    created: object
    seconds: object
    current: bool = False
    wrong: str = ""


def kind_of(path: Path) -> Kind:
    """What a file is, by its name, else by its first bytes.

    Raises:
        SourceError: it is not there, or neither tells.
    """
    suffixes = [ending.lower() for ending in path.suffixes[-2:] if ending.lower() != ".gz"]
    if suffixes and suffixes[-1] in _ENDINGS:
        return _ENDINGS[suffixes[-1]]
    # To close a database that this process has open would drop its locks.
    with sqlite.without_connection(str(path)) as alone:
        if not alone:
            return "sqlite"
        try:
            with _binary(path) as file:
                head = file.read(len(foreign.MAGIC))
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: {error}") from error
    if head == foreign.MAGIC:
        return "sqlite"
    return "jsonl" if head.lstrip()[:1] == b"{" else "csv"


def read(path: Path, kind: Kind) -> Iterator[Said]:
    """Every heartbeat of a file, in its order.

    Raises:
        SourceError: it cannot be read, or it holds no heartbeats.
    """
    try:
        match kind:
            case "sqlite":
                yield from _of_tables(path)
            case "csv":
                yield from _of_csv(path)
            case "jsonl":
                yield from _of_lines(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise SourceError(f"{path}: {error}") from error


def _of_tables(path: Path) -> Iterator[Said]:
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    # Half a character is refused with its row; it must not end the reading of all.
    with foreign.opened(path, errors="surrogateescape") as connection:
        found = False
        for table in (HISTORY, CURRENT):
            columns = [name for (name,) in connection.execute(query("services.source_columns"),
                                                              (table,))]  # fmt: skip
            if not columns:
                continue
            found = True
            places = _places(columns, f"{path}: {table}")
            listed = ", ".join(f'"{columns[place]}"' for place in places.values())
            sql = query("services.source_rows").format(table=table, columns=listed)
            with closing(connection.execute(sql)) as rows:
                for row in rows:
                    values = dict(zip(places, row, strict=True))
                    yield _said(values, current=table == CURRENT)
        if not found:
            raise SourceError(f"{path}: no table {HISTORY} or {CURRENT}")


def _of_csv(path: Path) -> Iterator[Said]:
    with _text(path) as file:
        rows = csv.reader(file)
        header = next(rows, None)
        if header is None:
            return
        places = _places([name.strip().lower() for name in header], str(path))
        for row in rows:
            if not row:
                continue
            values = {
                name: row[place] or None if place < len(row) else None
                for name, place in places.items()
            }
            said = _said(values)
            if len(row) != len(header):
                said = said._replace(wrong=f"{len(row)} values, {len(header)} columns")
            yield said


def _of_lines(path: Path) -> Iterator[Said]:
    with _text(path) as file:
        while line := file.readline(_LONGEST_LINE):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield _wrong(f"not JSON: {error}")
                continue
            if not isinstance(value, dict):
                yield _wrong(f"{type(value).__name__}, not an object")
                continue
            known = {
                name: next((value[key] for key in keys if key in value), None)
                for name, keys in _NAMES.items()
            }
            yield _said(known)


def _places(columns: list[str], where: str) -> dict[str, int]:
    """Which column has which value."""
    places = {
        name: next(columns.index(key) for key in keys if key in columns)
        for name, keys in _NAMES.items()
        if any(key in columns for key in keys)
    }
    missing = [_NAMES[name][0] for name in _NEEDED if name not in places]
    if missing:
        raise SourceError(f"{where} has no column {' and no '.join(missing)}")
    return places


def _said(values: Mapping[str, object], *, current: bool = False) -> Said:
    get = values.get
    try:
        seconds = _seconds(get("seconds"), get("milliseconds"))
    except InvalidValue as error:
        return _wrong(str(error.detail))
    return Said(
        get("service"), get("status"), get("task"), get("moment"), get("created"), seconds, current
    )


def _seconds(seconds: object, milliseconds: object) -> float | None:
    value = seconds if seconds is not None else milliseconds
    if value is None:
        return None
    try:
        number = float(cast("str", value))
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue(f"latency {value!r:.60}") from None
    return number if seconds is not None else number / 1000


def _wrong(why: str) -> Said:
    return Said(None, None, None, None, None, None, wrong=why)


def _binary(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _text(path: Path) -> IO[str]:
    return io.TextIOWrapper(
        _binary(path), encoding="utf-8-sig", errors="surrogateescape", newline=""
    )
