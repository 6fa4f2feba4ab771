"""scripts/dashboard_queries.sql: every statement is named, runs, and reads an index or a rollup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from metrics_store import MetricsStore

FILE = Path(__file__).parents[2] / "scripts" / "dashboard_queries.sql"
#: Tables that grow with the executions: none of them may be read from one end to the other.
LARGE = ("executions", "rollup", "execution_cell", "execution_cell_bucket", "solution_pattern")


class Statement(NamedTuple):
    group: str
    name: str
    sql: str


def statements() -> list[Statement]:
    """The file's statements, each with the line that names it and the group it is in."""
    found = []
    group = ""
    for block in re.split(r"\n\n+", FILE.read_text(encoding="utf-8")):
        lines = block.strip().splitlines()
        if heading := re.fullmatch(r"-- (\d+)\. .+", block.strip()):
            group = heading[1]
        elif not all(line.startswith("--") for line in lines):
            assert lines[0].startswith("-- "), f"no name: {block}"
            sql = "\n".join(lines[1:])
            assert sql.endswith(";")
            assert sql.count(";") == 1
            found.append(Statement(group, lines[0].removeprefix("-- "), sql.removesuffix(";")))
    return found


ALL = statements()


@pytest.fixture
def used(store: MetricsStore) -> MetricsStore:
    """A store with executions of the last hours and weeks, by SQLite's own clock."""
    now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)"
    moments = [
        str(store.query(f"SELECT {now} AS at", (back,))[0]["at"])
        for back in ("-1 minutes", "-30 minutes", "-5 hours", "-3 days", "-20 days", "-50 days")
    ]
    store.record_executions(
        {
            "task_id": f"{moment} {n}",
            "timestamp": moment,
            "success": n > 0,
            "repo": f"repo-{n % 2}",
            "model_tier": ("small", "large")[n % 2],
            "pool_type": "local",
            "task_type": "fix",
            "duration_seconds": n + 1,
            "cost_estimate": "0.20",
            "actual_cost": "0.10",
            "quality_score": 10 * n,
            "complexity_score": n,
            "user_accepted": n > 1,
            "user_rating": n + 1,
            "error_type": None if n else "TimeoutError",
        }
        for moment in moments
        for n in range(4)
    )
    return store


def test_there_are_ten_groups_and_every_statement_has_a_name_of_its_own() -> None:
    assert sorted({s.group for s in ALL}, key=int) == [str(n) for n in range(1, 11)]
    names = [s.name for s in ALL]
    assert len(set(names)) == len(names) == 25


@pytest.mark.parametrize("statement", ALL, ids=[s.name for s in ALL])
def test_a_statement_runs_and_reads_an_index_or_a_rollup(
    used: MetricsStore, statement: Statement
) -> None:
    assert used.query(statement.sql)
    plan = [str(step["detail"]) for step in used.query(f"EXPLAIN QUERY PLAN {statement.sql}")]
    searched = [step for step in plan if re.match(r"SEARCH (rollup|executions) USING", step)]
    assert searched, plan
    assert all("USING INDEX" in step or "PRIMARY KEY (scope" in step for step in searched), plan
    scanned = [step.split()[1] for step in plan if step.startswith("SCAN")]
    assert not set(scanned) & set(LARGE), plan


def test_an_empty_store_gives_no_rows_or_counts_of_nothing(store: MetricsStore) -> None:
    for statement in ALL:
        for row in store.query(statement.sql):
            assert set(row.values()) <= {0, None}, statement.name


def test_the_numbers_are_those_of_the_last_30_days(used: MetricsStore) -> None:
    by_name = {s.name: used.query(s.sql) for s in ALL}

    def of(name: str) -> list[dict[str, object]]:
        [found] = [rows for title, rows in by_name.items() if title.startswith(name)]
        return [dict(row) for row in found]

    assert of("Duration percentiles overall")[0]["executions"] == 20
    assert of("Success by tier") == [
        {"model_tier": "large", "executions": 10, "successes": 10, "success_rate": 100.0},
        {"model_tier": "small", "executions": 10, "successes": 5, "success_rate": 50.0},
    ]
    assert of("Cost by tier")[0]["avg_cost"] == pytest.approx(0.1)
    assert of("Actual cost against")[0]["avg_savings"] == pytest.approx(0.1)
    assert [row["executions"] for row in of("Distribution of quality")] == [5, 5, 5, 5]
    assert of("Acceptance") == [{"asked": 20, "accepted": 10, "acceptance_rate": 50.0}]
    assert of("The ten most frequent errors") == [{"error_type": "TimeoutError", "executions": 5}]
    assert of("Repositories and")[0]["avg_complexity_score"] == pytest.approx(1.0)
    [last] = of("The last five minutes")
    assert (last["executions"], last["success_rate"]) == (4, 75.0)
    assert last["total_cost"] == pytest.approx(0.4)
