"""What a pass must remember of a file of any size, in a small database of its own.

How often each key was seen, the records that only all of their key can settle, the differences
found. Thrown away after the pass: an import that is resumed makes it anew by reading the file's
beginning again; a verify keeps its own until it has ended, for it resumes from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from metrics_store import sqlite
from metrics_store.legacy_format.record import Understood
from metrics_store.sql import query

NAME = "scratch.db"
_TABLES = ("seen", "met", "kept", "contested", "quarantined", "refused", "found", "state")


class Found(NamedTuple):
    """A difference between a legacy file and the store.

    Args:
        kind: what differs; see :mod:`metrics_store.legacy.comparing`.
        explanation: why it is no fault; None if nothing explains it.
        subject: the skill.
        in_json, in_store: what each side says, None where it has nothing.
    """

    kind: str
    explanation: str | None
    subject: str
    in_json: str | None
    in_store: str | None


class Refusal(NamedTuple):
    """A text that cannot be a row: its hash, and the how-manieth of its like in the file."""

    number: int
    digest: str
    ordinal: int
    subject: str
    raw: str


class Scratch:
    """The scratch file of one pass.

    Args:
        directory: where it is put; 0700.
        lasting: it outlives this process, and one that is there is gone on with.

    Raises:
        CorruptStore, ForeignDatabase: a lasting one is damaged.
        DiskFull, OutcomeUnknown, WriteError: it cannot be written.
    """

    def __init__(self, directory: Path, *, lasting: bool = False) -> None:
        self._path = directory / NAME
        self._lasting = lasting
        if not lasting:
            self._path.unlink(missing_ok=True)
        try:
            self._connection = sqlite.connect(str(self._path))
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=True, where=str(self._path)) from error
        try:
            self._prepare()
        except sqlite.Error as error:
            self._connection.close()
            raise sqlite.translated(error, writing=True, where=str(self._path)) from error

    def _prepare(self) -> None:
        run = self._connection.execute
        # Nobody else reads it: no shared memory, and no lock to be taken anew.
        run("PRAGMA locking_mode = EXCLUSIVE")
        if self._lasting:
            # A killed process loses what it had not committed and nothing else; a power cut, too,
            # leaves an earlier state that is whole. Synced once in some 16 MB.
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = NORMAL")
            run("PRAGMA wal_autocheckpoint = 4000")
        else:
            # A crash throws it away: no journal, no syncs.
            run("PRAGMA journal_mode = OFF")
            run("PRAGMA synchronous = OFF")
        run("PRAGMA cache_size = -8192")
        run("PRAGMA temp_store = FILE")
        for table in _TABLES:
            run(query(f"scratch.table_{table}"))
        os.chmod(self._path, 0o600)
        run("BEGIN")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Say what goes wrong with it in our own errors; throw it away in the end, unless it lasts.

        Raises:
            DiskFull, OutcomeUnknown, WriteError: it cannot be written.
        """
        try:
            yield
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=True, where=str(self._path)) from error
        finally:
            self._connection.close()
            if not self._lasting:
                self._path.unlink(missing_ok=True)

    # How far the pass is

    def commit(self, state: str) -> None:
        """Keep everything so far, and how far that is; a lasting one goes on from here."""
        self._connection.execute(query("scratch.set_state"), (state,))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN")

    def state(self) -> str | None:
        """What the last commit kept; None in a new one."""
        row = self._connection.execute(query("scratch.state")).fetchone()
        return None if row is None else str(row[0])

    # Keys, as an import sees them

    def saw(self, first_ids: Sequence[str]) -> list[int]:
        """Count records of keys, each by the id of its first row.

        Returns:
            For each, how many of its key there are now.
        """
        counts = {row_id: n for row_id, (n, _) in self.seen(first_ids).items()}
        now = []
        for row_id in first_ids:
            n = counts[row_id] = counts.get(row_id, 0) + 1
            now.append(n)
        self._connection.executemany(query("scratch.saw"), counts.items())
        return now

    def seen(self, first_ids: Sequence[str]) -> dict[str, tuple[int, bool]]:
        """How many records of a key were seen, and whether its first row has found its record."""
        found = self._connection.execute(query("scratch.seen"), (json.dumps(first_ids),))
        return {row_id: (n, bool(taken)) for row_id, n, taken in found.fetchall()}

    def leave(self, first_id: str) -> None:
        """Note that the first row of a key has not found its record yet."""
        self._connection.execute(query("scratch.leave"), (first_id,))

    def forget(self) -> None:
        """Forget what an import saw, for the comparison that follows looks at it all anew."""
        self._connection.execute(query("scratch.forget_seen"))
        self._connection.execute(query("scratch.forget_contested"))

    # Keys and rows, as a comparison meets them

    def meet(self, first_ids: Sequence[str], number: int) -> set[int]:
        """Note records by the first ids of their keys; the first row of each counts as taken.

        Args:
            number: of the first of these records, counted over the whole file.

        Returns:
            The positions, in the sequence, of those whose key was met before.
        """
        ids, run = json.dumps(first_ids), self._connection.execute
        before = self._connection.total_changes
        run(query("scratch.meet"), (ids, number))
        if self._connection.total_changes - before == len(first_ids):
            return set()
        firsts = dict(run(query("scratch.numbers"), (ids,)).fetchall())
        return {i for i, row_id in enumerate(first_ids) if firsts[row_id] != number + i}

    def take(self, rows: Iterable[tuple[str, bool]]) -> None:
        """Note of rows, by their ids, whether they have found a record."""
        self._connection.executemany(query("scratch.take"), rows)

    def untaken(self, row_ids: Sequence[str]) -> list[str]:
        """Those rows that have found no record, in their order."""
        return [
            row_id
            for (row_id,) in self._connection.execute(
                query("scratch.untaken"), (json.dumps(row_ids),)
            ).fetchall()
        ]

    def keep(self, records: Iterable[tuple[str, Understood]]) -> None:
        """Keep first records of keys, each by the id of its first row."""
        kept = [(row_id, json.dumps(record)) for row_id, record in records]
        self._connection.executemany(query("scratch.keep"), kept)

    def kept(self, first_ids: Sequence[str]) -> dict[str, Understood]:
        """The first records of keys that were kept."""
        rows = self._connection.execute(query("scratch.kept"), (json.dumps(first_ids),)).fetchall()
        return {row_id: _record(text) for row_id, text in rows}

    # The waiting room

    def contest(self, position: int, record: Understood) -> None:
        """Keep a record until all of its key are known."""
        self._connection.execute(
            query("scratch.contest"),
            (record.key, record.content, position, json.dumps(record)),
        )

    def contested_keys(self, after: str) -> Iterator[str]:
        """Keys with records that wait, in order, after one that is settled."""
        while True:
            row = self._connection.execute(query("scratch.next_contested"), (after,)).fetchone()
            if row[0] is None:
                return
            after = row[0]
            yield after

    def contested(self, key: str) -> list[tuple[int, int, Understood]]:
        """The distinct records of a key that wait: the first's position, how many, what it says."""
        rows = self._connection.execute(query("scratch.contested"), (key,)).fetchall()
        return [(position, n, _record(text)) for position, n, text in rows]

    def waiting(self, after: str, limit: int) -> list[tuple[str, list[Understood]]]:
        """The next keys with all their records that wait, until there are so many of these."""
        groups: list[tuple[str, list[Understood]]] = []
        rows = self._connection.execute(query("scratch.waiting"), (after,))
        for key, of_key in groupby(rows, key=itemgetter(0)):
            several = sorted((position, n, text) for _, position, n, text in of_key)
            records = [u for _, n, text in several for u in [_record(text)] * n]
            groups.append((key, records))
            limit -= len(records)
            if limit <= 0:
                break
        rows.close()
        return groups

    def settled(self, keys: Iterable[str]) -> None:
        """Let the records of keys wait no longer."""
        self._connection.executemany(query("scratch.settled"), [(key,) for key in keys])

    # What cannot be a row

    def quarantined(self, digest: str) -> int:
        """Count a refused text; gives how many of its like there are now."""
        row = self._connection.execute(query("scratch.quarantined"), (digest,)).fetchone()
        return int(row[0])

    def refuse(self, digest: str, subject: str, raw: str) -> None:
        """Keep a refused text, to look for it in the store."""
        values = (digest, self.quarantined(digest), subject, raw)
        self._connection.execute(query("scratch.refuse"), values)

    def refused(self, after: int, limit: int) -> list[Refusal]:
        """The next refused texts that nobody has dealt with."""
        rows = self._connection.execute(query("scratch.refused"), (after, limit)).fetchall()
        return [Refusal(*row) for row in rows]

    def accept(self, number: int) -> None:
        """Forget a refused text that was dealt with."""
        self._connection.execute(query("scratch.accept"), (number,))

    # Differences

    def add_found(self, found: Found) -> None:
        """Keep a difference."""
        self._connection.execute(query("scratch.add_found"), found)

    def found(self, after: int, limit: int) -> list[Found]:
        """The differences that follow so many, in the order in which they were found."""
        rows = self._connection.execute(query("scratch.found"), (after, limit)).fetchall()
        return [Found(*row) for row in rows]


def _record(text: str) -> Understood:
    read = Understood._make(json.loads(text))
    return read._replace(flags=tuple((flag, detail) for flag, detail in read.flags))
