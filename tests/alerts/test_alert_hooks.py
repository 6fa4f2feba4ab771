"""Hooks: commands that really run, what they are told, and what becomes of those that fail."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path
from settable_clock import SettableClock
from watched import silence, silent_for

from metrics_store import MetricsStore
from metrics_store.alerts.rules import RuleSet

Open = Callable[..., MetricsStore]


def command(*words: str, more: str = "") -> RuleSet:
    return silence(hooks=f"hooks:\n  - name: run\n    command: {json.dumps(words)}\n{more}")


def shell(line: str, more: str = "") -> RuleSet:
    return command("/bin/sh", "-c", line, more=more)


def test_a_command_gets_the_alert_as_json_and_no_shell_sees_it(
    store: MetricsStore, clock: SettableClock, tmp_path: Path
) -> None:
    script = tmp_path / "hook.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')")
    target = tmp_path / "a $(touch oops); b"
    rules = command(sys.executable, str(script), str(target))
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(rules)
    assert [(d.hook, d.event, d.error) for d in done.deliveries] == [("run", "opened", "")]
    assert done.owed == 0
    clock.advance(1000)
    store.evaluate_alerts(rules)
    assert store.evaluate_alerts(rules).deliveries == ()
    told = [json.loads(line) for line in target.read_text().splitlines()]
    assert [one["event"]["event"] for one in told] == ["opened", "escalated"]
    assert told[0]["hook"] == "run"
    assert told[1]["alert"]["severity"] == "critical"
    assert told[1]["alert"] == store.alerts()[0].as_dict()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("echo no such pager >&2; exit 3", "exit code 3: no such pager"),
        ("kill -9 $$", "ended by signal 9"),
        ("exit 1", "exit code 1"),
    ],
)
def test_a_failing_hook_breaks_nothing_and_is_told_the_next_time(
    store: MetricsStore, clock: SettableClock, line: str, told: str
) -> None:
    rules = shell(line)
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(rules)
    assert [c.event for c in done.changes] == ["opened"]
    assert told in done.deliveries[0].error
    assert done.owed == 1
    [debt] = store.alert_debts()
    assert (debt.hook, debt.owed, debt.tries) == ("run", 1, 1)
    assert told in str(debt.error)
    again = store.evaluate_alerts(rules)
    assert (again.changes, again.deliveries[0].tries) == ((), 2)
    healed = store.evaluate_alerts(shell("cat"))
    assert [(d.tries, d.error) for d in healed.deliveries] == [(3, "")]
    assert store.alert_debts() == ()


def test_a_command_that_is_not_there_is_told_as_such(
    store: MetricsStore, clock: SettableClock
) -> None:
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(command("/no/such/program"))
    assert "cannot be run" in done.deliveries[0].error


def test_a_command_past_its_time_is_killed_with_its_children(
    store: MetricsStore, clock: SettableClock, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    line = f"sleep 60 & echo $! $$ >{shlex.quote(str(pids))}; echo going on >&2; wait"
    silent_for(store, clock, 61)
    began = time.monotonic()
    done = store.evaluate_alerts(shell(line, "    timeout: 1 s\n"))
    assert time.monotonic() - began < 20
    assert done.deliveries[0].error == "it ran longer than 1 s and was ended: going on"
    for pid in map(int, pids.read_text().split()):
        for _ in range(500):
            if not is_running(pid):
                break
            time.sleep(0.01)
        assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Nobody may have reaped it yet.
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_reads_nothing_or_leaves_a_child_behind_is_not_waited_for(
    store: MetricsStore, clock: SettableClock, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    store.raise_alert("system", "info", "first", source="x")
    store.evaluate_alerts(shell("true"))
    store.raise_alert("system", "info", "large", "m" * 16_000, source="x",
                      metadata={"large": "x" * 1_000_000})  # fmt: skip
    began = time.monotonic()
    done = store.evaluate_alerts(shell(f"sleep 60 & echo $! >{child}"))
    assert time.monotonic() - began < 30
    os.kill(int(child.read_text()), signal.SIGKILL)
    assert [d.error for d in done.deliveries] == [""]


def test_a_hook_is_not_told_of_what_was_before_it(
    store: MetricsStore, clock: SettableClock
) -> None:
    store.raise_alert("system", "info", "old", source="x")
    assert store.evaluate_alerts(shell("true")).deliveries == ()
    store.raise_alert("system", "info", "new", source="x")
    assert len(store.evaluate_alerts(shell("true")).deliveries) == 1


def test_a_hook_is_told_of_the_events_and_severities_it_asks_for(
    store: MetricsStore, clock: SettableClock
) -> None:
    rules = shell("true", "    on: [opened, resolved]\n    at_least: error\n")
    store.evaluate_alerts(rules)
    mild = store.raise_alert("system", "warning", "mild", source="x")
    bad = store.raise_alert("system", "error", "bad", source="x")
    for alert in (mild, bad):
        store.acknowledge_alert(alert.alert_id)
        store.resolve_alert(alert.alert_id)
    told = store.evaluate_alerts(rules).deliveries
    assert [(d.alert_id, d.event) for d in told] == [
        (bad.alert_id, "opened"), (bad.alert_id, "resolved"),
    ]  # fmt: skip


def test_hooks_may_wait_for_another_evaluation(store: MetricsStore, clock: SettableClock) -> None:
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(shell("true"), deliver=False)
    assert (done.deliveries, done.owed) == ((), 1)
    assert len(store.evaluate_alerts(shell("true")).deliveries) == 1


def test_one_that_always_fails_does_not_keep_the_others_waiting(
    store: MetricsStore, clock: SettableClock
) -> None:
    """What was tried least comes first, and after a failure the hook has a rest."""
    rules = shell("grep -q poison && exit 1; exit 0")
    store.evaluate_alerts(rules)
    store.raise_alert("system", "info", "poison", source="x")
    store.raise_alert("system", "info", "fine", source="x")
    first = store.evaluate_alerts(rules)
    assert [bool(d.error) for d in first.deliveries] == [True]
    second = store.evaluate_alerts(rules)
    assert [bool(d.error) for d in second.deliveries] == [False, True]
    assert second.owed == 1


_EVALUATE = """
import sys
sys.path.insert(0, sys.argv[3])
from watched import silence
from metrics_store import MetricsStore

