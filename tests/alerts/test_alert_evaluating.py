"""Evaluating: alerts that open, escalate, fall and end, whoever evaluates."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems, python_path
from settable_clock import SettableClock
from watched import GRACE, beat, silence, silent_for

from metrics_store import MetricsStore
from metrics_store.alerts.rule_file import parse
from metrics_store.errors import AlertNotFound, InvalidQuery, InvalidValue

Open = Callable[..., MetricsStore]


def test_an_alert_opens_once_escalates_falls_and_ends(
    store: MetricsStore, clock: SettableClock
) -> None:
    rules = silence()
    silent_for(store, clock, 61)
    [opened] = store.evaluate_alerts(rules).changes
    assert (opened.event, opened.alert.severity) == ("opened", "warning")
    heard = clock_text(clock, -GRACE - 61)
    assert opened.alert.message == f"61 seconds, above 1 minute (last heard of {heard})."
    assert store.evaluate_alerts(rules).changes == ()
    clock.advance(300)
    [escalated] = store.evaluate_alerts(rules).changes
    assert (escalated.event, escalated.alert.severity) == ("escalated", "error")
    assert escalated.alert.alert_id == opened.alert.alert_id
    beat(store)
    clock.advance(GRACE + 70)
    [fallen] = store.evaluate_alerts(rules).changes
    assert (fallen.event, fallen.alert.severity, fallen.alert.peak_severity) == (
        "deescalated", "warning", "error",
    )  # fmt: skip
    beat(store)
    clock.advance(1)
    done = store.evaluate_alerts(rules)
    assert [(c.event, c.alert.resolved) for c in done.changes] == [("resolved", True)]
    assert done.open == ()
    history = store.alert(opened.alert.alert_id)
    assert [event.event for event in history.events] == [
        "opened", "escalated", "deescalated", "resolved",
    ]  # fmt: skip
    assert history.events[-1].lasted_seconds == 300 + GRACE + 71


def clock_text(clock: SettableClock, seconds: float) -> str:
    from metrics_store.clock import text

    return text(clock.us + round(seconds * 1e6))


def test_a_value_has_to_stay_before_an_alert_follows(
    store: MetricsStore, clock: SettableClock
) -> None:
    rules = silence(hold=120, clear=60)
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(rules)
    assert done.changes == ()
    [waiting] = done.pending
    assert (waiting.rule, waiting.subject, waiting.becomes) == ("silent", "librarian", "warning")
    assert waiting.due_at == clock_text(clock, 120)
    clock.advance(119.999999)
    assert store.evaluate_alerts(rules).changes == ()
    clock.advance(0.000001)
    assert [c.event for c in store.evaluate_alerts(rules).changes] == ["opened"]
    beat(store)
    [waiting] = store.evaluate_alerts(rules).pending
    assert waiting.becomes == "resolved"
    clock.advance(60)
    assert [c.event for c in store.evaluate_alerts(rules).changes] == ["resolved"]
    assert store.query("SELECT * FROM alert_signal") == []


def test_an_acknowledged_alert_stays_so_while_it_lasts_and_no_longer(
    store: MetricsStore, clock: SettableClock
) -> None:
    rules = silence()
    silent_for(store, clock, 61)
    alert = store.evaluate_alerts(rules).open[0]
    known = store.acknowledge_alert(alert.alert_id[-6:], by="jane")
    assert (known.acknowledged, known.acknowledged_by) == (True, "jane")
    again = store.acknowledge_alert(alert.alert_id, by="joe")
    assert again == known
    clock.advance(1000)
    [escalated] = store.evaluate_alerts(rules).changes
    assert (escalated.event, escalated.alert.acknowledged) == ("escalated", True)
    assert store.alerts("unacknowledged") == ()
    beat(store)
    store.evaluate_alerts(rules)
    with pytest.raises(InvalidValue, match="is resolved"):
        store.acknowledge_alert(alert.alert_id)
    clock.advance(GRACE + 61)
    [another] = store.evaluate_alerts(rules).changes
    assert another.event == "opened"
    assert another.alert.alert_id != alert.alert_id
    assert not another.alert.acknowledged


def test_what_is_resolved_by_hand_has_to_be_bad_for_as_long_again(
    store: MetricsStore, clock: SettableClock
) -> None:
    rules = silence(hold=60)
    silent_for(store, clock, 61)
    store.evaluate_alerts(rules)
    clock.advance(60)
    alert = store.evaluate_alerts(rules).open[0]
    done = store.resolve_alert(alert.alert_id, by="jane")
    assert (done.resolved, done.resolved_by) == (True, "jane")
    with pytest.raises(InvalidValue, match="resolved already"):
        store.resolve_alert(alert.alert_id)
    assert store.evaluate_alerts(rules).changes == ()
    clock.advance(60)
    assert [c.event for c in store.evaluate_alerts(rules).changes] == ["opened"]


def test_an_alert_raised_by_hand_lasts_until_somebody_resolves_it(store: MetricsStore) -> None:
    hostile = 'a "b" \x1b[31m\n\u202e' + "x" * 16_000
    alert = store.raise_alert(
        "agent", "error", hostile, hostile, source=hostile, by=hostile, metadata={"a": [1, None]}
    )
    assert store.evaluate_alerts().open == (alert,)
    assert (alert.title, alert.source, alert.metadata) == (hostile, hostile, {"a": [1, None]})
    assert alert.rule is None
    for type, severity, title, source in (
        ("disk", "error", "a", "b"),
        ("agent", "bad", "a", "b"),
        ("agent", "error", "", "b"),
        ("agent", "error", "a", "\ud800"),
    ):
        with pytest.raises(InvalidValue):
            store.raise_alert(type, severity, title, source=source)
    for missing in ("nothing", "\ud800" * 5, "", "%", "é" * 9):
        with pytest.raises(AlertNotFound):
            store.alert(missing)
    for wrong in (
        lambda: store.alerts(limit=0),
        lambda: store.alerts("gone"),
        lambda: store.alerts(severity="bad"),
        lambda: store.alert_counts(0),
        lambda: store.alert(5),
    ):
        with pytest.raises(InvalidQuery):
            wrong()
    with pytest.raises(AlertNotFound):
        store.alert(alert.alert_id[-2:])
    store.resolve_alert(alert.alert_id)
    assert store.alerts() == ()
    assert len(store.alerts("all", severity="error", type="agent")) == 1
    assert store.alerts("all", severity="critical") == ()


def test_rules_that_are_not_evaluated_leave_their_alerts_alone(
    store: MetricsStore, clock: SettableClock
) -> None:
    silent_for(store, clock, 61)
    store.evaluate_alerts(silence(name="one"))
    beat(store)
    done = store.evaluate_alerts(silence(name="other"))
    assert [alert.rule for alert in done.open] == ["one"]
    assert store.evaluate_alerts(silence(name="one")).open == ()


def test_a_subject_that_is_gone_is_no_longer_bad(store: MetricsStore, clock: SettableClock) -> None:
    for i in range(10):
        store.record_invocation("deploy", completed=i > 5)
    rules = parse(
        "rules:\n  - name: a\n    metric: skills.success_rate\n    window: 1 hour\n    warning: 85"
    )
    assert [c.event for c in store.evaluate_alerts(rules).changes] == ["opened"]
    clock.advance(3 * 3600)
    assert [c.event for c in store.evaluate_alerts(rules).changes] == ["resolved"]


def test_the_store_has_no_two_open_alerts_of_a_rule_and_subject(
    store: MetricsStore, clock: SettableClock
) -> None:
    """Were the transaction not enough: the index refuses the second one."""
    silent_for(store, clock, 61)
    store.evaluate_alerts(silence())
    from metrics_store.alerts import events

    with pytest.raises(Exception, match="UNIQUE"):
        store.database.write(
            lambda connection: events.open_alert(
                connection,
                clock.us,
                type="system",
                severity="error",
                title="again",
                message="",
                source="silent",
                rule="silent",
                subject="librarian",
            )
        )
    assert len(store.alerts()) == 1


def test_the_order_in_which_events_come_does_not_matter(
    open_store: Open, clock: SettableClock
) -> None:
    """An alert's row is a function of the rows of its log."""
    from metrics_store import logs
    from metrics_store.families.alerts import ALERTS

    first, second = open_store("first.db"), open_store("second.db")
    silent_for(first, clock, 61)
    for _ in range(2):
        alert = first.evaluate_alerts(silence()).open[0]
        clock.advance(500)
    first.acknowledge_alert(alert.alert_id, "jane")
    first.resolve_alert(alert.alert_id, "joe")
    names = ", ".join(ALERTS.columns)
    rows = [tuple(row.values()) for row in first.query(f"SELECT {names} FROM alert_event")]
    assert len(rows) == 4
    for row in reversed(rows):
        second.database.write(lambda c, row=row: logs.append(c, ALERTS, [row]))
    assert second.alerts("all") == first.alerts("all")
    assert second.database.write(lambda c: logs.append(c, ALERTS, rows)) == 0


