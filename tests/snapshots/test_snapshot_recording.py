"""Recording, at most one per interval; and every number of the family against a model."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock
from statuses import LONG, SHORT

from metrics_store import MetricsStore, clock, schema, sqlite
from metrics_store.errors import InvalidQuery, SnapshotNotFound
from metrics_store.families import FAMILIES
from metrics_store.families.declaration import COLUMNS
from metrics_store.families.snapshots import COUNTS, REALS, SNAPSHOTS
from metrics_store.snapshots.results import TrendPoint

Open = Callable[..., MetricsStore]


def test_the_migration_has_the_declaration_to_the_letter() -> None:
    text = (schema.migrations_directory() / "0008_snapshots.sql").read_text()
    assert SNAPSHOTS.triggers() in text
    assert SNAPSHOTS.guards() in text
    assert SNAPSHOTS in FAMILIES


def test_there_is_at_most_one_per_interval_and_it_says_which(
    store: MetricsStore, clock: SettableClock
) -> None:
    first = store.record_snapshot(SHORT, "2026-03-10T12:00:00Z", "5 min")
    assert first.recorded
    clock.advance(299.5)
    skipped = store.record_snapshot({"files_total": 1}, min_interval="5 min")
    assert skipped.as_dict() == {
        "recorded": False,
        "id": None,
        "recorded_at": "2026-03-10T12:04:59.500000Z",
        "because_of": first.id,
        "because_of_at": "2026-03-10T12:00:00.000000Z",
        "seconds_away": 299.5,
    }
    clock.advance(0.5)
    assert store.record_snapshot({"files_total": 2}, min_interval=300).recorded
    # One that comes late is held against those after it, too.
    late = store.record_snapshot({"files_total": 3}, "2026-03-10T12:02:00Z", min_interval=121)
    assert (late.because_of, late.seconds_away) == (first.id, 120.0)
    assert store.record_snapshot({"files_total": 3}, "2026-03-10T12:02:00Z", 120).recorded
    assert store.record_snapshot({"files_total": 4}).recorded
    assert [s.files_total for s in store.snapshots()] == [12822, 3, 2, 4]
    with pytest.raises(InvalidQuery):
        store.record_snapshot(SHORT, min_interval="often")


_TWO = """
import json, sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1], durability="normal")
print("ready", flush=True)
sys.stdin.readline()
done = [
    store.record_snapshot({"files_total": n}, f"2026-03-10T12:{n:02d}:00Z", "90 s")
    for n in range(40)
]
print(json.dumps([[one.recorded, one.id, one.because_of] for one in done]))
"""


def test_of_two_processes_only_one_records_within_an_interval(
    store: MetricsStore, pair: Callable[[str, str], list[str]]
) -> None:
    said = [json.loads(out) for out in pair(_TWO, store.path)]
    ids = [one.id for one in store.snapshots()]
    assert sorted(name for out in said for recorded, name, _ in out if recorded) == sorted(ids)
    assert {why for out in said for recorded, _, why in out if not recorded} <= set(ids)
    moments = [clock.parse(one.recorded_at) for one in store.snapshots()]
    assert all(later - one >= 90e6 for one, later in pairwise(moments))
    assert len(moments) >= 14


_MOMENTS = ("2026-03-08T23:59:59.999999Z", "2026-03-09T00:00:00Z", "2026-03-09T01:30:00Z",
            "2026-03-09T01:59:59Z", "2026-03-10T11:00:00Z")  # fmt: skip
_counts = st.integers(0, 10**12) | st.integers(0, 50)
_reals = st.integers(0, 10**9) | st.floats(0, 200)
_projects = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b'", "ü"])},
        optional={"chunk_count": _counts, "file_count": _counts},
    ),
    max_size=3,
)
_statuses = st.lists(
    st.tuples(
        st.sampled_from(_MOMENTS),
        st.fixed_dictionaries(
            {"x": st.none()},
            optional={
                "files_total": _counts,
                "chunks_total": _counts,
                "db_size_mb": _reals,
                "vec_pct": _reals,
                "files_indexed_percent": _reals,
                "projects": _projects,
            },
        ).filter(lambda said: len(said) > 1),
    ),
    max_size=14,
)


@pytest.fixture
def two_stores(open_store: Open) -> tuple[MetricsStore, MetricsStore]:
    """Two stores for all examples: opening one takes longer than an example."""
    return open_store("one.db"), open_store("batch.db")


@settings(max_examples=30)
@given(_statuses, st.randoms(use_true_random=False))
def test_one_by_one_imported_and_recomputed_agree_with_a_model_in_any_order(
    two_stores: tuple[MetricsStore, MetricsStore], tmp_path: Path,
    statuses: list[tuple[str, dict[str, object]]], shuffled: random.Random,
) -> None:  # fmt: skip
    one_by_one, at_once = two_stores
    for store in two_stores:
        store.database.write(_empty)
    for at, said in statuses:
        one_by_one.record_snapshot(said, at)
    shuffled.shuffle(statuses)
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps({"ts": at, **said}) + "\n" for at, said in statuses))
    at_once.import_snapshots(lines)
    assert _rollups(one_by_one) == _rollups(at_once)
    recomputed = f"SELECT * FROM ({SNAPSHOTS.recomputed()}) ORDER BY 1, 2, 3, 4, 5"
    due = [tuple(row.values()) for row in one_by_one.query(recomputed)]
    assert due == [tuple(row.values()) for row in _rollups(one_by_one)]
    for field, short in (("files_total", 1), ("db_size_mb", 1000), ("chunk_count", 0)):
        _hold_against_model(one_by_one, statuses, field, short)
    _hold_against_model(one_by_one, statuses, "vectorization_progress_percent", 1000, "vec_pct")


def _hold_against_model(
    store: MetricsStore, statuses: list[tuple[str, dict[str, object]]], field: str, scale: int,
    key: str = "",
) -> None:  # fmt: skip
    """Days and hours of a number, and of a project's if there is no scale."""
    project = None if scale else "a"
    for per, width in (("day", 10), ("hour", 13)):
        buckets: dict[str, list[int]] = {}
        for at, said in statuses:
            values = [said.get(key or field)] if scale else [
                p.get(field) for p in said.get("projects", []) if p["name"] == "a"  # type: ignore[attr-defined]
            ]  # fmt: skip
            for value in values:
                if value is not None:
                    in_thousandths = value if scale != 1000 else _thousandths(value)
                    buckets.setdefault(at[:width], []).append(in_thousandths)  # type: ignore[arg-type]
        trend = store.snapshot_trend(field, per, "3 days", project=project)  # type: ignore[arg-type]
        assert len(trend.points) == {"day": 4, "hour": 73}[per]
        for point in trend.points:
            due = buckets.get(point.bucket, [])
            assert _numbers(point) == _due(due, scale or 1), (field, point)


