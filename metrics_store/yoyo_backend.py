"""yoyo's SQLite backend on our own connection, with a ledger that shares the steps' transaction.

Stock yoyo 9.0 marks a migration as applied in another transaction than its steps, so a kill between
the two leaves every later run failing with "table already exists"; it leaves its lock row behind a
killed run, hashes the file's name instead of its content, and opens a connection of its own with
``cache=shared``. Here a step, its ledger row and ``user_version`` are kept or lost together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from yoyo import read_migrations
from yoyo.backends.core.sqlite3 import SQLiteBackend
from yoyo.migrations import Migration, StepCollector

from metrics_store import sqlite
from metrics_store.errors import MigrationFailed

if TYPE_CHECKING:
    from metrics_store.sqlite import Connection

_NAME = re.compile(r"(\d{4})_(\w+)")


class _Silent(sqlite.binding.Cursor):  # type: ignore[misc, name-defined]
    """A cursor that returns nothing: yoyo would print it to standard output, which is the host's.

    (SQLite describes a result of ALTER TABLE ADD COLUMN with a CHECK.)
    """

    description = None


class Backend(SQLiteBackend):  # type: ignore[misc]
    """yoyo's view of a connection that is already in a transaction of ours."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.DatabaseError = sqlite.DatabaseError
        # Steps then run in savepoints inside our transaction; yoyo never begins nor commits one.
        self._in_transaction = True
        self.has_transactional_ddl = True

    def cursor(self) -> object:
        """A cursor for a step."""
        return self._connection.cursor(_Silent)

    @property
    def driver(self) -> ModuleType:
        """The binding that everything of ours shares."""
        return sqlite.binding

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:
        """Nothing to do: the write lock of the transaction is the lock."""
        yield

    def ensure_internal_schema_updated(self) -> None:
        """Nothing to do: the ledger is a table of migration 0001."""


class MigrationFile:
    """One migration: its number, what it says it does, its content's hash, and its steps."""

    def __init__(self, migration: Migration) -> None:
        match = _NAME.fullmatch(migration.id)
        if match is None:
            raise MigrationFailed(
                f"{migration.id}: not named NNNN_words.sql", hint="Rename the file."
            )
        self.version = int(match[1])
        self.name: str = migration.id
        self.path = Path(migration.path)
        self.rollback_path = self.path.with_suffix("").with_suffix(".rollback.sql")
        self.description = match[2].replace("_", " ")
        # Line ends are no change: a checkout on Windows may have turned them.
        self.checksum = hashlib.sha256(self.path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        self._migration = migration

    def apply(self, connection: Connection) -> None:
        """Run the steps forward in the transaction that is open."""
        self._run(connection, "apply")

    def roll_back(self, connection: Connection) -> None:
        """Run the steps backward in the transaction that is open."""
        if not self.rollback_path.is_file():
            raise MigrationFailed(f"{self.name} has no {self.rollback_path.name}")
        self._run(connection, "rollback")

    def _run(self, connection: Connection, direction: str) -> None:
        if not self._migration.loaded:
            self._load()
        try:
            self._migration.process_steps(Backend(connection), direction)
        except sqlite.DatabaseError as error:
            if sqlite.is_busy(error) or sqlite.code(error) in (10, 11, 13):
                raise  # the disk's fault or another process's, not the migration's
            raise MigrationFailed(f"{self.name}: {error}") from error

    def _load(self) -> None:
        # Left to yoyo, sqlparse splits the files: 0.45 of the 0.5 s that a new store took.
        collector = StepCollector(migration=self._migration)
        forward = _statements_of(self.path)
        backward = _statements_of(self.rollback_path) if self.rollback_path.is_file() else []
        for step, undo in zip_longest(forward, reversed(backward)):
            collector.add_step(step, undo)
        self._migration.steps = collector.create_steps(self._migration.use_transactions)


def _statements_of(path: Path) -> list[str]:
    return statements(path.read_text(encoding="utf-8"))


def statements(text: str) -> list[str]:
    """The statements of a text, cut where SQLite says that one is complete."""
    found = []
    start = 0
    for match in re.finditer(";", text):
        statement = text[start : match.end()]
        if sqlite.binding.complete_statement(statement):
            found.append(statement.strip())
            start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def read(directory: Path) -> list[MigrationFile]:
    """The migrations of a directory, in the order of their numbers."""
    files = sorted(
        (MigrationFile(m) for m in read_migrations(_glob_escaped(directory))),
        key=lambda m: m.version,
    )
    for expected, file in enumerate(files, start=1):
        if file.version != expected:
            raise MigrationFailed(
                f"{file.name} stands where number {expected:04d} should",
                hint="Number the migrations from 0001 on, without gaps.",
            )
    return files


def _glob_escaped(directory: Path) -> str:
    # yoyo takes its sources as glob patterns.
    return re.sub(r"([*?[])", r"[\1]", str(directory))
