"""The check that runs after every test finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

import pytest
from checking import _problems, is_store, problems

from metrics_store import MetricsStore, sqlite

SPOILT = [
    "UPDATE rollup SET n = n + 1 WHERE kind = 'total'",
    "UPDATE rollup SET total = total + 1 WHERE kind = 'hour'",
    "DELETE FROM rollup WHERE kind = 'block'",
    "DELETE FROM rollup WHERE scope = 'session'",
    "INSERT INTO skill_inflight (id, skill_name, invoked_at, origin) VALUES ('a', 'x', '', '')",
    "INSERT INTO rollup_deferred VALUES ('other', 0)",
    "INSERT INTO retention_permit VALUES ('skill', 0)",
    "INSERT INTO workflow_path (workflow_path, skill_name) VALUES ('q', 'deploy')",
    "DELETE FROM workflow_path",
    "INSERT INTO workflow_path_fts (workflow_path_fts) VALUES ('delete-all')",
    "DROP TRIGGER skill_invocation_immutable; UPDATE skill_invocation SET error_type = 'other'",
    "DROP TRIGGER skill_invocation_immutable; UPDATE skill_invocation SET duration_us = 1000001",
]


@pytest.mark.parametrize("statements", SPOILT)
def test_what_was_spoilt_is_found(store: MetricsStore, statements: str) -> None:
    store.record_invocation(
        "deploy", workflow_path="p", session_id="s", duration_seconds=1, invocation_id="a"
    )
    assert problems(store.path) == []

    def spoil(connection: sqlite.Connection) -> None:
        for statement in statements.split("; "):
            connection.execute(statement)
        assert list(_problems(connection))
        raise InterruptedError  # taken back, for the store is checked after this test too

    with pytest.raises(InterruptedError):
        store.database.write(spoil)


def test_a_store_is_known_by_its_application_id(store: MetricsStore, tmp_path: Path) -> None:
    assert is_store(store.path)
    assert not is_store(__file__)
    assert not is_store(f"{tmp_path}/none.db")
