"""Writing the legacy JSON format from a store, as the legacy tracker writes it, in a stream."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TextIO

from metrics_store import clock
from metrics_store.errors import ExportFailed
from metrics_store.legacy_format import record, stored
from metrics_store.legacy_format.moments import local_zone
from metrics_store.replacing import replaced
from metrics_store.reports import Reports
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.timeline import zone_named


@dataclass(frozen=True, slots=True)
class ExportReport(Result):
    """What was written.

    Args:
        records: elements of ``invocations``.
        pending: of these, those in flight.
        skills: totals.
        zone: the zone of the naive moments.
    """

    records: int
    pending: int
    skills: int
    zone: str


def export_legacy(store: Reports, target: TextIO, *, zone: str | None = None) -> ExportReport:
    """Write everything the legacy format can hold: all invocations and the classic totals.

    A record that came from a legacy file is written as it was. Session ids, projects and
    attributes stay behind: one unknown member makes the legacy tracker drop its whole history.

    Args:
        store: the store.
        target: where to; text, one piece at a time, in bounded memory.
        zone: the zone of the naive moments; by default the one of the first file that was taken
            in, else this machine's.
    """
    with store.database.read() as connection:
        if zone is None:
            zone = zone_of(connection)
        document = LegacyDocument(target, zone)
        document.add(stored.every(connection))
        return document.end(connection, store.database.clock.now_us())


def zone_of(connection: Connection) -> str:
    """The zone of the first file that was taken in, else this machine's."""
    row = connection.execute(query("legacy.source_zone")).fetchone()
    return row[0] if row else local_zone()


class LegacyDocument:
    """A legacy document being written, from its first brace to its last.

    Args:
        target: where to.
        zone: of the naive moments.
    """

    def __init__(self, target: TextIO, zone: str) -> None:
        self._target = target
        self._zone = zone
        self._place = zone_named(zone)
        self._records = self._pending = 0
        self._write('{\n  "invocations": ')

    def add(self, rows: Iterable[stored.StoredRow]) -> None:
        """Write the records of rows."""
        for row in rows:
            self.add_text(_indented(_legacy_record(row, self._place), 4))
            self._pending += stored.is_pending(row)

    def add_text(self, text: str) -> None:
        """Write a record that is text already."""
        self._write(",\n    " if self._records else "[\n    ")
        self._write(text)
        self._records += 1

    def end(self, connection: Connection, now_us: int) -> ExportReport:
        """Write the totals, and when it was written."""
        self._write("\n  ]" if self._records else "[]")
        self._write(',\n  "skills": ')
        skills = _write_totals(connection, self._write, self._place)
        now = _naive(clock.text(now_us), self._place)
        self._write(f',\n  "last_updated": {json.dumps(now)}\n}}')
        return ExportReport(self._records, self._pending, skills, self._zone)

    def _write(self, text: str) -> None:
        try:
            self._target.write(text)
        except (ValueError, TypeError) as error:  # it is closed, or of bytes
            raise ExportFailed(str(error), hint="Give a text file that is open.") from error


def export_to(
    store: Reports, target: str | os.PathLike[str], zone: str | None = None
) -> ExportReport:
    """As :func:`export_legacy`, to a file that is replaced whole or left as it is.

    Its mode is kept if it is there, else 0600; a symlink is followed.

    Raises:
        ExportFailed: it cannot be written.
    """
    try:
        with replaced(target) as file:
            return export_legacy(store, file, zone=zone)
    except OSError as error:
        raise ExportFailed(f"{os.path.realpath(target)}: {error.strerror}") from error


def _write_totals(connection: Connection, write: Callable[[str], None], place: tzinfo) -> int:
    n = 0
    for row in connection.execute(query("legacy.export_totals")):
        name, total, completed, abandoned, seconds, *counts, first, last, rate, average = row
        paths, errors, actions = (json.loads(text) for text in counts)
        totals = {
            "skill_name": name,
            "total_invocations": total,
            "completed_invocations": completed,
            "abandoned_invocations": abandoned,
            "total_duration_seconds": seconds,
            "workflow_paths": paths,
            "common_errors": errors,
            "follow_up_actions": actions,
            "first_invoked": _naive(first, place),
            "last_invoked": _naive(last, place),
            "completion_rate": rate,
            "avg_duration_seconds": average,
        }
        write(",\n    " if n else "{\n    ")
        write(f"{json.dumps(name)}: {_indented(totals, 4)}")
        n += 1
    write("\n  }" if n else "{}")
    return n


def _legacy_record(row: stored.StoredRow, place: tzinfo) -> dict[str, object]:
    if row["legacy"]:
        return record.legacy_record(row)
    us = row["duration_us"]
    return {
        "skill_name": row["skill_name"],
        "invoked_at": _naive(str(row["invoked_at"]), place),
        "workflow_path": row["workflow_path"],
        "completed": row["outcome"] == "completed",
        "duration_seconds": None if us is None else int(str(us)) / 1e6,
        "follow_up_actions": json.loads(str(row["follow_up_actions"])),
        "error_type": row["error_type"],
    }


def _naive(moment: str | None, place: tzinfo) -> str | None:
    if moment is None:
        return None
    try:
        local = clock.to_datetime(clock.parse(moment)).astimezone(place)
    except OverflowError:
        # Within hours of the calendar's ends there is no local time: then UTC's face.
        local = clock.to_datetime(clock.parse(moment))
    return local.replace(tzinfo=None).isoformat()


def _indented(value: object, by: int) -> str:
    return json.dumps(value, indent=2).replace("\n", "\n" + " " * by)
