"""The records of a legacy file's copy, each with what it says or why it cannot be a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from metrics_store.errors import TornFile
from metrics_store.legacy import json_file
from metrics_store.legacy.json_file import Record
from metrics_store.legacy.passes import printable
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.legacy_format.record import Refused, Understood, understand


class Reading:
    """One reading of a copy, from begin to end.

    Args:
        copy: the copy.
        zone: the zone of its naive moments.
        now_us: microseconds since 1970.
    """

    def __init__(self, copy: Path, zone: str, now_us: int) -> None:
        self._copy = copy
        self._zone = ZoneReader(zone)
        self._now_us = now_us
        #: Bytes read so far, about.
        self.bytes = 0
        #: Where the file ends too early; None if it is whole, as far as it was read.
        self.torn: str | None = None

    def records(self) -> Iterator[tuple[Record, Understood | Refused]]:
        """Every record in order.

        Raises:
            NotLegacyFile: it is no legacy file.
        """
        try:
            for event in json_file.read(self._copy):
                if isinstance(event, Record):
                    self.bytes += len(event.raw) + 6
                    try:
                        yield event, self.understand(event)
                    except Refused as refusal:
                        yield event, refusal
        except TornFile as torn:
            self.torn = torn.detail

    def understand(self, element: Record) -> Understood:
        """Read a record; to be called for every one of the file, in order.

        Raises:
            Refused: it cannot be a row.
        """
        if element.superseded:
            raise Refused(
                "superseded", 'a later "invocations" takes its place, as json.load has it'
            )
        value = element.value
        sessions = isinstance(value, dict) and "session_id" in value
        return understand(value, self._zone, sessions, self._now_us)


def refusal_of(element: Record) -> tuple[str, str, str]:
    """A record that cannot be a row: its hash, whose it is as far as it says, and its text."""
    value = element.value
    name = value.get("skill_name") if isinstance(value, dict) else None
    subject = name if isinstance(name, str) and name else f"record {element.position}"
    text = element.raw.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=16).hexdigest()
    return digest, printable(subject), printable(element.raw)
