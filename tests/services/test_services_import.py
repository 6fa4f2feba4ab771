"""Taking in what users have: their tables, CSV, JSONL; twice the same adds nothing."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, clock, sqlite
from metrics_store.errors import InvalidQuery, SourceError
from metrics_store.services.results import ServicesImported

Open = Callable[..., MetricsStore]
#: Service, status, task, moment, created.
Row = tuple[str, str, str | None, str, str | None]
ROWS: list[Row] = [
    ("watcher", "running", "a.py", "2026-03-01T12:00:00", "2026-03-01 11:00:00"),
    ("watcher", "running", "a.py", "2026-03-01T12:00:00", "2026-03-01 11:00:00"),
    ("watcher", "error", None, "2026-03-01T12:01:00.000001", None),
    ("indexer", "running", "", "2026-03-01T12:00:30+01:00", None),
]


def tables(path: Path, rows: Sequence[Row], current: Sequence[Row] = ()) -> Path:
    """A file as its users have it."""
    db = sqlite.connect(str(path))
    db.execute(
        "CREATE TABLE system_status (service_name TEXT PRIMARY KEY, status TEXT, "
        "current_task TEXT, last_heartbeat TIMESTAMP, updated_at TIMESTAMP)"
    )
    db.execute(
        "CREATE TABLE system_status_history (id INTEGER PRIMARY KEY, service_name TEXT, "
        "status TEXT, current_task TEXT, heartbeat_timestamp TIMESTAMP, created_at TIMESTAMP)"
    )
    db.executemany("INSERT INTO system_status VALUES (?, ?, ?, ?, ?)", current)
    db.executemany(
        "INSERT INTO system_status_history "
        "(service_name, status, current_task, heartbeat_timestamp, created_at) "
        "VALUES (?, ?, ?, ?, ?)",
        rows,
    )
    db.close()
    return path


def as_csv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["service_name", "status", "current_task", "heartbeat_timestamp"])
        writer.writerows(row[:4] for row in rows)
    return path


def as_lines(path: Path, rows: Sequence[Row]) -> Path:
    names = ("service_name", "status", "current_task", "heartbeat_timestamp", "created_at")
    path.write_text("".join(json.dumps(dict(zip(names, r, strict=True))) + "\n" for r in rows))
    return path


def numbers(done: ServicesImported) -> tuple[int, ...]:
    assert done.read == done.inserted + done.already_there + done.retired + done.refused
    return done.read, done.inserted, done.already_there, done.refused


def kept(store: MetricsStore) -> Counter[tuple[object, ...]]:
    return Counter(
        tuple(row.values())
        for row in store.query(
            "SELECT service_name, status, current_task, heartbeat_timestamp "
            "FROM system_status_history"
        )
    )


def test_tables_are_taken_in_once_and_their_current_rows_are_part_of_the_history(
    store: MetricsStore, tmp_path: Path
) -> None:
    current: list[Row] = [
        ("watcher", "error", None, "2026-03-01T12:01:00.000001", "2026-03-01T12:01:01"),
        ("gone", "offline", None, "2026-03-01T10:00:00", "2026-03-01T10:00:00"),
    ]
    file = tables(tmp_path / "monitor.sqlite", ROWS, current)
    before = file.read_bytes()
    done = store.import_services(file, zone="Europe/Berlin")
    assert numbers(done) == (6, 5, 1, 0)
    assert done.services == ("gone", "indexer", "watcher")
    assert file.read_bytes() == before
    assert not list(tmp_path.glob("monitor.sqlite-*"))
    assert kept(store) == {
        ("watcher", "running", "a.py", "2026-03-01T11:00:00.000000Z"): 2,
        ("watcher", "error", None, "2026-03-01T11:01:00.000001Z"): 1,
        ("indexer", "running", None, "2026-03-01T11:00:30.000000Z"): 1,
        ("gone", "offline", None, "2026-03-01T09:00:00.000000Z"): 1,
    }
    assert numbers(store.import_services(file, zone="Europe/Berlin")) == (6, 0, 6, 0)
    (row,) = store.query(
        "SELECT DISTINCT created_at FROM system_status_history WHERE current_task = 'a.py'"
    )
    assert row["created_at"] == "2026-03-01T10:00:00.000000Z"


def test_the_same_history_in_another_form_adds_nothing(store: MetricsStore, tmp_path: Path) -> None:
    store.import_services(tables(tmp_path / "monitor.sqlite", ROWS), zone="UTC")
    lines = as_lines(tmp_path / "history.jsonl", ROWS)
    assert numbers(store.import_services(lines, zone="UTC")) == (4, 0, 4, 0)
    packed = tmp_path / "history.csv.gz"
    packed.write_bytes(gzip.compress(as_csv(tmp_path / "history.csv", ROWS).read_bytes()))
    done = store.import_services(packed, zone="UTC")
    assert numbers(done) == (4, 0, 4, 0)


def test_a_dry_run_says_the_same_and_keeps_nothing(store: MetricsStore, tmp_path: Path) -> None:
    file = as_csv(tmp_path / "history", ROWS)
    tried = store.import_services(file, zone="UTC", dry_run=True)
    assert kept(store) == {}
    assert store.import_services(file, zone="UTC") == tried


def test_what_cannot_be_a_heartbeat_is_refused_with_its_reason(
    store: MetricsStore, tmp_path: Path
) -> None:
    file = tmp_path / "history.jsonl"
    good = {"service": "a", "status": "ok", "ts": 1_772_000_000}
    wrong = [
        {**good, "status": None},
        {**good, "service": ""},
        {**good, "ts": "yesterday"},
        {**good, "ts": None},
        {**good, "ts": 1_972_000_000},
        {**good, "latency_ms": "slow"},
        {**good, "latency": -1},
        {**good, "latency": 10**400},
        [1],
    ]
    more = [{**good, "ts": 1_772_000_001_500, "latency_ms": 250}, {**good, "ts": "1772000002.25"}]
    text = "\n".join(json.dumps(line) for line in [good, *wrong, *more])
    file.write_text(text + '\n\n{"service": "a", "sta')
    done = store.import_services(file)
    assert numbers(done) == (13, 3, 0, 10)
    assert done.reasons[0] == "row 2: status is NoneType, not text"
    assert len(done.reasons) == 5
    assert [beat.heartbeat_timestamp for beat in store.service_history("a", "1 year")] == [
        "2026-02-25T06:13:22.250000Z",
        "2026-02-25T06:13:21.500000Z",
        "2026-02-25T06:13:20.000000Z",
    ]
    assert store.service_history("a", "1 year")[1].latency_seconds == 0.25


def test_a_file_that_cannot_be_read_is_an_error_and_never_empty(
    store: MetricsStore, tmp_path: Path
) -> None:
    other = tmp_path / "other.sqlite"
    db = sqlite.connect(str(other))
    db.execute("CREATE TABLE t (x)")
    db.close()
    columns = tmp_path / "columns.csv"
    columns.write_text("a,b\n1,2\n")
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress(b'{"service": "a"}\n' * 1000)[:-20])
    damaged = tmp_path / "damaged.db.sqlite"
    damaged.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    for file in (other, columns, torn, damaged, tmp_path / "nowhere.csv", tmp_path, store.path):
        with pytest.raises(SourceError):
            store.import_services(file)
    with pytest.raises(InvalidQuery):
        store.import_services(columns, zone="Europe/Nowhere")
    assert kept(store) == {}


def test_half_a_character_costs_its_row_alone(store: MetricsStore, tmp_path: Path) -> None:
    file = tables(tmp_path / "m.sqlite", ROWS[:1])
    db = sqlite.connect(str(file))
    db.execute("UPDATE system_status_history SET current_task = CAST(x'ff41' AS TEXT)")
    db.close()
    assert numbers(store.import_services(file, zone="UTC")) == (1, 0, 0, 1)


def test_another_process_that_writes_the_file_is_not_disturbed(
    store: MetricsStore, tmp_path: Path
) -> None:
    file = tables(tmp_path / "m.sqlite", ROWS[:1])
    theirs = sqlite.connect(str(file))
    theirs.execute("PRAGMA journal_mode = WAL")
    theirs.execute("INSERT INTO system_status_history SELECT 2, 'w', 'ok', '', '2026-03-01', ''")
    theirs.execute("BEGIN IMMEDIATE")
    done = store.import_services(file, zone="UTC")
    assert numbers(done) == (2, 1, 0, 1)  # an empty text is no moment of recording
    theirs.execute("COMMIT")
    theirs.close()


def test_what_retention_has_deleted_does_not_come_back(
    store: MetricsStore, tmp_path: Path, clock: SettableClock
) -> None:
    rows: list[Row] = [("a", "ok", None, f"2026-03-0{day}T00:00:00Z", None) for day in range(1, 10)]
    file = as_lines(tmp_path / "h.jsonl", rows)
    store.import_services(file)
    before = store.uptime("a", "30 days")
    store.retain({"service": "5 days"}, trust_clock=True)
    done = store.import_services(file)
    assert (done.inserted, done.already_there, done.retired) == (0, 4, 5)
    assert store.uptime("a", "30 days") == before


def test_the_settings_in_force_judge_what_is_taken_in(store: MetricsStore, tmp_path: Path) -> None:
    store.set_service("a", every="1 hour", bad_statuses=["odd"])
    file = as_lines(
        tmp_path / "h.jsonl",
        [
            ("a", "Odd", None, "2026-03-01T00:00:00Z", None),
            ("a", "error", None, "2026-03-01T02:00:00Z", None),
        ],
    )
    store.import_services(file)
    up = store.uptime("a", "1 day", until="2026-03-01T03:00:00Z")
    assert up is not None
    assert (up.down_seconds, up.up_seconds) == (7200.0, 3600.0)


lines = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["ok", "error"]), st.sampled_from([None, "t"]),
              st.integers(0, 3)),
    max_size=12,
)  # fmt: skip


@given(lines, lines, lines)
def test_the_store_has_of_each_heartbeat_the_most_that_one_side_had(
    open_store: Open, tmp_path: Path, live: list[tuple[str, str, str | None, int]],
    one: list[tuple[str, str, str | None, int]], two: list[tuple[str, str, str | None, int]],
) -> None:  # fmt: skip
    store = open_store("multiset.db")
    store.database.write(lambda db: None)

    def moment(at: int) -> str:
        return f"2026-03-01T00:00:0{at}.000000Z"

    there = kept(store)
    for service, status, task, at in live:
        store.heartbeat(service, status, task, moment(at))
        there[service, status, task, moment(at)] += 1
    for rows in (one, two, one):
        file = as_lines(tmp_path / "h.jsonl", [(*row[:3], moment(row[3]), None) for row in rows])
        there |= Counter((*row[:3], moment(row[3])) for row in rows)
        done = store.import_services(file)
        assert done.read == len(rows) == done.inserted + done.already_there
        assert kept(store) == there
    store.close()


def test_an_hour_that_comes_twice_is_told_apart_by_the_order(
    store: MetricsStore, tmp_path: Path
) -> None:
    texts = [f"2025-10-26T02:{minute:02d}:00" for minute in (0, 30, 0, 30)]
    file = as_csv(tmp_path / "h.csv", [("a", "ok", None, text, None) for text in texts])
    store.import_services(file, zone="Europe/Berlin")
    found = [clock.parse(b.heartbeat_timestamp) for b in store.service_history("a", "1 year")]
    assert {second - first for first, second in zip(found[1:], found, strict=False)} == {
        1800 * 10**6
    }
