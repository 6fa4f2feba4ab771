"""Whether a store file is sound: what is looked at after every test, and in child processes too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from metrics_store import families, rows, sqlite
from metrics_store.families import Family
from metrics_store.families.declaration import COLUMNS
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
    for family in families.FAMILIES:
        if family.table in tables and _is_used(db, family):
            yield from _log_and_rollups(db, family, retired="rollup_retired" in tables)
            yield from _digests(db, family)
            yield from _derived(db, family)
    if "skill_invocation" in tables:
        yield from _in_both(db)
        yield from _search(db, retired="rollup_retired" in tables)


def _differences(db: Connection, kept: tuple[str, str], due: tuple[str, str]) -> Iterator[str]:
    """What one of two queries has and the other has not, as their texts say it."""
    rows_of = {sql: set(db.execute(sql)) for sql, _ in (kept, due)}
    for (sql, wrong), (other, _) in ((kept, due), (due, kept)):
        yield from (f"{wrong}: {row}" for row in rows_of[sql] - rows_of[other])


def _is_used(db: Connection, family: Family) -> bool:
    scopes = ", ".join(f"'{scope}'" for scope in family.scopes())
    tables = [family.table, *(table.table for table in family.derived)]
    asked = [f"EXISTS (SELECT 1 FROM {table})" for table in tables]
    asked.append(f"EXISTS (SELECT 1 FROM rollup WHERE scope IN ({scopes}))")
    return bool(db.execute(f"SELECT {' OR '.join(asked)}").fetchone()[0])


def _log_and_rollups(db: Connection, family: Family, *, retired: bool) -> Iterator[str]:
    scopes = ", ".join(f"'{scope}'" for scope in family.scopes())
    names = ", ".join(COLUMNS)
    kept = f"SELECT {names} FROM rollup WHERE scope IN ({scopes})"
    due = f"SELECT * FROM ({family.recomputed()})"
    if retired and db.execute("SELECT 1 FROM rollup_retired LIMIT 1").fetchone():
        due = (
            "SELECT scope, period, subject, kind, label, sum(n), sum(completed), sum(failed), "
            "sum(measured), sum(total), min(minimum), max(maximum), min(first_at), max(last_at) "
            f"FROM (SELECT {names} FROM rollup_retired WHERE scope IN ({scopes}) "
            f"UNION ALL {due}) GROUP BY 1, 2, 3, 4, 5"
        )
    yield from _differences(
        db,
        (kept, "the rollups have what the log has not"),
        (due, "the log has what the rollups have not"),
    )


def _digests(db: Connection, family: Family) -> Iterator[str]:
    columns = ", ".join(family.columns)
    for seq, *row, digest in db.execute(f"SELECT seq, {columns}, digest FROM {family.table}"):
        if rows.digest(row) != digest:
            yield f"row {seq} of {family.table} is not what its digest says: {str(row)[:500]}"


def _derived(db: Connection, family: Family) -> Iterator[str]:
    for table in family.derived:
        wrong = f"{table.table} is not what the log comes to"
        yield from _differences(db, (table.kept, wrong), (table.due, wrong))


def _in_both(db: Connection) -> Iterator[str]:
    for (name,) in db.execute(
        "SELECT id FROM skill_inflight INTERSECT SELECT id FROM skill_invocation"
    ):
        yield f"{name} is in flight and in the log"


def _search(db: Connection, *, retired: bool) -> Iterator[str]:
    kept = "SELECT workflow_path, skill_name FROM workflow_path"
    due = (
        "SELECT DISTINCT workflow_path, skill_name FROM skill_invocation "
        "WHERE workflow_path IS NOT NULL"
    )
    if retired:
        due += (
            " UNION SELECT label, subject FROM rollup_retired "
            "WHERE scope = 'skill' AND period = '' AND kind = 'path'"
        )
    yield from _differences(
        db,
        (kept, "workflow_path has what the log has not"),
        (due, "the log has what workflow_path has not"),
    )
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
