"""What a status says, under whichever names, comes to the columns that its users know."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statuses import HOSTILE, LONG, SHORT

from metrics_store import MetricsStore
from metrics_store.errors import InvalidValue
from metrics_store.snapshots import mapping, payload
from metrics_store.snapshots.fields import FIELDS, WORKER_FIELDS
from metrics_store.snapshots.results import Project, Snapshot


def recorded(store: MetricsStore, said: object, **more: object) -> Snapshot:
    done = store.record_snapshot(said, **more)  # type: ignore[arg-type]
    assert done.recorded
    found = store.snapshot(done.id)
    assert found is not None
    return found.snapshot


def test_the_short_form_comes_to_its_columns(store: MetricsStore) -> None:
    s = recorded(store, SHORT, zone="Europe/Berlin")
    known = {
        "recorded_at": "2026-02-06T10:00:00.000000Z",
        "files_total": 12822,
        "files_indexed": 3124,
        "files_indexed_percent": 100 * 3124 / 12822,
        "chunks_total": 167,
        "chunks_vectorized": 90,
        "chunks_vectorization_percent": 100 * 90 / 167,
        "file_watcher_pid": 1248916,
        "file_watcher_operation": "scanning",
        "vectorization_pid": 1248906,
        "vectorization_operation": "polling",
        "indexing_pid": 1248900,
        "indexing_operation": "indexing",
        "indexing_current_file": "vast_srv/test_ftp_commands.py",
        "payload_json": SHORT,
        "origin": "live",
        "seq": 1,
    }
    assert {key: value for key, value in s.as_dict().items() if value is not None} == {
        **known,
        "id": s.id,
    }


def test_the_long_form_comes_to_its_columns_and_nothing_of_it_is_thrown_away(
    store: MetricsStore,
) -> None:
    s = recorded(store, LONG)
    assert (s.files_total, s.files_indexed, s.files_indexed_percent) == (200, 50, 25.1)
    assert (s.files_chunked_percent, s.files_updated_24h) == (20.0, 7)
    assert (s.chunks_total, s.chunks_vectorized, s.chunks_updated_24h) == (80, 20, 3)
    assert (s.chunks_vectorization_percent, s.db_size_mb) == (25.0, 41.25)
    assert (s.file_watcher_pid, s.file_watcher_operation) == (11, "scanning")
    assert s.file_watcher_progress_percent == 12.5
    assert (s.vectorization_pid, s.vectorization_operation) == (None, None)
    assert (s.indexing_operation, s.indexing_progress_percent) == ("indexing", 99.0)
    assert s.indexing_current_file == "a/b.py"
    assert s.projects == (
        Project("docs", 150, 40, 60, 15),
        Project("src", 50, None, None, None),
    )
    assert json.loads(s.payload_json) == LONG


def test_every_name_of_a_field_leads_to_its_column() -> None:
    for field in FIELDS:
        value: object = "scanning" if field.kind == "text" else 7
        for name in field.names:
            said: object = value
            for part in reversed(name.split(".")):
                said = {part: said}
            assert isinstance(said, dict)
            found = {k: v for k, v in mapping.columns(said).items() if v is not None}
            assert found == {field.name: value}, name


def test_the_long_flat_name_goes_before_the_others() -> None:
    said = {"fw_op": "c", "workers": {"file_watcher": {"op": "b"}}, "file_watcher_operation": "a"}
    for name in ("file_watcher_operation", "workers", "fw_op"):
        columns = mapping.columns(said)
        assert columns["file_watcher_operation"] == {
            "file_watcher_operation": "a",
            "workers": "b",
        }.get(name, "c")
        del said[name]
        said["files_total"] = 1  # type: ignore[assignment]


@pytest.mark.parametrize(
    "said",
    [
        {"fw_pid": None, "fw_op": "unreachable", "fw_pct": 0},
        {"fw_pid": 0, "fw_op": "", "fw_progress": 0},
        {"file_watcher_pid": -1, "file_watcher_progress_percent": 0.0},
        {"workers": {"file_watcher": None}},
        {"workers": {"file_watcher": {"reachable": False, "pid": 12, "progress": 0}}},
        {"files_total": 1},
    ],
)
def test_a_worker_that_could_not_be_reached_is_null_and_not_0(
    said: dict[str, object], store: MetricsStore
) -> None:
    recorded(store, {"idx_pid": 5, "idx_pct": 0, **said})
    [row] = store.query("SELECT * FROM status_snapshots")
    for field in WORKER_FIELDS["file_watcher"]:
        assert row[field.name] is None
    assert (row["indexing_pid"], row["indexing_progress_percent"]) == (5, 0.0)


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        ({"files_total": 3, "files_indexed": 1}, 100 / 3),
        ({"files_total": 3, "files_indexed": 1, "files_indexed_percent": 40}, 40.0),
        ({"files_total": 0, "files_indexed": 0}, None),
        ({"files_total": 3}, None),
        ({"files_indexed": 3}, None),
        ({"files": {"total": 8}, "files_indexed": 4}, 50.0),
    ],
)
def test_a_percentage_is_given_or_follows_or_is_not_known(
    said: dict[str, object], percent: float | None
) -> None:
    assert mapping.columns(said)["files_indexed_percent"] == percent


REFUSED: tuple[object, ...] = (
    {},
    {"error": "the daemon is down"},
    {"files_total": "12"},
    {"files_total": True},
    {"files_total": -1},
    {"files_total": 1.5},
    {"files_total": 10**13},
    {"files_total": float("nan")},
    {"files_total": float("inf")},
    {"db_size_mb": -0.1},
    {"db_size_mb": "large"},
    {"fw_op": 3},
    {"idx_file": "x" * 20_000},
    {"projects": "docs"},
    {"projects": [1]},
    {"projects": [{"file_count": 1}]},
    {"projects": [{"name": ""}]},
    {"projects": [{"name": "a", "file_count": "many"}]},
    {"files_total": 1, "ts": "yesterday"},
    {"files_total": 1, "ts": 1e300},
    {"files_total": 1, "ts": [2026]},
    {"files_total": 1, "x": {1, 2}},
    "[1, 2]",
    "not JSON",
    '{"files_total": NaN}',
    '{"files_total": 1, "x": Infinity}',
    b"\xff{}",
    '{"files_total": 1, "x": ' + "[" * 600 + "]" * 600 + "}",
    '{"files_total": ' + "1" * 5000 + "}",
    17,
    None,
)


def test_what_cannot_be_kept_is_refused_and_nothing_is_recorded(store: MetricsStore) -> None:
    for said in REFUSED:
        with pytest.raises(InvalidValue) as caught:
            store.record_snapshot(said)  # type: ignore[arg-type]
        assert str(caught.value).startswith("A value cannot be recorded: "), said
    assert store.snapshots() == ()


def test_hostile_names_are_data(store: MetricsStore) -> None:
    for name in HOSTILE:
        said = {"idx_file": name, "fw_op": name, "projects": [{"name": name, "chunk_count": 3}]}
        s = recorded(store, said)
        assert (s.indexing_current_file, s.file_watcher_operation) == (name, name)
        assert s.projects == (Project(name, None, None, 3, None),)
        [point] = store.snapshot_trend("chunk_count", "day", "1s", project=name).points
        assert (point.snapshots, point.maximum, point.last) == (1, 3, 3)


def test_a_file_name_that_is_not_utf_8_is_kept_as_it_is_and_shown_as_escapes(
    store: MetricsStore,
) -> None:
    odd = b"caf\xe9.py".decode(errors="surrogateescape")
    for said in ({"idx_file": odd, "ts": 5}, json.dumps({"idx_file": odd, "ts": 5})):
        s = recorded(store, said)
        assert s.indexing_current_file == "caf\\udce9.py"
        assert json.loads(s.payload_json) == {"idx_file": odd, "ts": 5}
        assert s.recorded_at == "1970-01-01T00:00:05.000000Z"


def test_projects_may_be_an_object_by_name(store: MetricsStore) -> None:
    said = {"projects": {"docs": {"file_count": 3, "name": "other"}, "src": {}}}
    assert recorded(store, said).projects == (
        Project("docs", 3, None, None, None),
        Project("src", None, None, None, None),
    )


def test_text_is_kept_to_the_letter(store: MetricsStore) -> None:
    text = '{ "files_total" : 1.0, "é": 1.10,\n "files_indexed": 1, "x": 1e2, "x": 2 }'
    assert recorded(store, text).payload_json == text
    assert recorded(store, f"\n{text}\n".encode()).payload_json == text
    assert recorded(store, b"\xef\xbb\xbf" + text.encode()).payload_json == text


def test_the_given_moment_goes_before_that_of_the_payload(store: MetricsStore) -> None:
    for at, moment in (
        ("2026-01-01T00:00:00+01:00", "2025-12-31T23:00:00.000000Z"),
        (None, "2026-02-06T16:00:00.000000Z"),
    ):
        assert recorded(store, SHORT, at=at, zone="America/New_York").recorded_at == moment
    assert recorded(store, {"files_total": 1}).recorded_at == "2026-03-10T12:00:00.000000Z"


def test_without_a_zone_local_time_is_this_machines(
    store: MetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert recorded(store, SHORT).recorded_at == "2026-02-06T02:00:00.000000Z"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_names = st.sampled_from(
    [n.split(".")[0] for field in FIELDS for n in field.names] + ["projects", "ts", "x"]
)


@given(st.dictionaries(_names, _json, max_size=6))
def test_whatever_is_said_it_comes_to_columns_or_is_refused(said: dict[str, object]) -> None:
    try:
        document = payload.document(said)
        columns = mapping.columns(document.fields)
    except InvalidValue:
        return
    assert json.loads(document.text) == json.loads(json.dumps(said))
    for field in FIELDS:
        value = columns[field.name]
        kinds = {"text": str, "count": int, "pid": int}
        assert value is None or type(value) is kinds.get(field.kind, float)
        assert isinstance(value, (str, type(None))) or value >= 0  # type: ignore[operator]


def test_the_columns_are_those_of_the_table(store: MetricsStore) -> None:
    recorded(store, SHORT)
    [row] = store.query("SELECT * FROM status_snapshots")
    assert list(row) == [*(field.name for field in fields(Snapshot)), "digest"]
