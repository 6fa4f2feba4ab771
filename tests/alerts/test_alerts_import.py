"""Taking in alerts of the shape that users have: all, once; what is no alert is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, sqlite
from metrics_store.alerts.events import Event
from metrics_store.errors import SourceError
from metrics_store.families.alerts import ALERTS

Open = Callable[..., MetricsStore]
COLUMNS = (
    "alert_id", "type", "severity", "title", "message", "source", "metadata", "acknowledged",
    "acknowledged_by", "acknowledged_at", "resolved", "resolved_at", "created_at",
)  # fmt: skip
minutes = st.integers(0, 59).map(lambda n: f"2026-02-06 11:{n:02d}:00")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
alerts = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["agent", "task", "system", "performance"]),
            "severity": st.sampled_from(["info", "warning", "error", "critical"]),
            "title": texts,
            "message": st.none() | texts,
            "source": st.none() | texts,
            "metadata": st.sampled_from([None, "", '{"a": 1}', "[1]", "no JSON"]),
            "acknowledged": st.sampled_from([0, 1]),
            "acknowledged_by": st.none() | texts,
            "acknowledged_at": st.none() | minutes,
            "resolved": st.sampled_from([0, 1]),
            "resolved_at": st.none() | minutes,
            "created_at": minutes,
        }
    ),
    max_size=6,
)


def write(path: Path, found: list[dict[str, object]]) -> None:
    """A database of somebody else's with these alerts."""
    path.unlink(missing_ok=True)
    connection = sqlite.connect(str(path))
    connection.execute(f"CREATE TABLE alerts (id INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")
    for one in found:
        values = [one.get(name) for name in COLUMNS]
        marks = ", ".join("?" * len(COLUMNS))
        connection.execute(f"INSERT INTO alerts ({', '.join(COLUMNS)}) VALUES ({marks})", values)
    connection.close()


@settings(max_examples=25)
@given(alerts)
def test_every_alert_is_taken_in_once_however_often(
    tmp_path: Path, new_file: Path, found: list[dict[str, object]]
) -> None:
    import shutil

    rows = [{"alert_id": f"a{n}", **one} for n, one in enumerate(found)]
    source, path = tmp_path / "old.sqlite", tmp_path / "import.db"
    shutil.copyfile(new_file, path)
    with MetricsStore(path, durability="normal", clock=SettableClock()) as store:
        # First as they were when nobody knew of them, then as they are.
        write(source, [{**row, "acknowledged": 0, "resolved": 0} for row in rows])
        assert store.import_alerts(source).inserted == len(rows)
        write(source, rows)
        changed = sum(bool(row["acknowledged"] or row["resolved"]) for row in rows)
        done = store.import_alerts(source)
        assert (done.read, done.inserted, done.already_there) == (
            len(rows), changed, len(rows) - changed,
        )  # fmt: skip
        assert store.import_alerts(source).inserted == 0
        kept = {alert.alert_id: alert for alert in store.alerts("all", limit=100)}
        assert set(kept) == {row["alert_id"] for row in rows}
        for row in rows:
            alert = kept[str(row["alert_id"])]
            assert (alert.type, alert.severity, alert.title) == (
                row["type"], row["severity"], row["title"],
            )  # fmt: skip
            assert alert.created_at == str(row["created_at"]).replace(" ", "T") + ".000000Z"
            assert (alert.acknowledged, alert.resolved) == (
                bool(row["acknowledged"]), bool(row["resolved"]),
            )  # fmt: skip
            if row["acknowledged"]:
                assert alert.acknowledged_by == row["acknowledged_by"]
                assert str(alert.acknowledged_at) > alert.created_at
            if alert.resolved:
                assert str(alert.resolved_at) > (alert.acknowledged_at or alert.created_at)
    path.unlink()


LINES = [
    {"alert_id": "a", "type": "Task", "severity": "ERROR", "title": "t", "created_at": 1770375600},
    {"alert_id": "b", "type": "disk", "severity": "error", "title": "t", "created_at": 1},
    {"alert_id": "c", "type": "task", "severity": "error", "title": "t"},
    {"alert_id": "", "type": "task", "severity": "error", "title": "t", "created_at": 1},
    {"alert_id": "d", "type": "task", "severity": "error", "title": "t", "created_at": 1,
     "resolved": "perhaps"},
    {"alert_id": "e", "type": "task", "severity": "error", "title": "t",
     "created_at": "0001-01-01T00:00:00+23:59"},
    {"alert_id": "f", "type": "task", "severity": "error", "title": "t",
     "created_at": "9999-12-31T23:59:59.999999Z", "resolved": 1},
    [1],
]  # fmt: skip


def test_what_happens_to_an_alert_is_a_row_of_its_log() -> None:
    assert Event._fields == ALERTS.columns


@pytest.mark.parametrize("packed", [False, True])
def test_lines_that_are_no_alerts_are_told_and_the_others_taken_in(
    store: MetricsStore, tmp_path: Path, packed: bool
) -> None:
    text = "\n".join(map(json.dumps, LINES)) + '\n{"alert_id": "torn'
    source = tmp_path / "old"
    source.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    done = store.import_alerts(source, zone="Europe/Berlin")
    assert (done.read, done.inserted, done.invalid) == (9, 1, 8)
    assert len(done.problems) == 8
    assert "line 2: type 'disk'" in done.problems[0]
    [alert] = store.alerts("all")
    assert (alert.type, alert.severity, alert.source) == ("task", "error", "import")
    assert alert.created_at == "2026-02-06T11:00:00.000000Z"


def test_what_retention_has_deleted_does_not_come_back(
    store: MetricsStore, clock: SettableClock, tmp_path: Path
) -> None:
    row = {"type": "task", "title": "t", "created_at": "2026-02-06 11:00:00", "resolved": 1}
    source = tmp_path / "old.sqlite"
    write(
        source,
        [
            {**row, "alert_id": "mild", "severity": "error"},
            {**row, "alert_id": "grave", "severity": "critical"},
        ],
    )
    store.import_alerts(source)
    store.raise_alert("task", "info", "new", source="x")
    clock.advance(100 * 86_400)
    store.retain(trust_clock=True)
    done = store.import_alerts(source)
    assert (done.inserted, done.already_there, done.retired) == (0, 1, 1)
    assert {alert.title for alert in store.alerts("all")} == {"t", "new"}
    assert store.check("deep").findings == ()


def test_what_cannot_be_read_is_said(store: MetricsStore, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite"
    connection = sqlite.connect(str(empty))
    connection.execute("CREATE TABLE other (a)")
    connection.close()
    for path in (tmp_path / "none", empty, tmp_path, Path(store.path)):
        with pytest.raises(SourceError):
            store.import_alerts(path)
