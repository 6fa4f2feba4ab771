"""What a pass must remember of a file of any size, in a small database of its own.

How often each key was seen, and the records that only all of their key can settle. Thrown away
after the pass; a resumed pass makes it anew by reading the file's beginning again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from metrics_store import sqlite
from metrics_store.legacy_format.record import Understood
from metrics_store.sql import query


class Scratch:
    """The scratch file of one pass.

    Args:
        directory: where it is put; 0700.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "scratch.db"
        self._path.unlink(missing_ok=True)
        self._connection = sqlite.connect(str(self._path))
        run = self._connection.execute
        # Nobody else reads it and a crash throws it away: no journal, no syncs.
        run("PRAGMA journal_mode = OFF")
        run("PRAGMA synchronous = OFF")
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA cache_size = -8192")
        run("PRAGMA temp_store = FILE")
        for table in ("seen", "contested", "quarantined"):
            run(query(f"scratch.table_{table}"))
        os.chmod(self._path, 0o600)
        run("BEGIN")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Say what goes wrong with it in our own errors; throw it away in the end.

        Raises:
            DiskFull, OutcomeUnknown, WriteError: it cannot be written.
        """
        try:
            yield
        except sqlite.Error as error:
            raise sqlite.translated(error, writing=True, where=str(self._path)) from error
        finally:
            self._connection.close()
            self._path.unlink(missing_ok=True)

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

    def forget_contested(self) -> None:
        """Empty the waiting room, for the comparison uses it anew."""
        self._connection.execute(query("scratch.forget_contested"))

    def quarantined(self, digest: str) -> int:
        """Count a refused text; gives how many of its like there are now."""
        row = self._connection.execute(query("scratch.quarantined"), (digest,)).fetchone()
        return int(row[0])


def _record(text: str) -> Understood:
    read = Understood._make(json.loads(text))
    return read._replace(flags=tuple((flag, detail) for flag, detail in read.flags))