with MetricsStore(sys.argv[1]) as store:
    store.raise_alert("system", "info", "new", source="x")
    line = f"echo told >{sys.argv[2]}; sleep 60"
    hook = f"{{name: run, timeout: 60 s, command: [/bin/sh, -c, '{line}']}}"
    store.evaluate_alerts(silence(hooks=f"hooks: [{hook}]"))
"""


def test_whoever_dies_telling_a_hook_leaves_it_to_another_after_a_while(
    open_store: Open, clock: SettableClock, tmp_path: Path
) -> None:
    store = open_store()
    told = tmp_path / "told"
    store.evaluate_alerts(shell("true", "    timeout: 60 s\n"))
    killed = subprocess.Popen(
        [sys.executable, "-c", _EVALUATE, store.path, str(told), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": python_path()},
        start_new_session=True,
    )
    for _ in range(3000):
        if told.exists():
            break
        time.sleep(0.01)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children")
    left = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    killed.kill()
    killed.wait()
    for pid in left:
        os.killpg(pid, signal.SIGKILL)  # the hook's own group
    [owed] = store.query("SELECT claimed_until FROM alert_owed")
    clock.set(str(owed["claimed_until"]))
    clock.advance(-1)
    assert store.evaluate_alerts(shell("true", "    timeout: 60 s\n")).deliveries == ()
    clock.advance(1)
    done = store.evaluate_alerts(shell("true", "    timeout: 60 s\n"))
    assert [d.error for d in done.deliveries] == [""]
