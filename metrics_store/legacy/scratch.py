"""What a pass must remember of a file of any size, in a small database of its own.

How often each key was seen, and the records that only all of their key can settle. Thrown away
after the pass; a resumed pass makes it anew by reading the file's beginning again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
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

    def close(self) -> None:
        """Throw it away."""
        self._connection.close()
        self._path.unlink(missing_ok=True)

    def saw(self, raw_invoked_at: str, key: str) -> int:
        """Count a record of a key; gives how many there are now."""
        row = self._connection.execute(query("scratch.saw"), (raw_invoked_at, key)).fetchone()
        return int(row[0])

    def seen(self, raw_invoked_at: str, key: str) -> tuple[int, bool]:
        """How many records of a key were seen, and whether its first row has found its record."""
        row = self._connection.execute(query("scratch.seen"), (raw_invoked_at, key)).fetchone()
        return (int(row[0]), bool(row[1])) if row else (0, False)

    def take(self, raw_invoked_at: str, key: str) -> None:
        """Note that the first row of a key has found its record."""
        self._connection.execute(query("scratch.take"), (raw_invoked_at, key))

    def contest(self, position: int, record: Understood) -> None:
        """Keep a record until all of its key are known."""
        self._connection.execute(
            query("scratch.contest"),
            (record.key, record.content, position, json.dumps(asdict(record))),
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
    fields = json.loads(text)
    flags: Sequence[Sequence[str]] = fields.pop("flags")
    return Understood(**fields, flags=tuple((flag, detail) for flag, detail in flags))
