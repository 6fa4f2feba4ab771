"""What rules look at, held against the records themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore, clock
from metrics_store.alerts.metric import Ask
from metrics_store.alerts.metrics import METRICS

Open = Callable[..., MetricsStore]
HOUR = 3600 * 10**6
NOW = clock.parse("2026-03-10T12:34:56.789Z")

#: Minutes before now, some of them after it; which skill or pool; completed, failed or abandoned.
runs = st.lists(
    st.tuples(
        st.integers(-90, 4000), st.sampled_from(["a", "b"]),
        st.sampled_from(["completed", "failed", "abandoned"]),
    ),
    max_size=30,
)  # fmt: skip
windows = st.sampled_from([60, 61, 180, 1440, 2880])


def read(
    store: MetricsStore, name: str, *, window: int = 0, at_least: int = 1
) -> Mapping[str, float]:
    """The values of a metric for a window in minutes."""
    ask = Ask(NOW, window * 60 * 10**6, at_least)
    with store.database.read() as connection:
        found = METRICS[name].measure(connection, ask)
    return {subject: reading.value for subject, reading in found.items()}


def shares(
    told: list[tuple[int, str, str]], window: int, at_least: int, outcome: str, *, whole: bool
) -> dict[str, float]:
    """Percent of the runs in the hours of a window, by whoever ran, or of all."""
    first, last = (NOW - window * 60 * 10**6) // HOUR, NOW // HOUR
    by: dict[str, list[bool]] = {}
    for minutes, name, how in told:
        if first <= (NOW - minutes * 60 * 10**6) // HOUR <= last:
            by.setdefault("executions" if whole else name, []).append(how == outcome)
    return {name: 100 * sum(all_) / len(all_) for name, all_ in by.items() if len(all_) >= at_least}


@settings(max_examples=25)
@given(runs, windows, st.integers(1, 4))
def test_rates_are_those_of_the_records(
    tmp_path: Path, new_file: Path, told: list[tuple[int, str, str]], window: int, at_least: int
) -> None:
    path = tmp_path / "rates.db"
    shutil.copyfile(new_file, path)
    with MetricsStore(path, durability="normal", clock=SettableClock()) as store:
        ran = [(clock.text(NOW - minutes * 60 * 10**6), name, how) for minutes, name, how in told]
        store.record_invocations(
            [{"skill_name": name, "invoked_at": at, "outcome": how} for at, name, how in ran]
        )
        for number, (at, name, how) in enumerate(ran):
            store.record_execution(
                task_id=str(number), timestamp=at, pool_type=name, success=how == "completed"
            )
        succeeded = [(m, n, "completed" if h == "completed" else "failed") for m, n, h in told]
        for name, records, outcome, whole in (
            ("skills.success_rate", told, "completed", False),
            ("skills.error_rate", told, "failed", False),
            ("executions.success_rate", succeeded, "completed", True),
            ("executions.error_rate", succeeded, "failed", True),
            ("executions.pool_success_rate", succeeded, "completed", False),
        ):
            due = shares(records, window, at_least, outcome, whole=whole)
            assert read(store, name, window=window, at_least=at_least) == due, name
        since, week = NOW - window * 60 * 10**6, 7 * 24 * HOUR
        moments = [NOW - minutes * 60 * 10**6 for minutes, _, _ in told]
        recent = sum(since < us <= NOW for us in moments)
        before = any(since - week < us <= since for us in moments)
        for name in ("skills", "executions"):
            due = {name: recent} if before else {}
            assert read(store, f"{name}.recent", window=window) == due
    path.unlink()


def test_services_are_silent_beyond_their_grace_alone(open_store: Open) -> None:
    now = SettableClock("2026-03-10T12:00:00Z")
    store = open_store(clock=now)
    for name, status in (("well", "healthy"), ("gone", "healthy"), ("down", "stopped")):
        store.heartbeat(name, status)
    now.set("2026-03-11T12:00:00Z")
    store.heartbeat("ahead", "healthy")  # its clock was a day ahead, and was set right
    now.set("2026-03-10T12:33:00Z")
    store.heartbeat("ahead", "healthy")
    now.set("2026-03-10T12:33:56.789Z")
    store.heartbeat("well", "healthy")
    assert read(store, "services.silent_seconds") == {
        "well": 0, "down": 0, "ahead": 0, "gone": 1946.789,
    }  # fmt: skip
    assert read(store, "services.down") == {"well": 0, "gone": 0, "down": 1, "ahead": 0}


def test_an_agent_is_in_error_by_its_newest_sample(store: MetricsStore) -> None:
    for name, status, at in (
        ("a", "error", "2026-03-10T11:00:00Z"),
        ("a", "active", "2026-03-10T10:00:00Z"),
        ("b", "active", "2026-03-10T11:00:00Z"),
    ):
        store.record_agent_sample(name, status, at=at)
    assert read(store, "agents.in_error") == {"a": True, "b": False}


def test_the_size_is_that_of_the_file(store: MetricsStore) -> None:
    store.checkpoint(truncate=True)
    size = Path(store.path).stat().st_size
    assert read(store, "database.size_mb") == {"database": size / (1 << 20)}


def test_a_large_store_is_read_without_walking_its_logs(store: MetricsStore) -> None:
    """Each query is answered by an index or the rollups' key."""
    from metrics_store.sql import queries

    walked = []
    for name, sql in queries("alerts").items():
        if not sql.startswith(("SELECT", "WITH")) or "{" in sql:
            continue
        with store.database.read() as connection:
            count = sql.count("?") if "?1" not in sql else max(
                n for n in range(1, 9) if f"?{n}" in sql
            )  # fmt: skip
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * count).fetchall()
        tables = ("skill_invocation", "executions", "system_status_history", "rollup ")
        walked += [
            (name, line[3]) for line in plan if line[3].startswith("SCAN") and
            any(table in line[3] for table in tables)
        ]  # fmt: skip
    assert walked == []


def test_every_metric_answers_on_an_empty_store(store: MetricsStore) -> None:
    answers = {name: read(store, name, window=60) for name in METRICS}
    assert answers.pop("database.size_mb")
    assert not any(answers.values())
