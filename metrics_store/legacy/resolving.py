"""Whether differences that a verify found have resolved themselves since, borne out by both sides.

A difference is resolved if the file as it is now and the store as it is now agree on its key, and
if what differed is there to be seen: a record that the store lacked is in the file still, and a row
that was recorded since says it; or the file now says what its row said all along. What neither
side has any more is lost, and not resolved.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from metrics_store.legacy.comparing import Comparing
from metrics_store.legacy.likeness import content
from metrics_store.legacy.pairing import rows_of_key
from metrics_store.legacy.passes import printable
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.reading import Reading, refusal_of
from metrics_store.legacy.scratch import Found, Scratch
from metrics_store.legacy.workplace import place_within
from metrics_store.legacy_format import record
from metrics_store.legacy_format.record import Refused, Understood
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

_BATCH = 2000


class _Open(NamedTuple):
    """An open difference."""

    id: int
    kind: str
    in_json: str
    in_store: str | None


@dataclass(slots=True)
class _Key:
    """A key with open differences, and what the file says of it now."""

    text: str
    raw_invoked_at: str
    differences: list[_Open] = field(default_factory=list)
    #: How often the file has each text that one of them is about.
    present: Counter[str] = field(default_factory=Counter)
    agreed: bool = True

    def id(self, ordinal: int) -> str:
        return record.row_id(self.text, self.raw_invoked_at, ordinal)


class Look:
    """A second look at open differences of a verify.

    Args:
        store: the store.
        source: the file, symlinks resolved.
        verify_id: the verify.
        zone: of the file's naive moments.
        directory: private, for a copy meanwhile.
    """

    def __init__(
        self, store: MetricsStore, source: Path, verify_id: int, zone: str, directory: Path
    ) -> None:
        self._store = store
        self._source = source
        self._verify_id = verify_id
        self._zone = zone
        self._directory = directory
        self._keys: dict[str, _Key] = {}
        #: By the text that cannot be a row.
        self._refused: dict[str, list[_Open]] = {}
        self._present: Counter[tuple[str, str]] = Counter()

    def at(self, difference_id: int, kind: str, in_json: str | None, in_store: str | None) -> None:
        """Name a difference to be looked at."""
        if in_json is None:
            return
        one = _Open(difference_id, kind, in_json, in_store)
        if kind == "quarantined":
            self._refused.setdefault(in_json, []).append(one)
            return
        skill, raw, path, *_ = json.loads(in_json)
        key = record.key_of(skill, raw, path)
        known = self._keys.setdefault(record.row_id(key, raw, 1), _Key(key, raw))
        known.differences.append(one)

    def resolved(self) -> list[tuple[int, str]]:
        """The differences that are resolved, by id, and how.

        Raises:
            LegacyFileError: the file cannot be read.
        """
        with place_within(self._directory) as place:
            copy = copy_stable(self._source, place)
            scratch = Scratch(place)
            with scratch.in_use():
                reading = Reading(copy.path, self._zone, self._store.database.clock.now_us())
                self._compare(scratch, reading)
        with self._store.database.read() as connection:
            sql = query("verify.up_to_seq")
            up_to = connection.execute(sql, (self._verify_id,)).fetchone()[0]
            found = [
                resolved
                for key in self._keys.values()
                if key.agreed
                for resolved in _resolved(connection, key, up_to)
            ]
            return found + list(self._kept_apart(connection))

    def _compare(self, scratch: Scratch, reading: Reading) -> None:
        comparing = Comparing(
            self._store, 0, scratch, reading.understand, found=self._found, up_to_seq=None
        )
        wanted = self._wanted(reading)
        while batch := list(islice(wanted, _BATCH)):
            comparing.batch(batch)
        comparing.settle()

    def _wanted(self, reading: Reading) -> Iterator[tuple[int, Understood]]:
        """The file's records of these keys."""
        for element, read in reading.records():
            if isinstance(read, Refused):
                digest, _, raw = refusal_of(element)
                if raw in self._refused:
                    self._present[digest, raw] += 1
                continue
            key = self._keys.get(read.id(1))
            if key is not None:
                key.present[read.content] += 1
                yield element.position, read

    def _found(self, found: Found) -> None:
        if found.explanation is None and found.in_json is not None:
            skill, raw, path, *_ = json.loads(found.in_json)
            self._keys[record.row_id(record.key_of(skill, raw, path), raw, 1)].agreed = False

    def _kept_apart(self, connection: Connection) -> Iterator[tuple[int, str]]:
        path = printable(str(self._source))
        for (digest, raw), n in self._present.items():
            wanted = json.dumps([[digest, ordinal] for ordinal in range(1, n + 1)])
            rows = connection.execute(query("verify.quarantined"), (path, wanted)).fetchall()
            if [row[3] for row in rows] == [raw] * n:
                for difference in self._refused[raw][:n]:
                    yield difference.id, f"it is kept apart: {rows[0][2]}"


def _resolved(connection: Connection, key: _Key, up_to_seq: int) -> Iterator[tuple[int, str]]:
    """The differences of a key on which both sides agree now."""
    if not key.present:
        return
    rows = rows_of_key(connection, key.id, key.present.total() + 1)
    says = [{content(row), content(row, bare=True)} for row in rows]
    seqs = [connection.execute(query("verify.seq"), (row["id"],)).fetchone() for row in rows]
    recorded_since = [seq is not None and seq[0] > up_to_seq for seq in seqs]
    for one in key.differences:
        if one.kind == "moment":
            # The moment was put after what the record says.
            if key.present[one.in_json[: one.in_json.rindex(",")] + "]"]:
                yield one.id, "both stand for one moment now"
        elif key.present[one.in_json]:
            for i, texts in enumerate(says):
                if one.in_json in texts and recorded_since[i]:
                    recorded_since[i] = False  # it bears out one difference
                    yield one.id, f"the store has it now, as {rows[i]['id']}"
                    break
        elif one.in_store is not None and key.present[one.in_store]:
            key.present[one.in_store] -= 1
            yield one.id, "the file says now what the store has"
