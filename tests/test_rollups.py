"""One declaration per family: its triggers, its fold and its recomputation say the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore, schema, sqlite
from metrics_store.families.declaration import COLUMNS
from metrics_store.families.skills import SKILLS

Open = Callable[..., MetricsStore]

names = st.sampled_from(["deploy", "test", "v1.2", 'a"b', "ünï😀", "12", ""])
records = st.lists(
    st.fixed_dictionaries(
        {
            "skill_name": names.filter(bool),
            "outcome": st.sampled_from(["completed", "failed", "abandoned"]),
            "invoked_at": st.sampled_from(
                ["2026-03-09T23:59:59.999999Z", "2026-03-10T00:00:00Z", "2026-03-10T00:30:00Z"]
            ),
        },
        optional={
            "duration_seconds": st.none() | st.floats(0, 1e9),
            "workflow_path": st.none() | names,
            "session_id": st.none() | names,
            "error_type": st.none() | names,
            "follow_up_actions": st.lists(names.filter(bool), max_size=4),
        },
    ),
    max_size=20,
)


def test_the_migration_has_the_declaration_to_the_letter() -> None:
    texts = [file.read_text() for file in schema.migrations_directory().glob("*.sql")]
    assert any(SKILLS.triggers() in text for text in texts)


def _rollups(store: MetricsStore) -> list[dict[str, object]]:
    return store.query(f"SELECT {', '.join(COLUMNS)} FROM rollup ORDER BY 1, 2, 3, 4, 5")


@given(records, st.randoms(use_true_random=False))
def test_one_by_one_in_batches_and_from_the_log_agree_in_any_order(
    open_store: Open, batch: list[dict[str, object]], random: object
) -> None:
    one_by_one, at_once = open_store("one.db"), open_store("batch.db")
    for store in (one_by_one, at_once):
        store.database.write(_empty)
    for record in batch:
        one_by_one.record_invocation(**record)  # type: ignore[arg-type]
    random.shuffle(batch)  # type: ignore[attr-defined]
    at_once.record_invocations(batch, batch_size=7)
    assert _rollups(one_by_one) == _rollups(at_once)
    recomputed = one_by_one.query(f"SELECT * FROM ({SKILLS.recomputed()}) ORDER BY 1, 2, 3, 4, 5")
    assert [tuple(row.values()) for row in recomputed] == [
        tuple(row.values()) for row in _rollups(one_by_one)
    ]
    one_by_one.close()
    at_once.close()


def _empty(connection: sqlite.Connection) -> None:
    connection.execute("INSERT INTO retention_permit VALUES ('skill', 1 << 60)")
    for table in ("skill_invocation", "rollup", "retention_permit"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("INSERT INTO workflow_path_fts (workflow_path_fts) VALUES ('delete-all')")
    connection.execute("DELETE FROM workflow_path")


def test_the_numbers_of_a_known_log(store: MetricsStore) -> None:
    for seconds, outcome in (
        (2.0, "completed"),
        (None, "failed"),
        (4.0, "completed"),
        (9, "failed"),
    ):
        store.record_invocation(
            "deploy",
            outcome=outcome,  # type: ignore[arg-type]
            duration_seconds=seconds,
            invoked_at="2026-03-10T01:02:03Z",
            workflow_path="a/b",
        )
    (row,) = store.query("SELECT * FROM rollup WHERE kind = 'total'")
    assert row == {
        "scope": "skill",
        "period": "",
        "subject": "deploy",
        "kind": "total",
        "label": "",
        "n": 4,
        "completed": 2,
        "failed": 2,
        "measured": 2,
        "total": 6_000_000,
        "minimum": 2_000_000,
        "maximum": 4_000_000,
        "first_at": "2026-03-10T01:02:03.000000Z",
        "last_at": "2026-03-10T01:02:03.000000Z",
    }


def test_the_log_cannot_be_changed_nor_deleted_from(store: MetricsStore) -> None:
    store.record_invocation("deploy", invocation_id="a")
    for statement in (
        "UPDATE skill_invocation SET skill_name = 'other'",
        "UPDATE skill_invocation SET seq = seq + 1",
        "DELETE FROM skill_invocation",
        """INSERT OR REPLACE INTO skill_invocation
           SELECT seq, id, 'other', invoked_at, ended_at, workflow_path, session_id, project_path,
                  outcome, duration_us, error_type, follow_up_actions, origin, attributes, legacy,
                  schema_version, digest
           FROM skill_invocation""",
    ):
        with pytest.raises(Exception, match="append-only") as caught:
            store.database.write(lambda connection, s=statement: connection.execute(s))
        assert "skill_invocation" in str(caught.value)
    assert store.get_invocation("a").skill_name == "deploy"  # type: ignore[union-attr]


def test_retention_deletes_up_to_its_permit_only(store: MetricsStore) -> None:
    store.record_invocations([{"skill_name": "deploy"} for _ in range(3)])

    def delete(connection: sqlite.Connection) -> None:
        connection.execute("INSERT INTO retention_permit VALUES ('skill', 2)")
        connection.execute("DELETE FROM skill_invocation WHERE seq <= 3")

    with pytest.raises(Exception, match="append-only"):
        store.database.write(delete)
    assert store.get_summary().total_invocations == 3
