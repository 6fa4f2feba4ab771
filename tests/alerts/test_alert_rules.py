"""Rules from YAML: what is understood, and that everything else is refused with its line."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from documents import ROOT
from hypothesis import given
from hypothesis import strategies as st

from metrics_store.alerts.metrics import METRICS
from metrics_store.alerts.rule_file import load, parse, shipped, shipped_text
from metrics_store.errors import InvalidRules

RULE = "rules:\n  - name: a\n    metric: skills.success_rate\n    warning: 85\n"


def test_a_rule_takes_what_it_does_not_say_from_its_metric() -> None:
    [rule] = parse(RULE).rules
    metric = METRICS["skills.success_rate"]
    assert (rule.compare, rule.type) == (metric.compare, metric.type)
    assert (rule.window_us, rule.at_least) == (metric.window_us, metric.at_least)
    assert (rule.for_us, rule.clear_us, rule.subject) == (0, 0, "*")


def test_clearing_takes_as_long_as_opening_unless_it_is_said() -> None:
    [rule] = parse(RULE + "    for: 5 min\n").rules
    assert (rule.for_us, rule.clear_us) == (300_000_000, 300_000_000)
    [rule] = parse(RULE + "    for: 5 min\n    clear_for: 0\n").rules
    assert (rule.for_us, rule.clear_us) == (300_000_000, 0)


@pytest.mark.parametrize(
    ("compare", "value", "rank"),
    [
        ("below", 85, 0), ("below", 84.9, 2), ("below", 70, 2), ("below", 69.9, 4),
        ("below", None, 0),
    ],
)  # fmt: skip
def test_a_level_itself_is_still_fine(compare: str, value: float | None, rank: int) -> None:
    [rule] = parse(RULE + f"    critical: 70\n    compare: {compare}\n").rules
    assert rule.rank(value) == rank


def test_subjects_are_chosen_by_stars_and_question_marks_alone() -> None:
    [rule] = parse(RULE + "    subject: 'build[1]*?'\n").rules
    assert rule.is_about("build[1]x")
    assert not rule.is_about("build1xx")
    assert not rule.is_about("build[1]")


WRONG = [
    ("", "empty"),
    ("rules: 5", "line 1: rules: it is not a list"),
    ("rules:\n  - 5", "line 2: a rule: it is not a table"),
    ("rule:\n  - name: a", "line 2: there is no 'rule' here"),
    ("- rules", "line 1: it is not a table"),
    ("rules:\n  - metric: skills.success_rate", "line 2: rules: a rule needs a name"),
    ("rules:\n  - name: a b\n    metric: x", "line 2: a rule: name: 'a b' is no name"),
    ("rules:\n  - name: a", "line 2: rule a: it needs a metric"),
    ("rules:\n  - name: a\n    metric: x", "line 3: rule a: metric: there is no 'x'"),
    ("rules:\n  - name: a\n    metric: agents.in_error", "line 2: rule a: it needs a level"),
    (RULE + "    critical: 90", "line 5: rule a: critical: it is 90, and warning is 85"),
    (RULE + "    error: high", "line 5: rule a: error: it is 'high'"),
    (RULE + "    error: '70'", "line 5: rule a: error: it is '70'"),
    (RULE + "    error: .nan", "line 5: rule a: error: it is '.nan'"),
    (RULE + "    error: 1e999", "line 5: rule a: error: it is '1e999'"),
    (RULE + "    error:", "line 5: rule a: error: it needs a text"),
    (RULE + "    warning: 80", "line 5: a rule: warning stands there twice"),
    (RULE + "    fro: 5 min", "line 5: a rule: there is no 'fro' here"),
    (RULE + "    for: soon", "line 5: rule a: for: 'soon' is no span of time"),
    (RULE + "    for: 2 years", "line 5: rule a: for: it is more than a year"),
    (RULE + "    for: -5 min", "line 5: rule a: for: '-5 min' is no span of time"),
    (RULE + "    window: 1 s", "line 5: rule a: window: it is not within"),
    (RULE + "    compare: under", "line 5: rule a: compare: it is 'under'"),
    (RULE + "    type: disk", "line 5: rule a: type: it is 'disk'"),
    (RULE + "    at_least: 0", "line 5: rule a: at_least: it is 0"),
    (RULE + "    at_least: 1.5", "line 5: rule a: at_least: it is 1.5"),
    (RULE + RULE[7:], "line 5: rules: a stands there twice"),
    (RULE.replace("85", "*x"), "anchors and aliases"),
    (RULE.replace("85", "&x 85"), "line 4: anchors and aliases are not taken"),
    (RULE.replace("85", "!!float 85"), "line 4: tags are not taken"),
    (RULE + "  x: [", "line"),
    ("rules: " + "[" * 30 + "]" * 30, "nested too deeply"),
    (RULE + "---\nrules: []", "line 5"),
    ("rules:\n  - name: a\n    metric: database.size_mb\n    window: 1 day\n    error: 1",
     "line 4: rule a: window: database.size_mb is of the moment"),
    ("rules:\n  - name: a\n    metric: database.size_mb\n    at_least: 1\n    error: 1",
     "line 4: rule a: at_least: database.size_mb counts no runs"),
    ("hooks:\n  - name: h", "line 2: hook h: it needs a command or a webhook"),
    ("hooks:\n  - name: h\n    command: rm", "line 3: hook h: command: it is not a list"),
    ("hooks:\n  - name: h\n    webhook: file:///etc/passwd", "line 3: hook h: webhook: it is no"),
    ("hooks:\n  - name: h\n    webhook: http://", "line 3: hook h: webhook: it is no address"),
    ("hooks:\n  - name: h\n    webhook: http://a:b@c/", "line 3: hook h: webhook: a name and"),
    ('hooks:\n  - name: h\n    webhook: "http://a/\\r\\nX: y"', "webhook: it is no address"),
    ('hooks:\n  - name: h\n    webhook: http://a\n    headers: {A: "b\\r\\nc: d"}', "no header"),
    ("hooks:\n  - name: h\n    command: [a]\n    headers: {A: b}", "line 4: hook h: headers"),
    ("hooks:\n  - name: h\n    command: [a]\n    timeout: 1 hour", "line 4: hook h: timeout"),
    ("hooks:\n  - name: h\n    command: [a]\n    on: [closed]", "line 4: hook h: on: it is"),
    ("hooks:\n  - name: h\n    command: [a]\n    tries: 99", "line 4: hook h: tries: it is 99"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_makes_no_sense_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(InvalidRules) as caught:
        parse(text)
    assert told in caught.value.detail


@given(st.text(max_size=200) | st.text("rules:hok -\n[]{}'\"&*!|>#85abc", max_size=200))
def test_any_text_is_taken_or_refused(text: str) -> None:
    with suppress(InvalidRules):
        assert parse(text).rules is not None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, pipe, wrong, large = (tmp_path / name for name in ("no", "pipe", "wrong", "large"))
    os.mkfifo(pipe)
    wrong.write_text("rules: 5")
    large.write_bytes(b"#" * 300_000)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (missing, pipe, wrong, large, binary, tmp_path):
        with pytest.raises(InvalidRules, match=str(path)):
            load(path)


def test_a_file_of_hooks_alone_is_for_the_shipped_rules() -> None:
    known = parse("hooks:\n  - name: h\n    command: [notify]\n")
    assert known.rules == shipped().rules
    assert known.hooks[0].wants("opened", "info")
    assert known.hooks[0].wants("escalated", "critical")
    assert not known.hooks[0].wants("resolved", "critical")


def test_the_shipped_rules_are_those_that_were_asked_for() -> None:
    limits = {(rule.metric, *rule.levels) for rule in shipped().rules}
    assert limits == {
        ("skills.success_rate", ("warning", 85), ("critical", 70)),
        ("skills.error_rate", ("warning", 10), ("critical", 25)),
        ("executions.success_rate", ("warning", 85), ("critical", 70)),
        ("executions.error_rate", ("warning", 10), ("critical", 25)),
        ("executions.recent", ("warning", 1)),
        ("database.size_mb", ("warning", 500), ("critical", 1024)),
        ("services.silent_seconds", ("error", 0)),
        ("agents.in_error", ("error", 0)),
    }
    assert parse(shipped_text()) == shipped()


def test_the_example_is_understood_and_shows_every_word() -> None:
    text = (ROOT / "examples" / "alert-rules.yaml").read_text(encoding="utf-8")
    known = load(ROOT / "examples" / "alert-rules.yaml")
    assert known.rules
    assert {bool(hook.command) for hook in known.hooks} == {True, False}
    for word in ("subject", "window", "compare", "for", "clear_for", "at_least", "title", "type",
                 "headers", "timeout", "tries", "backoff", "on"):  # fmt: skip
        assert f"{word}:" in text, word
