"""Executions of a DuckDB file or of lines of JSON are taken in whole, exactly, and once."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.errors import InvalidValue, MissingExtra, SourceError

Open = Callable[..., MetricsStore]

#: As the executions of others are kept today; what is to be read of it is asked by name.
TABLE = """
CREATE TABLE executions (
    task_id UUID PRIMARY KEY, timestamp TIMESTAMP NOT NULL, task_type VARCHAR NOT NULL,
    task_description TEXT, repo VARCHAR, file_count INTEGER, estimated_tokens INTEGER,
    model_tier VARCHAR, pool_type VARCHAR, swarm_topology VARCHAR, routing_confidence FLOAT,
    complexity_score INTEGER, success BOOLEAN, duration_seconds FLOAT, quality_score INTEGER,
    cost_estimate FLOAT, actual_cost DECIMAL(12, 6), error_type VARCHAR, error_message TEXT,
    user_accepted BOOLEAN, user_rating INTEGER, peak_memory_mb DOUBLE, cpu_time_seconds FLOAT,
    solution_summary TEXT, embedding FLOAT[384], metadata JSON
)
"""
ROW = (
    "INSERT INTO executions SELECT uuid(), TIMESTAMP '2026-03-01 10:00:00.123456' + INTERVAL (n) "
    "MINUTE, 'fix', 'task ' || n, 'repo-' || n % 3, n, 1000 + n, 'small', 'local', NULL, 0.85, "
    "n % 10, n % 4 > 0, 12.345, n % 101, 0.1, 0.05 + n / 1000000, NULL, NULL, n % 2 = 0, "
    "n % 5 + 1, 512.5, 1.1, 'pattern ' || n % 7, "
    "CASE WHEN n % 100 = 0 THEN [x / 384 FOR x IN range(384)]::FLOAT[384] END, "
    "json_object('n', n) FROM range({count}) AS numbers (n)"
)


@pytest.fixture
def learning(tmp_path: Path) -> Callable[..., Path]:
    """Make a DuckDB file by some statements."""
    duckdb = pytest.importorskip("duckdb", reason="the package duckdb is not installed")

    def made(*statements: str) -> Path:
        path = tmp_path / "learning.duckdb"
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        return path

    return made


def test_a_duckdb_file_is_taken_in_whole_and_once(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(TABLE, ROW.format(count=2500))
    before, seen = path.read_bytes(), []
    done = store.import_executions(path, progress=seen.append)
    assert (done.read, done.inserted, done.known, done.retired, done.refused) == (
        2500, 2500, 0, 0, 0,
    )  # fmt: skip
    assert seen == [1000, 2000, 2500]
    again = store.import_executions(path)
    assert (again.read, again.inserted, again.known, again.refused) == (2500, 0, 2500, 0)
    assert path.read_bytes() == before
    [one] = store.query("SELECT task_id FROM executions WHERE task_description = 'task 100'")
    found = store.get_execution(str(one["task_id"]))
    assert found is not None
    assert found.timestamp == "2026-03-01T11:40:00.123456Z"
    assert (found.cost_estimate, found.actual_cost) == (Decimal("0.1"), Decimal("0.0501"))
    assert (found.duration_seconds, found.routing_confidence) == (12.345, 0.85)
    assert (found.success, found.user_accepted, found.quality_score) == (False, True, 100.0)
    assert found.metadata == {"n": 100}
    exact = struct.unpack("384f", struct.pack("384f", *(n / 384 for n in range(384))))
    assert store.get_embedding(found.task_id) == pytest.approx(exact, abs=1e-7)
    total = store.query("SELECT sum(actual_cost_nano) AS cost FROM executions")[0]["cost"]
    assert total == sum(50_000_000 + n * 1000 for n in range(2500))


def test_a_table_with_gaps_and_a_view_of_one_are_taken_in_too(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(
        TABLE,
        ROW.format(count=9000),
        "DELETE FROM executions WHERE file_count % 9 <> 0 OR file_count < 5000",
    )
    assert store.import_executions(path).inserted == 444
    learning("ALTER TABLE executions RENAME TO old", "CREATE VIEW executions AS SELECT * FROM old")
    assert store.import_executions(path).known == 444
    learning("DELETE FROM old")
    assert store.import_executions(path).read == 0


def test_what_was_interrupted_goes_on_and_what_grew_is_added(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(TABLE, ROW.format(count=2500))

    def stop(read: int) -> None:
        if read == 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.import_executions(path, progress=stop)
    done = store.import_executions(path)
    assert (done.inserted, done.known) == (500, 2000)
    learning(ROW.format(count=10))
    assert store.import_executions(path).inserted == 10


def test_each_row_that_cannot_be_taken_is_named_and_the_rest_is_taken(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(
        "CREATE TABLE executions (task_id VARCHAR, timestamp TIMESTAMP, success BOOLEAN, "
        "quality_score DOUBLE, embedding FLOAT[])",
        "INSERT INTO executions VALUES "
        "('good', '2026-03-01', true, 50, NULL), ('never', NULL, true, 50, NULL), "
        "('undecided', '2026-03-01', NULL, 50, NULL), ('too good', '2026-03-01', true, 101, NULL), "
        "('nan', '2026-03-01', true, 'nan', NULL), ('short', '2026-03-01', true, 1, [1.0, 2.0]), "
        "('good', '2026-03-02', true, 50, NULL), ('good', '2026-03-01', true, 50, NULL), "
        "('', '2026-03-01', true, 50, NULL), ('ever', 'infinity', true, 50, NULL), "
        "('late', '12026-03-01', true, 50, NULL)",
    )
    done = store.import_executions(path)
    assert (done.read, done.inserted, done.known, done.refused) == (11, 1, 1, 9)
    assert {(r.place, r.reason.split()[0]) for r in done.refusals} == {
        ("row 2 (never)", "timestamp"),
        ("row 3 (undecided)", "success"),
        ("row 4 (too good)", "quality_score"),
        ("row 5 (nan)", "quality_score"),
        ("row 6 (short)", "embedding"),
        ("row 7 (good)", "another"),
        ("row 9 ()", "task_id"),
        ("row 10 (ever)", "timestamp:"),
        ("row 11 (late)", "timestamp:"),
    }


def test_missing_columns_are_unknown_and_others_go_into_the_metadata(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(
        'CREATE TABLE executions (task_id BIGINT, "Timestamp" TIMESTAMPTZ, success INTEGER, '
        'branch VARCHAR, "odd ""name" DECIMAL(4, 2), seen DATE, tags VARCHAR[], metadata JSON, '
        "bytes BLOB, nothing VARCHAR)",
        "SET TimeZone = 'UTC'",
        "INSERT INTO executions VALUES (7, '2026-03-01 12:00:00+02', 1, 'main', 1.25, "
        "'2026-03-01', ['a', 'b'], '{\"branch\": \"theirs\"}', 'ab', NULL), "
        "(8, '2026-03-01 12:00:00+02', 0, NULL, NULL, NULL, NULL, '[1, 2]', NULL, NULL)",
    )
    assert store.import_executions(path).inserted == 2
    found = store.get_execution("7")
    assert found is not None
    assert (found.timestamp, found.success) == ("2026-03-01T10:00:00.000000Z", True)
    assert found.metadata == {
        "branch": "theirs",
        "branch (column)": "main",
        'odd "name': "1.25",
        "seen": "2026-03-01",
        "tags": ["a", "b"],
        "bytes": "6162",
    }
    other = store.get_execution("8")
    assert other is not None
    assert (other.metadata, other.repo) == ({"metadata": [1, 2]}, None)


def test_times_without_an_offset_are_those_of_the_zone(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(
        "CREATE TABLE executions (task_id VARCHAR, timestamp TIMESTAMP_NS, success BOOLEAN)",
        "INSERT INTO executions VALUES ('summer', '2026-07-01 12:00:00', true), "
        "('winter', '2026-01-01 12:00:00', true)",
    )
    store.import_executions(path, zone="Europe/Berlin")
    assert [one.timestamp[:13] for one in store.list_executions()] == [
        "2026-07-01T10",
        "2026-01-01T11",
    ]
    with pytest.raises(InvalidValue, match="Mars"):
        store.import_executions(path, zone="Mars/Olympus")


def test_the_metadata_table_comes_too_but_never_over_what_is_newer(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    store.set_metadata("mine", "kept")
    path = learning(
        TABLE,
        "CREATE TABLE metadata (key VARCHAR, value VARCHAR, updated_at TIMESTAMP)",
        "INSERT INTO metadata VALUES ('schema', '3', '2026-03-01'), ('mine', 'old', '2026-03-01')",
    )
    assert store.import_executions(path).metadata == 1
    assert store.import_executions(path).metadata == 0
    assert (store.get_metadata("schema"), store.get_metadata("mine")) == ("3", "kept")


def test_what_retention_deleted_is_not_brought_back(
    store: MetricsStore, learning: Callable[..., Path]
) -> None:
    path = learning(TABLE, ROW.format(count=20))
    store.import_executions(path)
    store.retain({"execution": "1 days"}, trust_clock=True)
    done = store.import_executions(path)
    left = len(store.list_executions())
    assert left <= 1  # the newest row of a log stays
    assert (done.read, done.inserted, done.known, done.retired) == (20, 0, left, 20 - left)
    assert store.database_status().executions.total == 20


def test_a_view_that_reads_other_files_reads_nothing(
    store: MetricsStore, learning: Callable[..., Path], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("task_id,timestamp,success\nx,2026-03-01,true\n")
    path = learning(f"CREATE VIEW executions AS SELECT * FROM read_csv('{secret}')")
    with pytest.raises(SourceError):
        store.import_executions(path)


def test_files_that_are_none_are_refused_in_words(
    store: MetricsStore, learning: Callable[..., Path], tmp_path: Path
) -> None:
    empty = learning("CREATE TABLE other (a INTEGER)")
    with pytest.raises(SourceError, match="no table executions"):
        store.import_executions(empty)
    torn = tmp_path / "torn.duckdb"
    torn.write_bytes(empty.read_bytes()[:5000])
    for path in (torn, tmp_path, tmp_path / "nowhere.jsonl"):
        with pytest.raises(SourceError):
            store.import_executions(path)


def test_without_the_package_the_extra_is_named(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "learning.duckdb"
    path.write_bytes(b"\0" * 8 + b"DUCK" + b"\0" * 100)
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(MissingExtra) as missing:
        store.import_executions(path)
    assert missing.value.hint == "pip install 'metrics-store[duckdb]'"


def _lines(path: Path, *values: object) -> Path:
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
    return path


def test_lines_of_json_are_taken_in_once_with_and_without_ids(
    store: MetricsStore, tmp_path: Path
) -> None:
    unnamed = {"timestamp": "2026-03-01T10:00:00", "success": True, "actual_cost": 0.1, "x": 1}
    named = {"task_id": "t1", **unnamed, "embedding": [0.5] * 384, "metadata": {"a": None}}
    path = _lines(tmp_path / "e.jsonl", unnamed, unnamed, named, {**unnamed, "success": 0})
    with path.open("a") as file:
        file.write('\n[1]\n{"task_id": "torn", "succ')
    for known in (0, 4):
        done = store.import_executions(path)
        assert (done.read, done.inserted, done.known, done.refused) == (6, 4 - known, known, 2)
        assert [refused.place for refused in done.refusals] == ["line 6", "line 7"]
    found = store.get_execution("t1")
    assert found is not None
    assert (found.metadata, found.has_embedding) == ({"a": None, "x": 1}, True)
    assert found.actual_cost == Decimal("0.1")
    assert sum(one.success for one in store.list_executions()) == 3


def test_a_file_of_another_order_and_one_more_row_adds_that_row(
    store: MetricsStore, tmp_path: Path
) -> None:
    rows = [{"timestamp": f"2026-03-0{n}T10:00:00Z", "success": True} for n in (1, 1, 2, 3)]
    assert store.import_executions(_lines(tmp_path / "a.jsonl", *rows)).inserted == 4
    turned = [dict(reversed(row.items())) for row in reversed(rows)]
    done = store.import_executions(_lines(tmp_path / "b.jsonl", *turned, rows[0]))
    assert (done.inserted, done.known) == (1, 4)


def test_what_was_recorded_alive_is_known_to_an_import(store: MetricsStore, tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    store.record_execution("t1", success=True, timestamp=at, actual_cost="0.25", repo="api")
    said = {"task_id": "t1", "success": True, "timestamp": at.isoformat(), "repo": "api"}
    path = _lines(tmp_path / "a.jsonl", {**said, "actual_cost": 0.25})
    assert store.import_executions(path).known == 1


def test_a_store_that_is_read_only_takes_nothing(
    store: MetricsStore, open_store: Open, tmp_path: Path
) -> None:
    store.record_execution("t1", success=True)
    store.close()
    reader = open_store(read_only=True)
    with pytest.raises(Exception, match="reading only"):
        reader.import_executions(_lines(tmp_path / "a.jsonl"))