def _thousandths(value: float) -> int:
    """As SQLite rounds: halves away from nothing."""
    [(found,)] = _memory.execute("SELECT CAST(round(? * 1000) AS INTEGER)", (float(value),))
    return int(found)


_memory = sqlite.binding.connect(":memory:")


def _numbers(point: TrendPoint) -> tuple[object, ...]:
    return (point.snapshots, point.minimum, point.average, point.maximum)


def _due(values: list[int], scale: int) -> tuple[object, ...]:
    if not values:
        return (0, None, None, None)
    average = sum(values) / len(values)
    if scale == 1:
        return (len(values), min(values), average, max(values))
    return (len(values), min(values) / scale, average / scale, max(values) / scale)


def _rollups(store: MetricsStore) -> list[dict[str, object]]:
    names = ", ".join(COLUMNS)
    return store.query(
        f"SELECT {names} FROM rollup WHERE scope = 'snapshot' ORDER BY 1, 2, 3, 4, 5"
    )


def _empty(connection: sqlite.Connection) -> None:
    connection.execute("INSERT INTO retention_permit VALUES ('snapshot', 1 << 60)")
    for table in ("status_snapshots", "rollup", "retention_permit"):
        connection.execute(f"DELETE FROM {table}")


def test_sums_of_the_largest_numbers_are_exact(store: MetricsStore, tmp_path: Path) -> None:
    most = {**dict.fromkeys(COUNTS, 10**12), **dict.fromkeys(REALS, 1e9)}
    lines = tmp_path / "most.jsonl"
    lines.write_text(json.dumps({"ts": 0, **most}) + "\n" + json.dumps({"ts": 1, **most}) + "\n")
    store.import_snapshots(lines)
    kinds = {row["kind"]: row["total"] for row in store.query("SELECT * FROM rollup")}
    assert {kinds[name] for name in (*COUNTS, *REALS)} == {2 * 10**12}


def test_a_moment_gives_the_nearest_snapshot_and_how_far_away_it_is(store: MetricsStore) -> None:
    assert store.snapshot() is None
    for hour in (1, 2, 4):
        store.record_snapshot({"files_total": hour}, f"2026-03-10T0{hour}:00:00Z")
    for which, total, away in (
        ("2026-03-10T01:20:00Z", 1, -1200.0),
        ("2026-03-10T03:00:00+01:00", 2, 0.0),
        ("2026-03-10T03:10:00Z", 4, 3000.0),
        ("1999-01-01T00:00:00Z", 1, 857955600.0),
        (clock.to_datetime(clock.parse("2027-01-01T00:00:00Z")), 4, -25646400.0),
        ("latest", 4, None),
        ("2", 2, None),
        (3, 4, None),
    ):
        found = store.snapshot(which)
        assert found is not None
        assert (found.snapshot.files_total, found.seconds_away) == (total, away), which
        assert store.snapshot(found.snapshot.id) == store.snapshot(found.snapshot.seq)
    for nothing in ("4", "2026-03-10T03:00:00", "\ud800", "", -1, 1 << 70, "9" * 30):
        assert store.snapshot(nothing) is None


