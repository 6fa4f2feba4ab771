"""The store as a legacy file: written in two parts, so that writers wait only for the second."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metrics_store.errors import LegacyNotWritable, RehearsalFailed
from metrics_store.legacy import json_file
from metrics_store.legacy.control import Control
from metrics_store.legacy.json_file import Record
from metrics_store.legacy_format import loading, stored
from metrics_store.legacy_format.exporting import ExportReport, LegacyDocument
from metrics_store.phases import naming
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class Loaded(Result):
    """What the legacy tracker would load from a file.

    Args:
        records, skills: how many.
    """

    records: int
    skills: int


class Export:
    """An export being written to a file of its own.

    Args:
        operator: whose store it is.
        there: the zone, and which legacy file it is to be.
        path: the new file; it is made anew.

    Raises:
        LegacyNotWritable: it cannot be made.
    """

    def __init__(self, operator: Operator, there: Control, path: Path) -> None:
        self._operator = operator
        self._there = there
        self._path = path
        self._up_to = 0
        try:
            handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            self._file = open(handle, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
        except OSError as error:
            raise LegacyNotWritable(f"{path}: {error.strerror}") from error
        self._document = LegacyDocument(self._file, there.zone)
        self.named = 0

    def most(self) -> None:
        """Name and write what the log has now. Writers go on."""
        store = self._operator.store()
        with store.database.read() as connection:
            self._up_to = int(connection.execute(query("legacy.last_seq")).fetchone()[0])
        self.named += naming.name_rows(self._operator, self._there, 0, self._up_to)
        with store.database.read() as connection:
            self._document.add(stored.up_to(connection, self._up_to))

    def rest(self) -> ExportReport:
        """Name and write what has come since, what is in flight, what was kept as text, and the
        totals. Nobody writes meanwhile.

        Raises:
            LegacyNotWritable: the disk is full, say.
        """
        last = (1 << 63) - 1
        self.named += naming.name_rows(self._operator, self._there, self._up_to, last)
        self.named += naming.name_inflight(self._operator, self._there)
        store = self._operator.store()
        try:
            with store.database.read() as connection:
                self._document.add(stored.after(connection, self._up_to))
                for text in _loadable_texts(connection, self._there.json_file):
                    self._document.add_text(text)
                report = self._document.end(connection, store.database.clock.now_us())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise LegacyNotWritable(f"{self._path}: {error.strerror}") from error
        finally:
            self._file.close()
        return report

    def discard(self) -> None:
        """Throw the file away."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _loadable_texts(connection: Connection, path: str) -> Iterator[str]:
    """What cannot be a row and the legacy loader loads all the same: it goes back as it came."""
    source = connection.execute(query("phases.source_id"), (path,)).fetchone()
    if source is None:
        return
    for (raw,) in connection.execute(query("phases.quarantined_texts"), source):
        try:
            value = json.loads(raw)
        except ValueError:
            continue
        if not loading.refusal_of_record(value):
            yield raw


def load(path: Path) -> Loaded:
    """Load a file by the legacy rules, in bounded memory.

    Raises:
        RehearsalFailed: the legacy tracker would drop its whole history.
        LegacyFileError: it is not whole.
    """
    records = skills = 0
    for event in json_file.read(path):
        if isinstance(event, Record):
            records += 1
            if refusal := loading.refusal_of_record(event.value):
                raise RehearsalFailed(f"record {event.position}: {refusal}")
        elif isinstance(event, json_file.Totals):
            skills += 1
            if refusal := loading.refusal_of_totals(event.value):
                raise RehearsalFailed(f"totals of {event.skill_name!r}: {refusal}")
    return Loaded(records, skills)
