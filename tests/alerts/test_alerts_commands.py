"""`alerts`: exit codes, JSON with keys that stay, and text that anybody may have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.clock import Clock
from metrics_store.render.alerts import show_alerts, show_evaluation, show_history
from metrics_store.render.screen import Screen

RULES = """
rules:
  - name: agents
    metric: agents.in_error
    critical: 0
hooks:
  - {name: fine, command: ["true"]}
  - {name: broken, command: [/bin/sh, -c, "echo oh >&2; exit 2"]}
"""
HOSTILE = 'a "b" \x1b[31m\n\u202e[bold]x'
ALERT = [
    "alert_id", "type", "severity", "title", "message", "source", "metadata", "acknowledged",
    "acknowledged_by", "acknowledged_at", "resolved", "resolved_by", "resolved_at", "created_at",
    "rule", "subject", "peak_severity", "updated_at",
]  # fmt: skip


@pytest.fixture
def db(open_store: Callable[..., MetricsStore], tmp_path: Path) -> Path:
    """A store on the real clock, with an agent of a hostile name in error; and rules for it."""
    with open_store("a.db", clock=Clock()) as store:
        store.record_agent_sample(HOSTILE, "error")
        store.evaluate_alerts(rules_in(tmp_path), deliver=False)
        store.resolve_alert(store.alerts()[0].alert_id)
    return Path(store.path)


def rules_in(folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text(RULES)
    return path


def test_the_way_of_an_alert(call: Callable[..., object], db: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    done = call("alerts", "evaluate", "--rules", rules, "--db", db)
    assert done.code == 1
    assert "opened      critical  agent is in error: a" in done.out
    assert "1 open alert" in done.out
    assert "hook broken was not told: exit code 2: oh" in done.err
    assert not any(sign in done.out for sign in "\x1b\u202e")
    listed = call("alerts", "list", "--json", "--db", db)
    assert listed.code == 0
    document = json.loads(listed.out)
    assert list(document) == ["evaluated_at", "alerts"]
    [alert] = document["alerts"]
    assert list(alert) == ALERT
    assert alert["subject"] == HOSTILE
    short = alert["alert_id"][-8:]
    done = call("alerts", "ack", short, "--by", HOSTILE, "--db", db)
    assert (done.code, done.err) == (0, "")
    assert "acknowledged by a" in done.out
    assert call("alerts", "list", "--state", "unacknowledged", "--db", db).out.startswith(
        "No unack"
    )
    shown = call("alerts", "show", short, "--json", "--db", db)
    assert [event["event"] for event in json.loads(shown.out)["events"]] == [
        "opened", "acknowledged",
    ]  # fmt: skip
    assert json.loads(shown.out)["alert"]["acknowledged_by"] == HOSTILE
    assert call("alerts", "resolve", short, "--db", db, "--json").code == 0
    done = call("alerts", "resolve", short, "--db", db)
    assert (done.code, "resolved already" in done.err) == (2, True)
    quiet = call("alerts", "evaluate", "--rules", rules, "--no-hooks", "--quiet", "--db", db)
    assert quiet.out.startswith("opened")
    quiet = call("alerts", "evaluate", "--rules", rules, "--no-hooks", "--quiet", "--db", db)
    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")


def test_no_alert_is_exit_code_0_and_json_says_everything(
    call: Callable[..., object], db: Path
) -> None:
    done = call("alerts", "evaluate", "--json", "--db", db)
    document = json.loads(done.out)
    assert done.code == 0
    assert document["open"] == []
    # It is in error still, and has to be for a minute.
    assert [(p["rule"], p["becomes"]) for p in document["pending"]] == [("agent-error", "error")]


def test_rules_are_shown_with_what_hooks_are_owed(
    call: Callable[..., object], db: Path, tmp_path: Path
) -> None:
    call("alerts", "evaluate", "--rules", tmp_path / "rules.yaml", "--db", db)
    shown = call("alerts", "rules", "--rules", tmp_path / "rules.yaml", "--db", db)
    assert shown.code == 0
    assert "agents.in_error" in shown.out
    assert "exit code 2: oh" in shown.out
    document = json.loads(
        call("alerts", "rules", "--rules", tmp_path / "rules.yaml", "--json", "--db", db).out
    )
    assert list(document) == ["rules", "hooks", "owed"]
    assert document["owed"][0]["hook"] == "broken"
    assert sum(document["rules"][0]["opened_daily"]) == 2
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules:\n  - name: a\n    metric: b\n")
    done = call("alerts", "rules", "--rules", wrong, "--db", db)
    assert (done.code, done.out) == (2, "")
    assert f"{wrong}: line 3: rule a: metric" in done.err
    printed = call("alerts", "rules", "--yaml")
    own = tmp_path / "own.yaml"
    own.write_text(printed.out)
    assert call("alerts", "rules", "--rules", own, "--db", db).code == 0
    assert "skills.success_rate" in call("alerts", "rules", "--metrics").out
    assert call("alerts", "rules", "--yaml", "--metrics").code == 2


def test_what_is_not_there_is_said(call: Callable[..., object], db: Path, tmp_path: Path) -> None:
    done = call("alerts", "show", "nothing", "--db", db)
    assert (done.code, done.out) == (2, "")
    assert "There is no such alert" in done.err
    done = call("alerts", "evaluate", "--rules", tmp_path / "none.yaml", "--db", db)
    assert done.code == 2
    assert call("alerts", "list", "--db", tmp_path / "none.db").code == 3


def test_one_is_raised_by_hand(call: Callable[..., object], db: Path) -> None:
    done = call(
        "alerts", "raise", HOSTILE, "more", "--severity", "critical", "--type", "task",
        "--source", "me", "--by", "jane", "--json", "--db", db,
    )  # fmt: skip
    alert = json.loads(done.out)
    assert (alert["title"], alert["message"], alert["severity"]) == (HOSTILE, "more", "critical")
    assert (alert["type"], alert["source"], alert["rule"]) == ("task", "me", None)


def test_alerts_of_before_are_taken_in(
    call: Callable[..., object], db: Path, tmp_path: Path
) -> None:
    source = tmp_path / "old.jsonl"
    alert = {"alert_id": HOSTILE, "type": "task", "severity": "info", "title": HOSTILE,
             "created_at": "2026-02-06T11:00:00"}  # fmt: skip
    source.write_text(json.dumps(alert) + "\n{}\n")
    done = call("alerts", "import", source, "--zone", "Europe/Berlin", "--json", "--db", db)
    assert done.code == 1
    assert "old.jsonl, line 2: alert_id is NoneType" in done.err
    document = json.loads(done.out)
    assert list(document) == [
        "source", "read", "inserted", "already_there", "retired", "invalid", "problems",
    ]  # fmt: skip
    assert (document["read"], document["inserted"], document["invalid"]) == (2, 1, 1)
    assert call("alerts", "import", tmp_path / "none", "--db", db).code == 3


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_pages_fit_the_terminal(
    store: MetricsStore, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    import io

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    store.record_agent_sample("x" * 300, "error")
    store.evaluate_alerts()
    store.database.clock.sleep(61)
    done = store.evaluate_alerts()
    alert = store.raise_alert("task", "info", "t" * 200, "m " * 300, source="s" * 90, by="b" * 90)
    store.acknowledge_alert(alert.alert_id, "y" * 50)
    terminal = Terminal()
    screen = Screen(terminal)
    now = store.database.clock.now_us()
    show_alerts(screen, store.alerts(), "open", done.evaluated_at, now)
    show_history(screen, store.alert(alert.alert_id), now)
    lines = terminal.getvalue().splitlines()
    assert len(lines) > 15
    assert max(map(len, lines)) <= columns
    show_evaluation(screen, done)
