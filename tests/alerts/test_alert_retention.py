"""Retention: alerts go 90 days after they ended, as wholes; critical and open ones never do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from checking import problems
from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.alerts.rule_file import parse
from metrics_store.families.alerts import ALERTS
from metrics_store.retention.applying import _batch, _Pace
from metrics_store.retention.policy import policies

Open = Callable[..., MetricsStore]
DAY = 86_400
lives = st.lists(
    st.tuples(
        st.sampled_from(["info", "warning", "error", "critical"]),
        st.integers(0, 60),  # days before the next one
        st.booleans(),  # acknowledged
        st.integers(-1, 120),  # days until it is resolved; -1 for not yet
    ),
    max_size=5,
)


def live(store: MetricsStore, clock: SettableClock, severity: str, **what: object) -> str:
    """Let an alert open, and perhaps be acknowledged and end."""
    alert = store.raise_alert("system", severity, "t", source="x")
    if what.get("acknowledged"):
        store.acknowledge_alert(alert.alert_id, "jane")
    days = what.get("days", -1)
    assert isinstance(days, int)
    if days >= 0:
        clock.advance(days * DAY)
        store.resolve_alert(alert.alert_id, "jane")
    return alert.alert_id


@settings(max_examples=12)
@given(lives, st.integers(0, 200))
def test_an_alert_goes_as_a_whole_ninety_days_after_its_end(
    open_store: Open, clock: SettableClock, told: list[tuple[str, int, bool, int]], later: int
) -> None:
    clock.set("2026-03-10T12:00:00Z")
    store = open_store()
    ends: dict[str, int | None] = {}
    for severity, pause, acknowledged, days in told:
        name = live(store, clock, severity, acknowledged=acknowledged, days=days)
        ends[name] = clock.us if days >= 0 and severity != "critical" else None
        clock.advance(pause * DAY)
    # The last row of a log always stays, so that no seq is given twice.
    live(store, clock, "critical")
    clock.advance(later * DAY)
    counted = store.query("SELECT * FROM rollup WHERE scope = 'alert'")
    plan = store.retention_plan()
    done = store.retain(trust_clock=True)
    assert sum(d.rows for d in done.families) == plan.rows
    horizon = clock.us - 90 * DAY * 10**6
    kept = {name for name, end in ends.items() if end is None or end >= horizon}
    there = {alert.alert_id for alert in store.alerts("all", limit=1000)}
    assert there & set(ends) == kept
    rows = store.query("SELECT DISTINCT alert_id FROM alert_event")
    assert {row["alert_id"] for row in rows} == there
    assert store.query("SELECT * FROM rollup WHERE scope = 'alert'") == counted
    path = Path(store.path)
    store.close()
    assert problems(path) == []
    path.unlink()


def test_one_that_was_critical_once_is_archived_for_ever(
    store: MetricsStore, clock: SettableClock
) -> None:
    from watched import GRACE, beat, silence, silent_for

    silent_for(store, clock, 1000)
    alert = store.evaluate_alerts(silence()).open[0]
    beat(store)
    clock.advance(GRACE + 61)
    assert store.evaluate_alerts(silence()).open[0].severity == "warning"
    beat(store)
    assert store.evaluate_alerts(silence()).open == ()
    mild = live(store, clock, "error", days=0)
    live(store, clock, "info", days=0)
    clock.advance(1000 * DAY)
    store.retain(trust_clock=True)
    assert [event.event for event in store.alert(alert.alert_id).events] == [
        "opened", "deescalated", "resolved",
    ]  # fmt: skip
    assert mild not in {found.alert_id for found in store.alerts("all")}


def test_what_a_killed_run_left_of_an_alert_goes_the_next_time(
    store: MetricsStore, clock: SettableClock
) -> None:
    for _ in range(3):
        live(store, clock, "warning", acknowledged=True, days=0)
    live(store, clock, "critical")
    clock.advance(91 * DAY)
    policy = next(p for p in policies({}) if p.family is ALERTS)
    before_at = str(policy.before_at(clock.us))
    seqs = [row["seq"] for row in store.query("SELECT seq FROM alert_event ORDER BY seq")]
    rules = parse("hooks: [{name: run, on: [opened, resolved], command: ['true']}]")
    hook = "INSERT INTO alert_hook (hook, after_seq) VALUES ('run', 0)"
    store.database.write(lambda connection: connection.execute(hook))
    assert store.evaluate_alerts(rules, deliver=False).owed == 7
    # The first batch alone: of the second alert what opened it is gone, and its row with that.
    _batch(store.database, policy, seqs[:4], before_at, clock.us, _Pace())
    assert len(store.alerts("all")) == 2
    assert problems(store.path) == []
    # What is owed of it is told to nobody any more.
    assert len(store.evaluate_alerts(rules).deliveries) == 3
    store.retain(trust_clock=True)
    assert store.query("SELECT count(*) AS n FROM alert_event") == [{"n": 1}]
    assert len(store.alerts("all")) == 1
    assert store.alert_debts() == ()


def test_hooks_are_not_told_of_what_retention_has_deleted(
    store: MetricsStore, clock: SettableClock
) -> None:
    rules = parse("hooks: [{name: broken, command: [/bin/false]}]")
    store.evaluate_alerts(rules)
    live(store, clock, "warning", days=0)
    live(store, clock, "critical")
    assert store.evaluate_alerts(rules).owed == 2
    clock.advance(91 * DAY)
    store.retain(trust_clock=True)
    assert store.evaluate_alerts(rules).owed == 1
