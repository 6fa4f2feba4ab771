"""A row whose number was flipped lies far away from all others: a check comes to it at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from metrics_store import MetricsStore, sqlite
from metrics_store.integrity import check_file


def test_a_gap_of_billions_in_a_log_is_no_way_to_go(
    store: MetricsStore, damaged: Callable[[Path], None]
) -> None:
    for _ in range(3):
        store.record_invocation("deploy")
    store.close()
    path = Path(store.path)
    damaged(path)
    with closing(sqlite.binding.connect(path, isolation_level=None)) as connection:
        names = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?"
        for (name,) in connection.execute(names, ("skill_invocation",)).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE skill_invocation SET seq = 1 << 50 WHERE seq = 3")
    steps: list[tuple[object, ...]] = []
    report = check_file(path, progress=lambda *told: steps.append(told))
    assert "rollup_wrong" not in {finding.kind for finding in report.findings}
    assert len(steps) < 100
