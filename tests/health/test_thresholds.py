"""Files of thresholds: what overrides what, and everything that is refused, with its reason."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import InvalidThresholds
from metrics_store.health.rules import BY_METRIC, RULES, Limits
from metrics_store.health.thresholds import DEFAULTS, load, parse

EXAMPLE = Path(__file__).parents[2] / "examples" / "health-thresholds.yaml"


def test_what_is_not_named_keeps_its_default_level_by_level() -> None:
    given = parse("wal_mb:\n  warning: 32\noldest_reader_s: {error: null, critical: 7200}\n")
    assert given.of("wal_mb") == Limits(warning=32, error=256)
    assert given.of("oldest_reader_s") == Limits(warning=60, critical=7200)
    assert given.of("backup_age_hours") == DEFAULTS.of("backup_age_hours")
    assert type(given.of("wal_mb").warning) is int


def test_every_level_of_every_number_can_be_set_and_switched_off() -> None:
    for rule in RULES:
        if rule.bad is None:
            continue
        off = parse(f"{rule.metric}: {{warning: null, error: ~, critical: Null}}")
        assert off.of(rule.metric) == Limits()
        first, last = (1, 3) if rule.bad == "above" else (3, 1)
        text = f"{rule.metric}: {{warning: {first}, error: 2.5e0, critical: {last}}}"
        assert parse(text).of(rule.metric) == Limits(first, 2.5, last)


def test_the_example_is_taken_and_differs_from_the_defaults_in_what_it_names() -> None:
    given = load(EXAMPLE)
    assert len(given.changed) >= 6
    for metric, limits in given.changed.items():
        assert limits != BY_METRIC[metric].limits, metric
    document = given.as_dict()
    assert document["wal_mb"] == {"bad": "above", "warning": 32, "error": 128, "critical": None}
    assert set(document) == {rule.metric for rule in RULES if rule.bad is not None}


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("", "it is empty", "wal_mb"),
        ("# nothing\n", "it is empty", "wal_mb"),
        ("---\n", "it is empty", "wal_mb"),
        ("null", "it is empty", "wal_mb"),
        ("{}", "it is empty", "wal_mb"),
        ("5", "not a table of metrics", "wal_mb"),
        ("wal_mb", "not a table of metrics", "wal_mb"),
        ("- wal_mb", "a list has no place here", "wal_mb"),
        ("wal: {warning: 1}", "line 1: there is no metric 'wal'", "--stats"),
        ("\n\nwal: {warning: 1}", "line 3: there is no metric 'wal'", "--stats"),
        ("durability: {warning: 1}", "durability is no number", "--stats"),
        ("last_backup_at: {warning: 1}", "last_backup_at is no number", "--stats"),
        ("wal_mb: 5", "wal_mb needs levels", "wal_mb"),
        ("wal_mb:", "wal_mb needs levels", "wal_mb"),
        ("wal_mb: null", "wal_mb needs levels", "wal_mb"),
        ("wal_mb: {}", "wal_mb needs levels", "wal_mb"),
        ("wal_mb: [1, 2]", "a list has no place here", "wal_mb"),
        ("wal_mb: {high: 5}", "wal_mb has no level 'high'", "warning, error, critical"),
        ("wal_mb: {Warning: 5}", "wal_mb has no level 'Warning'", "warning, error, critical"),
        ("wal_mb: {warning: high}", "wal_mb: warning is 'high'", "a number"),
        ("wal_mb: {warning: '64'}", "wal_mb: warning is '64'", "a number"),
        ("wal_mb: {warning: }", "wal_mb: warning is ''", "null to switch"),
        ("wal_mb: {warning: true}", "wal_mb: warning is 'true'", "a number"),
        ("wal_mb: {warning: .nan}", "wal_mb: warning is '.nan'", "a number"),
        ("wal_mb: {warning: .inf}", "wal_mb: warning is '.inf'", "a number"),
        ("wal_mb: {warning: 1e999}", "wal_mb: warning is '1e999'", "a number"),
        ("wal_mb: {warning: 1:30}", "wal_mb: warning is '1:30'", "a number"),
        ("wal_mb: {warning: 0x40}", "wal_mb: warning is '0x40'", "a number"),
        ("wal_mb: {warning: 64 MiB}", "wal_mb: warning is '64 MiB'", "a number"),
        ("wal_mb: {warning: {a: 1}}", "wal_mb: warning is a table", "a number"),
        ("wal_mb: {warning: 65, error: 64}", "warning 65 MiB, error 64 MiB", "at or above"),
        ("wal_mb: {warning: 300}", "warning 300 MiB, error 256 MiB (the default)", "error: null"),
        ("wal_mb: {error: 10}", "warning 64 MiB (the default), error 10 MiB", "set both"),
        ("backup_age_hours: {critical: 100}", "error 7 days (the default)", "at or above"),
        ("disk_days_left: {warning: 1}", "warning 1 day, error 7 days", "at or below"),
        ("wal_mb: {warning: 1, warning: 2}", "wal_mb has warning twice", ""),
        ("wal_mb: {warning: 1}\nwal_mb: {warning: 2}", "line 2: wal_mb stands there twice", ""),
        ("wal_mb: &a {warning: 1}", "anchors and aliases", ""),
        ("wal_mb: {warning: *a}", "anchors and aliases", ""),
        ("wal_mb: {warning: !!int 1}", "tags are not taken", ""),
        ("!!python/object/apply:os.system ['true']", "tags are not taken", ""),
        ("wal_mb: {warning: 1}\n---\nwal_mb: {warning: 2}", "a second document", ""),
        ("wal_mb: {warning: 1", "line 1: ", ""),
        ("wal_mb:\n\twarning: 1", "line 2: ", ""),
        ("{a: {b: {c: 1}}}", "there is no metric 'a'", ""),
        ("wal_mb: {warning: 1}\n\0", "a character that YAML does not allow", ""),
        ("? {wal_mb: 1}\n: 1", "the name of a metric is a word", ""),
        ("[" * 20_000, "a list has no place here", ""),
        ("{" * 20_000, "the name of a metric is a word", ""),
        ("<<: {wal_mb: 1}", "there is no metric '<<'", ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(text: str, reason: str, hint: str) -> None:
    with pytest.raises(InvalidThresholds) as refused:
        parse(text)
    assert reason in refused.value.detail
    assert hint in refused.value.hint
    assert refused.value.exit_code == 2


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    lines = ["a: &a [x, x]", *(f"{c}: &{c} [*{p}, *{p}]" for p, c in pairwise("abcdefghi"))]
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidThresholds, match="there is no metric 'a'"):
        load(path)


def test_a_file_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    with pytest.raises(InvalidThresholds, match=r"t\.yaml: No such file"):
        load(path)
    with pytest.raises(InvalidThresholds, match=r"directory|not a regular file"):
        load(tmp_path)
    path.write_bytes(b"wal_mb: {warning: 1} # \xff")
    with pytest.raises(InvalidThresholds, match=r"t\.yaml: it is not UTF-8"):
        load(path)
    path.write_bytes(b"#" * 65_537)
    with pytest.raises(InvalidThresholds, match="larger than 65,536 bytes"):
        load(path)
    path.write_bytes(b"\xef\xbb\xbfwal_mb: {warning: 1}\r\n")
    assert load(path).of("wal_mb").warning == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidThresholds, match="not a regular file"):
        load(pipe)


@given(
    st.one_of(
        st.text(max_size=80),
        st.text(alphabet="wal_mb: {}[]&*!|>'\"%@\n\t-?,#0159.e+null", max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=8)),
            lambda inner: st.dictionaries(st.sampled_from([*BY_METRIC, "warning"]), inner),
            max_leaves=6,
        ).map(str),
    )
)
@example("wal_mb: {warning: 1}\n...\n%YAML 9.9\n---\n")
def test_any_text_is_taken_or_refused_in_our_words(text: str) -> None:
    try:
        taken = parse(text)
    except InvalidThresholds:
        return  # anything else that it raises fails the test
    assert taken.changed


def test_a_store_can_be_judged_by_a_file(store: MetricsStore, tmp_path: Path) -> None:
    assert store.health().status == "OK"
    file = tmp_path / "thresholds.yaml"
    file.write_text("database_mb: {warning: 0.001}\n", encoding="utf-8")
    [finding] = store.health(file).findings
    assert (finding.metric, finding.level, finding.threshold) == ("database_mb", "WARNING", 0.001)
    file.write_text("database_mb: {worse: 1}\n", encoding="utf-8")
    with pytest.raises(InvalidThresholds, match=r"thresholds\.yaml"):
        store.health(file)
