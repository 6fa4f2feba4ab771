"""From one JSON line to a row: as a tool printed it, or as a sink or an export wrote it."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import cast

from metrics_store import clock, rows
from metrics_store.errors import InvalidValue
from metrics_store.families.snapshots import SNAPSHOTS
from metrics_store.snapshots import payload
from metrics_store.snapshots.lines import Line
from metrics_store.snapshots.payload import Document, Zones
from metrics_store.snapshots.recording import Content, content

#: What a sink writes: the payload within it is exactly what the tool said.
_SUNK = re.compile(
    r'\{"id":"([^"\\]+)","recorded_at":"([^"\\]+)","appended_at":"[^"\\]*","payload":(.*)\}',
    re.DOTALL,
)
#: What may stand in a line that an export wrote.
_EXPORTED = frozenset((*SNAPSHOTS.columns, "seq", "payload", "appended_at"))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A line as a row.

    Args:
        line: as it was found.
        row: the content of the log's row.
        named: its id was in the line; else it follows from what the line says.
    """

    line: Line
    row: Content
    named: bool


class Parser:
    """Parses the lines of one file in their order.

    Identical lines of a file are told apart by counting them, so that each of them is a snapshot,
    and the same snapshot at every import.

    Args:
        zones: the zone of moments without an offset.
        file: its name.
    """

    def __init__(self, zones: Zones, file: str) -> None:
        self._zones = zones
        self._file = file
        self._met: Counter[bytes] = Counter()

    def parsed(self, line: Line) -> Parsed:
        """The row of a line.

        Raises:
            InvalidValue: it cannot be one.
        """
        if line.trouble:
            raise InvalidValue(line.trouble)
        sunk = _sunk(line.raw) or _exported(line.raw)
        if sunk is not None:
            name, us, document = sunk
            return Parsed(line, content(document, name, clock.text(us), "import"), True)
        document = payload.document(line.raw)
        said = payload.moment_of(document.fields)
        if said is None:
            raise InvalidValue("it says no moment: no ts, timestamp or recorded_at")
        us = self._zones.moment_us(said)
        name = self.name_of(line)
        return Parsed(line, content(document, name, clock.text(us), "import"), False)

    def name_of(self, line: Line) -> str:
        """An id that follows from what a line says, and how often it came before in this file."""
        raw = line.raw or f"{self._file}\n{line.number}\n{line.trouble}".encode()
        digest = hashlib.blake2b(raw, digest_size=16)
        key = digest.digest()
        ordinal = self._met[key]
        self._met[key] += 1
        digest.update(b"\n%d" % ordinal)
        return digest.hexdigest()


def _sunk(raw: bytes) -> tuple[str, int, Document] | None:
    """What a sink wrote; None if it is something else."""
    try:
        found = _SUNK.fullmatch(raw.decode())
        if found is None:
            return None
        return found[1], clock.parse(found[2]), payload.document(found[3])
    except ValueError:  # not UTF-8, no moment, or no payload; InvalidValue too
        return None


def _exported(raw: bytes) -> tuple[str, int, Document] | None:
    """What an export wrote; None if it is something else."""
    if b'"payload' not in raw:
        return None
    try:
        said = json.loads(raw)
        if not isinstance(said, dict) or not _EXPORTED.issuperset(said):
            return None
        inner = said.get("payload_json", said.get("payload"))
        if not isinstance(inner, (str, dict)):
            return None
        document = payload.document(cast("str | dict[str, object]", inner))
        return rows.label("id", said.get("id")), clock.parse(said["recorded_at"]), document
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
