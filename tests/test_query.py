"""SQL of the host's own, which can only read."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.errors import InvalidQuery


def test_rows_are_dicts_by_column(store: MetricsStore) -> None:
    store.record_invocation("deploy", duration_seconds=1.5)
    assert store.query("SELECT skill_name, duration_seconds AS s FROM skill_invocation") == [
        {"skill_name": "deploy", "s": 1.5}
    ]
    assert store.query("SELECT ? + ?", (1, 2)) == [{"? + ?": 3}]
    assert store.query("SELECT :a AS a", {"a": b"\0"}) == [{"a": b"\0"}]
    assert store.query("SELECT 1 WHERE 0") == []
    assert store.query("WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
                       "WHERE i < 3) SELECT max(i) AS m FROM n") == [{"m": 3}]  # fmt: skip
    assert store.query("EXPLAIN QUERY PLAN SELECT 1")
    assert store.query("PRAGMA user_version")
    assert store.query("SELECT json_group_array(value) AS j FROM json_each('[1]')") is not None


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO store_property VALUES ('a', 'b')",
        "UPDATE skill_inflight SET origin = 'x'",
        "DELETE FROM rollup",
        "DROP TABLE rollup",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "ALTER TABLE rollup RENAME TO r",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "ATTACH 'other.db' AS other",
        "DETACH main",
        "PRAGMA user_version = 99",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA optimize",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM rollup",
        "INSERT INTO workflow_path_fts (workflow_path_fts) VALUES ('delete-all')",
        "SELECT no_such_function()",
        "SELECT * FROM nowhere",
        "SELEC 1",
        "SELECT ?",
        "SELECT 'half \ud800'",
        "SELECT 1\0; DELETE FROM rollup",
    ],
)
def test_what_does_not_read_is_refused_and_changes_nothing(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.chdir(tmp_path)
    store.record_invocation("deploy", workflow_path="p")
    before = store.query("SELECT * FROM rollup")
    with pytest.raises(InvalidQuery) as caught:
        store.query(sql)
    assert caught.value.hint
    assert store.query("SELECT * FROM rollup") == before
    assert {file.name for file in tmp_path.iterdir()} <= {"m.db", "m.db-wal", "m.db-shm"}
    store.record_invocation("deploy")
    assert store.get_summary().total_invocations == 2
    with pytest.raises(InvalidQuery):  # the refusal is still in force
        store.query("DELETE FROM rollup")


@pytest.mark.parametrize("params", [(object(),), (2**63,), ("\ud800",), (1, 2), {"a": 1}, ([],)])
def test_parameters_that_are_none_are_refused(store: MetricsStore, params: object) -> None:
    with pytest.raises(InvalidQuery):
        store.query("SELECT ?", params)  # type: ignore[arg-type]


def test_two_columns_of_one_name_are_not_one_lost(store: MetricsStore) -> None:
    try:
        (row,) = store.query("SELECT 1 AS a, 2 AS a")
    except InvalidQuery:
        return
    assert sorted(row.values()) == [1, 2]  # type: ignore[type-var]


def test_nothing_at_all_is_nothing(store: MetricsStore) -> None:
    for sql in ("", "  ", "-- only a comment"):
        with suppress(InvalidQuery):
            assert store.query(sql) == []


def test_every_thread_may_ask(store: MetricsStore) -> None:
    store.record_invocation("deploy")
    answers: list[object] = []
    threads = [
        threading.Thread(
            target=lambda: answers.extend(store.query("SELECT count(*) AS n FROM skill_invocation"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"n": 1}] * 8