def test_a_diff_has_each_change_and_marks_the_drops(store: MetricsStore) -> None:
    store.record_snapshot(LONG, "2026-03-10T01:00:00Z")
    later = json.loads(json.dumps(LONG))
    later["files"].update(total=190, indexed=60)
    later["workers"]["indexing"].update(pid=9, op="idle", current_file=None)
    later["workers"]["vectorization"] = {"pid": 4}
    later["projects"] = [
        {"name": "new", "file_count": 1},
        {"name": "docs", "file_count": 150, "chunk_count": 59},
        {"name": "docs", "file_count": 7},
    ]
    store.record_snapshot(later, "2026-03-10T02:00:00Z")
    found = store.snapshot_diff("2026-03-10T00:50:00Z")
    assert (found.seconds, found.before.seconds_away, found.after.seconds_away) == (3600, 600, None)
    by_name = {change.field: change for change in found.changes}
    assert len(by_name) == 20
    total = by_name["files_total"]
    assert (total.before, total.after, total.change, total.dropped) == (200, 190, -10, True)
    assert (by_name["files_indexed"].change, by_name["files_indexed"].dropped) == (10, False)
    assert by_name["files_indexed_percent"].change == 0
    file = by_name["indexing_current_file"]
    assert (file.before, file.after, file.change, file.is_change) == ("a/b.py", None, None, True)
    # A pid is a name: a smaller one is no drop; and one that is new is no growth.
    assert by_name["indexing_pid"].as_dict() == {
        "field": "indexing_pid", "before": 13, "after": 9, "change": None, "dropped": False,
    }  # fmt: skip
    assert by_name["vectorization_pid"].change is None
    assert [(p.name, p.kind) for p in found.projects] == [
        ("new", "added"), ("docs", "both"), ("docs", "added"), ("src", "removed"),
    ]  # fmt: skip
    chunks = found.projects[1].changes[2]
    assert (chunks.field, chunks.change, chunks.dropped) == ("chunk_count", -1, True)
    assert found.drops == 2
    back = store.snapshot_diff(2, 1)
    assert back.seconds == -3600
    assert {c.field for c in back.changes if c.dropped} == {
        "files_indexed",
        "files_chunked_percent",
    }
    with pytest.raises(SnapshotNotFound):
        store.snapshot_diff("nothing")


def test_a_window_gives_the_newest_oldest_first(store: MetricsStore, clock: SettableClock) -> None:
    for hour in (5, 1, 11, 2, 9, 3, 10, 8, 0, 4, 7, 6):
        store.record_snapshot({"files_total": hour}, f"2026-03-10T{hour:02d}:30:00Z")
    lines = [s.recorded_at for s in store.snapshots()]
    assert len(lines) == 12
    assert lines == sorted(lines)
    assert [s.recorded_at for s in store.snapshots(limit=3)] == lines[-3:]
    assert [s.recorded_at for s in store.snapshots("4h")] == [m for m in lines if m[11:13] >= "08"]
    assert store.snapshots("1s") == ()
    for wrong in ({"limit": 0}, {"limit": True}, {"window": "soon"}):
        with pytest.raises(InvalidQuery):
            store.snapshots(**wrong)  # type: ignore[arg-type]


def test_a_trend_of_what_has_none_is_refused(store: MetricsStore) -> None:
    for arguments in (("file_watcher_pid",), ("files_total'",), ("files_total", "week"),
                      ("files_total", "hour", "3 years")):  # fmt: skip
        with pytest.raises(InvalidQuery):
            store.snapshot_trend(*arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidQuery):
        store.snapshot_trend("files_total", project="docs")


def test_a_database_of_their_own_is_a_path_and_nothing_more(
    open_store: Open, new_file: Path
) -> None:
    apart, main = open_store("snapshots.db"), open_store("main.db")
    apart.record_snapshot(SHORT, zone="UTC")
    main.record_invocation("deploy")
    assert (len(apart.snapshots()), len(main.snapshots())) == (1, 0)
    assert (apart.get_summary().total_invocations, main.get_summary().total_invocations) == (0, 1)


def test_the_schema_goes_back_and_forth_with_snapshots_in_it(store: MetricsStore) -> None:
    store.record_snapshot(LONG)
    text = (schema.migrations_directory() / "0008_snapshots.rollback.sql").read_text()
    forward = (schema.migrations_directory() / "0008_snapshots.sql").read_text()
    names = "SELECT type, name FROM sqlite_schema WHERE name LIKE '%snapshot%' ORDER BY 1, 2"
    before = store.query(names)

    def there_and_back(connection: sqlite.Connection) -> None:
        # Not executescript(), which would commit.
        for statement in filter(str.strip, text.split(";\n")):
            connection.execute(statement)
        left = "SELECT count(*) FROM rollup WHERE scope = 'snapshot'"
        assert connection.execute(left).fetchone() == (0,)
        assert connection.execute(names).fetchall() == []
        whole = ""
        for line in forward.splitlines(keepends=True):
            whole += line
            if sqlite.binding.complete_statement(whole):
                connection.execute(whole)
                whole = ""

    store.database.write(there_and_back)
    assert store.query(names) == before
    store.record_snapshot(LONG)
