"""Rollups that are rebuilt are those that the log comes to, whatever is in either."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import pytest
from checking import problems
from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, Settings, sqlite
from metrics_store.connection import Database
from metrics_store.integrity import check_file
from metrics_store.integrity.repairing import repair

_names = st.sampled_from(["a", "b", "[red]x", "\x1b[31m", "‮evil", "a\x00b", 'o\'ne "two"', "ü"])
_texts = st.one_of(st.none(), _names, st.text(min_size=1, max_size=8))
_records = st.lists(
    st.fixed_dictionaries(
        {
            "skill_name": st.one_of(_names, st.text(min_size=1, max_size=8)),
            "completed": st.booleans(),
            "duration_seconds": st.one_of(st.none(), st.floats(0, 1e6)),
            "workflow_path": _texts,
            "session_id": _texts,
            "error_type": _texts,
            "follow_up_actions": st.lists(_names, max_size=3),
            "invoked_at": st.sampled_from(
                ["2026-01-31T23:59:59.999999Z", "2026-02-01T00:00:00Z", "0001-01-01T00:00:00Z"]
            ),
        }
    ),
    max_size=12,
)
_tampering = st.lists(
    st.sampled_from(
        [
            "DELETE FROM rollup",
            "DELETE FROM rollup WHERE kind IN ('value', 'block')",
            "UPDATE rollup SET n = n + 1",
            "UPDATE rollup SET minimum = NULL, maximum = 0",
            "UPDATE rollup SET first_at = NULL WHERE first_at IS NOT NULL",
            "UPDATE OR IGNORE rollup SET label = label || 'x' WHERE typeof(label) = 'text'",
            "UPDATE OR IGNORE rollup SET label = CAST(label AS TEXT)",
            "UPDATE rollup SET subject = subject || char(0)",
            "DELETE FROM workflow_path",
            "UPDATE OR IGNORE workflow_path SET skill_name = 'nobody'",
            "INSERT INTO workflow_path_fts (workflow_path_fts) VALUES ('delete-all')",
            "INSERT OR IGNORE INTO rollup_deferred VALUES ('skill', 0)",
            "UPDATE bucket_bound SET bucket = bucket + 1",
            "DROP TRIGGER IF EXISTS skill_invocation_rollup",
            "DROP TABLE IF EXISTS workflow_path_fts",
        ]
    ),
    min_size=1,
    max_size=4,
)
_numbers = itertools.count()


@given(records=_records, more=_records, tampering=_tampering)
@settings(max_examples=40)
def test_whatever_was_done_to_the_rollups_a_repair_makes_them_what_the_log_comes_to(
    tmp_path: Path,
    records: list[dict[str, object]],
    more: list[dict[str, object]],
    tampering: list[str],
) -> None:
    path = tmp_path / f"{next(_numbers)}.db"
    with MetricsStore(path, durability="normal", clock=SettableClock()) as store:
        store.record_invocations(records)
    connection = sqlite.connect(str(path))
    for statement in tampering:
        with suppress(sqlite.OperationalError):  # the table is gone already
            connection.execute(statement)
    connection.close()
    database = Database(Settings(path, durability="normal"), SettableClock(), create=False)
    try:
        assert repair(database).left == ()
    finally:
        database.close()
    assert check_file(path, level="deep").findings == ()
    assert problems(path) == []
    with MetricsStore(path, durability="normal", clock=SettableClock()) as store:
        store.record_invocations(more)
    assert problems(path) == []
    path.unlink()


@given(records=_records)
@settings(max_examples=40)
def test_a_check_agrees_with_the_other_check_on_every_sound_store(
    tmp_path: Path, records: list[dict[str, object]]
) -> None:
    path = tmp_path / f"{next(_numbers)}.db"
    with MetricsStore(path, durability="normal", clock=SettableClock()) as store:
        store.record_invocations(records)
    report = check_file(path, level="deep")
    assert report.findings == ()
    assert report.rows == len(records)
    assert problems(path) == []
    path.unlink()


def test_a_log_is_added_up_in_pieces_as_in_one(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 7, 299, 300, 301):
        monkeypatch.setattr("metrics_store.integrity.rollups._AT_ONCE", size)
        assert check_file(sound).findings == ()
