"""Taking JSON lines in: idempotent, in batches, with what cannot be a snapshot in quarantine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from metrics_store import clock, location, logs
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue
from metrics_store.families.snapshots import SNAPSHOTS
from metrics_store.snapshots.lines import Line, lines, open_source
from metrics_store.snapshots.parsing import Parsed, Parser
from metrics_store.snapshots.payload import Zones
from metrics_store.snapshots.results import BadLine, Imported, ImportedFile
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Lines of one transaction, and the bytes of them at which it is enough.
_LINES, _BYTES = 1000, 8_000_000
#: Bad lines that are named in the result.
NAMED = 1000
_OTHER = "another snapshot has this id"
_RECORDED_AT = SNAPSHOTS.columns.index("recorded_at")


@dataclass(slots=True)
class _Batch:
    """Lines that are written together."""

    parsed: list[Parsed] = field(default_factory=list)
    bad: list[tuple[Line, str, str]] = field(default_factory=list)
    torn: int = 0
    lines: int = 0
    size: int = 0

    @property
    def is_full(self) -> bool:
        return self.lines >= _LINES or self.size >= _BYTES


def import_files(
    database: Database, paths: Sequence[str | os.PathLike[str]], zone: str | None
) -> Imported:
    """Take files in; see :meth:`metrics_store.snapshots.calls.Snapshots.import_snapshots`."""
    zones = Zones(zone)
    files: list[ImportedFile] = []
    bad_lines: list[BadLine] = []
    used: str | None = None
    with ExitStack() as opened:
        # All of them first: a name that is wrong is told before anything is written.
        sources: list[tuple[str, BinaryIO]] = []
        for path in map(location.named, paths):
            sources.append((path, open_source(path)))
            opened.callback(sources[-1][1].close)
        for path, source in sources:
            own = zones.again()
            files.append(_import_one(database, path, source, own, bad_lines))
            used = used or own.used
    return Imported(tuple(files), used, tuple(bad_lines))


def _import_one(
    database: Database, path: str, source: BinaryIO, zones: Zones, bad_lines: list[BadLine]
) -> ImportedFile:
    shown = path.encode("utf-8", "backslashreplace").decode()
    counts = dict.fromkeys(
        ("lines", "inserted", "already_there", "retired", "bad", "new_bad", "torn"), 0
    )
    for batch in _batches(lines(source, path), Parser(zones, shown)):
        at = clock.text(database.clock.now_us())
        work = partial(_write, batch=batch, file=shown, at=at)
        written = database.write(work, rows=len(batch.parsed) or 1)
        counts["lines"] += batch.lines
        counts["torn"] += batch.torn
        for name in ("inserted", "already_there", "retired"):
            counts[name] += getattr(written, name)
        counts["bad"] += len(written.bad)
        counts["new_bad"] += sum(line.new for line in written.bad)
        bad_lines += written.bad[: NAMED - len(bad_lines)]
    return ImportedFile(shown, **counts)


def _batches(found: Iterable[Line], parser: Parser) -> Iterator[_Batch]:
    batch = _Batch()
    for line in found:
        batch.lines += 1
        batch.size += len(line.raw)
        try:
            batch.parsed.append(parser.parsed(line))
        except InvalidValue as error:
            if line.whole:
                batch.bad.append((line, parser.name_of(line), error.detail))
            else:
                batch.torn += 1  # whoever writes it is not done
        if batch.is_full:
            yield batch
            batch = _Batch()
    if batch.lines:
        yield batch


@dataclass(slots=True)
class _Written:
    inserted: int = 0
    already_there: int = 0
    retired: int = 0
    bad: list[BadLine] = field(default_factory=list)


def _write(connection: Connection, batch: _Batch, file: str, at: str) -> _Written:
    written = _Written()
    retired = logs.retired(connection, SNAPSHOTS, [str(p.row[0]) for p in batch.parsed])
    live = [parsed for parsed in batch.parsed if parsed.row[0] not in retired]
    written.retired = len(batch.parsed) - len(live)
    written.inserted = logs.append(connection, SNAPSHOTS, [parsed.row for parsed in live])
    others = [] if written.inserted == len(live) else _others(connection, live)
    written.already_there = len(live) - written.inserted - len(others)
    bad = [*batch.bad, *((p.line, str(p.row[0]) + f"-{p.line.number}", _OTHER) for p in others)]
    for line, name, reason in sorted(bad, key=lambda item: item[0].number):
        values = (name, file, line.number, reason, line.raw, line.length, at)
        new = connection.execute(query("snapshots.quarantine"), values).rowcount == 1
        written.bad.append(BadLine(file, line.number, reason, new))
    return written


def _others(connection: Connection, batch: Sequence[Parsed]) -> list[Parsed]:
    """Of lines that bear an id, those that say something else than what is stored under it."""
    named = {str(parsed.row[0]) for parsed in batch if parsed.named}
    if not named:
        return []
    stored = {
        name: (at, text)
        for name, at, text in connection.execute(
            query("snapshots.of_ids"), (json.dumps(sorted(named)),)
        )
    }
    return [
        parsed
        for parsed in batch
        if parsed.named
        and stored.get(str(parsed.row[0])) != (parsed.row[_RECORDED_AT], parsed.row[-1])
    ]
