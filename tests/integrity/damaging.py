"""Damage to stores, made for real: by SQL that knows no mercy, and by bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from settable_clock import SettableClock

from metrics_store import MetricsStore, Settings, sqlite
from metrics_store.connection import Database
from metrics_store.integrity.repairing import RepairReport, repair

LOG = "skill_invocation"
#: What nothing else of a store can be made from.
KEPT_FOR_EVER = (LOG, "legacy_source", "legacy_pass", "legacy_quarantine", "schema_migrations")


class Damage(NamedTuple):
    """What somebody did to a store with a connection of their own.

    Args:
        name: what it is called.
        sql: the statements.
        kind: what a check calls it.
        table: which table, index, trigger or view it names.
        row: what it says of the row.
        is_mended: whether a repair puts it right.
        severity: of the finding.
        also: other kinds that it brings about.
    """

    name: str
    sql: tuple[str, ...]
    kind: str
    table: str
    row: str = ""
    is_mended: bool = True
    severity: str = "error"
    also: frozenset[str] = frozenset()


def records(count: int) -> Iterator[dict[str, object]]:
    """Invocations with everything that a log row can have."""
    for n in range(count):
        yield {
            "skill_name": f"skill-{n % 4}",
            "invoked_at": f"2026-03-{1 + n % 9:02d}T{n % 24:02d}:30:00Z",
            "completed": n % 7 != 3,
            "duration_seconds": 0.25 * (n % 40) if n % 5 else None,
            "error_type": "TimeoutError" if n % 7 == 3 else None,
            "workflow_path": (None, "quick", "full/security", "naïve «ways»")[n % 4],
            "session_id": f"session-{n % 6}",
            "follow_up_actions": ["run tests", f"step {n % 3}"][: n % 3],
            "attributes": {"n": n, "note": "x" * (n % 50)},
        }


def make(path: Path, count: int = 300) -> None:
    """Make a store with so many invocations, and close it."""
    store = MetricsStore(path, clock=SettableClock(), durability="normal")
    store.record_invocations(records(count))
    store.close()


def tamper(path: Path, *statements: str) -> None:
    """Run statements on a connection that minds nothing."""
    connection = sqlite.connect(str(path))
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def schema_sql(path: Path, name: str) -> str:
    """The SQL of an object."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        found = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,))
        return str(found.fetchone()[0])
    finally:
        connection.close()


def rewrite_log(path: Path, statement: str) -> None:
    """Change the log behind the back of its triggers, and leave no trace in the schema."""
    names = (f"{LOG}_immutable", f"{LOG}_kept")
    texts = [schema_sql(path, name) for name in names]
    drops = [f"DROP TRIGGER {name}" for name in names]
    tamper(path, "BEGIN", *drops, statement, *texts, "COMMIT")


def content(path: Path, tables: Iterable[str]) -> dict[str, list[tuple[object, ...]]]:
    """Every row of some tables."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in tables
        }
    finally:
        connection.close()


def folder_state(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file of a folder: mode, moment of its last change, hash of its bytes."""
    return {
        str(file.relative_to(folder)): (
            file.stat().st_mode,
            file.stat().st_mtime_ns,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def overwrite(path: Path, at: int, data: bytes) -> None:
    """Put bytes into a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def page_of(path: Path, name: str) -> int:
    """The first page of a table or an index."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        found = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
        return int(found.fetchone()[0])
    finally:
        connection.close()


def size_of_pages(path: Path) -> int:
    """Bytes a page has."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        return int(connection.execute("PRAGMA page_size").fetchone()[0])
    finally:
        connection.close()


def without(path: Path, *endings: str) -> None:
    """Remove files beside a store."""
    for ending in endings:
        os.unlink(f"{path}{ending}")


def mended(path: Path) -> RepairReport:
    """Repair a store."""
    database = Database(Settings(path), SettableClock(), create=False)
    try:
        return repair(database)
    finally:
        database.close()