_EVALUATE = """
import sys
from metrics_store import MetricsStore
from metrics_store.alerts.rule_file import parse

store = MetricsStore(sys.argv[1], durability="normal")
rules = parse(sys.argv[2])
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
for n in range(15):
    store.record_agent_sample("a", "error" if n % 2 else "active")
    store.evaluate_alerts(rules)
store.close()
"""


def test_processes_that_evaluate_at_once_agree(new_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    shutil.copyfile(new_file, path)
    rules = "rules:\n  - {name: agents, metric: agents.in_error, error: 0}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _EVALUATE, str(path), rules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": python_path()},
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    with MetricsStore(path) as store:
        events = store.query("SELECT alert_id, event FROM alert_event ORDER BY seq")
        number = store.query("SELECT number FROM alert_evaluation")[0]["number"]
    assert number == 45
    # One after the other: opened, resolved, opened, resolved ... and each pair of one alert.
    kinds = [event["event"] for event in events]
    assert kinds == (["opened", "resolved"] * len(kinds))[: len(kinds)]
    ids = [event["alert_id"] for event in events]
    assert all(one == other for one, other in zip(ids[::2], ids[1::2], strict=False))
    assert problems(path) == []


def test_what_an_evaluation_gives_is_json(store: MetricsStore, clock: SettableClock) -> None:
    silent_for(store, clock, 61)
    found = json.loads(json.dumps(store.evaluate_alerts(silence()).as_dict()))
    assert list(found) == [
        "number", "evaluated_at", "rules", "subjects", "changes", "pending", "open", "deliveries",
        "owed",
    ]  # fmt: skip
    assert found["changes"][0]["alert"]["metadata"] == {
        "metric": "services.silent_seconds",
        "value": 61.0,
        "compare": "above",
        "limit": 60.0,
        "window_seconds": None,
    }
