"""What a database holds, table by table, for comparing it with another."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from metrics_store import MetricsStore, Settings, sqlite
from metrics_store.sqlite import Value

#: What a restore says of itself.
OWN = ("generation", "restored", "backup_directories")
Contents = dict[str, list[tuple[Value, ...]]]


def contents(path: str | os.PathLike[str]) -> Contents:
    """Every row of every table, but what a restore says of itself, and the schema."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        names = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        found: Contents = {"sqlite_schema": names}
        for name, sql in names:
            if sql is None or not sql.upper().startswith("CREATE TABLE"):
                continue
            rows = connection.execute(f"SELECT * FROM {name}").fetchall()
            if name == "store_property":
                rows = [row for row in rows if row[0] not in OWN]
            found[name] = sorted(rows, key=repr)
        return found
    finally:
        connection.close()


def ids(path: str | os.PathLike[str]) -> set[str]:
    """The ids in the log."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        return {name for (name,) in connection.execute("SELECT id FROM skill_invocation")}
    finally:
        connection.close()


def properties(path: str | os.PathLike[str]) -> dict[str, str]:
    """What the store says of itself."""
    connection = sqlite.connect(str(path), read_only=True)
    try:
        return dict(connection.execute("SELECT name, value FROM store_property").fetchall())
    finally:
        connection.close()


def restored_property(path: str | os.PathLike[str]) -> dict[str, object]:
    """What the store says of its last restore."""
    return json.loads(properties(path)["restored"])  # type: ignore[no-any-return]


def settings_of(path: str | os.PathLike[str], **more: object) -> Settings:
    """Settings for a store at a path."""
    return Settings(database=Path(path), durability="normal", **more)  # type: ignore[arg-type]


def record(store: MetricsStore, names: Iterable[str], skill: str = "s") -> None:
    """Record invocations under ids."""
    store.record_invocations(
        {
            "skill_name": skill,
            "invocation_id": name,
            "workflow_path": f"p {name}",
            # Which nothing is derived from.
            "attributes": {"kept": f"of {name}"},
        }
        for name in names
    )


def files_of(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, with its content; nobody has a store there open."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
