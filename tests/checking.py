"""Whether a store file is sound: what is looked at after every test, and in child processes too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from metrics_store import rows, sqlite
from metrics_store.families.declaration import COLUMNS
from metrics_store.families.skills import SKILLS
from metrics_store.pragmas import APPLICATION_ID
from metrics_store.rows import Row
from metrics_store.sqlite import Connection

ROW_COLUMNS = ", ".join(Row._fields)


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether a file bears our application id."""
    try:
        connection = sqlite.connect(str(path), read_only=True)
    except sqlite.Error:
        return False
    try:
        return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)
    except sqlite.Error:
        return False
    finally:
        connection.close()


def problems(path: str | os.PathLike[str]) -> list[str]:
    """Everything that is wrong with a store file, looked for on a copy in memory."""
    connection = sqlite.connect(str(path))
    copy = sqlite.binding.connect(":memory:", isolation_level=None)
    try:
        connection.backup(copy)
        return list(_problems(copy))
    except sqlite.Error as error:
        return [f"it cannot be read: {error}"]
    finally:
        copy.close()
        connection.close()


def _problems(db: Connection) -> Iterator[str]:
    for (verdict,) in db.execute("PRAGMA integrity_check"):
        if verdict != "ok":
            yield f"integrity_check: {verdict}"
    for violation in db.execute("PRAGMA foreign_key_check"):
        yield f"foreign_key_check: {violation}"
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    for table in ("rollup_deferred", "retention_permit"):
        if table in tables and (left := db.execute(f"SELECT * FROM {table}").fetchall()):
            yield f"{table} was left with {left}"
    if "skill_invocation" in tables:
        yield from _log_and_rollups(db)
        yield from _digests(db)
        yield from _in_both(db)
        yield from _search(db)


def _log_and_rollups(db: Connection) -> Iterator[str]:
    scopes = ", ".join(f"'{scope}'" for scope in SKILLS.scopes())
    kept = f"SELECT {', '.join(COLUMNS)} FROM rollup WHERE scope IN ({scopes})"
    due = f"SELECT * FROM ({SKILLS.recomputed()})"
    for row in db.execute(f"{kept} EXCEPT {due}").fetchall():
        yield f"the rollups have what the log has not: {row}"
    for row in db.execute(f"{due} EXCEPT {kept}").fetchall():
        yield f"the log has what the rollups have not: {row}"


def _digests(db: Connection) -> Iterator[str]:
    for seq, *row in db.execute(f"SELECT seq, {ROW_COLUMNS} FROM skill_invocation"):
        if rows.digest(row[:-1]) != row[-1]:
            yield f"row {seq} is not what its digest says: {str(row)[:500]}"


def _in_both(db: Connection) -> Iterator[str]:
    for (name,) in db.execute(
        "SELECT id FROM skill_inflight INTERSECT SELECT id FROM skill_invocation"
    ):
        yield f"{name} is in flight and in the log"


def _search(db: Connection) -> Iterator[str]:
    kept = "SELECT workflow_path, skill_name FROM workflow_path"
    due = (
        "SELECT DISTINCT workflow_path, skill_name FROM skill_invocation "
        "WHERE workflow_path IS NOT NULL"
    )
    for row in db.execute(f"{kept} EXCEPT {due}").fetchall():
        yield f"workflow_path has what the log has not: {row}"
    for row in db.execute(f"{due} EXCEPT {kept}").fetchall():
        yield f"the log has what workflow_path has not: {row}"
    try:
        # Rank 1 compares with the content table too; without it an emptied index passes.
        db.execute(
            "INSERT INTO workflow_path_fts (workflow_path_fts, rank) VALUES ('integrity-check', 1)"
        )
    except sqlite.Error as error:
        yield f"the full-text index does not agree with workflow_path: {error}"


def python_path() -> str:
    """A PYTHONPATH under which a child process finds this module and the package under test."""
    import metrics_store

    package = Path(metrics_store.__file__).parent.parent
    return os.pathsep.join([str(package), str(Path(__file__).parent)])


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(found))
    sys.exit(1 if found else 0)
