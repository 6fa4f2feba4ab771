"""`skills list | show | timeline | search | sessions | summary`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import MetricsStore


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def test_a_list_has_a_line_for_each_skill_with_its_numbers(call, filled: Path) -> None:
    done = call("skills", "list", "--db", filled)
    assert done.err == ""
    head, first, *_ = done.out.splitlines()
    assert head.split()[:5] == ["skill", "runs", "completed", "p50", "p95"]
    assert first.split()[:4] == ["code-review", "12", "75.0", "%"]
    assert "2026-03-09 04:30" in first
    assert names(done.out) == ["code-review", "deploy", "docs"]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("runs", ["code-review", "deploy", "docs"]),
        ("name", ["code-review", "deploy", "docs"]),
        ("completion", ["code-review", "deploy", "docs"]),
        ("p95", ["deploy", "code-review", "docs"]),
        ("last", ["docs", "code-review", "deploy"]),
    ],
)
def test_a_list_is_sorted_as_asked(call, filled: Path, order: str, wanted: list[str]) -> None:
    assert names(call("skills", "list", "--sort", order, "--db", filled).out) == wanted
    limited = call("skills", "list", "--sort", order, "--limit", "2", "--db", filled).out
    assert names(limited) == wanted[:2]


def test_a_list_as_json_has_every_field_and_the_trend(call, filled: Path) -> None:
    skills = json.loads(call("skills", "list", "--json", "--db", filled).out)["skills"]
    with MetricsStore(filled) as store:
        for skill in skills:
            assert len(skill.pop("trend")) == 14
            assert skill == store.get_all_metrics()[skill["skill_name"]].as_dict()


def test_an_empty_store_says_so_and_lists_nothing(call, store: MetricsStore) -> None:
    done = call("skills", "list", "--db", store.path)
    assert (done.code, done.out) == (0, "")
    assert "No skill has ended an invocation yet." in done.err
    assert json.loads(call("skills", "list", "--json", "--db", store.path).out) == {"skills": []}
    assert call("skills", "summary", "--db", store.path).code == 0
    store.track_invocation("slow")
    assert "1 is in flight" in call("skills", "list", "--db", store.path).err


def test_one_skill_is_shown_whole(call, filled: Path) -> None:
    out = call("skills", "show", "code-review", "--db", filled).out
    for wanted in ("9  75.0 %", "TimeoutError", "full security", "run tests", "p50 20.", "UTC"):
        assert wanted in out
    assert "legacy" not in out


@pytest.mark.parametrize("exact", [(), ("--exact",)])
def test_one_skill_as_json_is_what_the_library_says(call, filled: Path, exact) -> None:
    shown = json.loads(call("skills", "show", "code-review", "--json", *exact, "--db", filled).out)
    shown.pop("trend")
    with MetricsStore(filled) as store:
        metrics = store.get_skill_metrics("code-review", exact=bool(exact))
    assert metrics is not None
    assert shown == metrics.as_dict()


def test_a_skill_that_is_only_in_flight_can_be_shown(call, store: MetricsStore) -> None:
    store.track_invocation("slow")
    done = call("skills", "show", "slow", "--db", store.path)
    assert done.code == 0
    assert "in flight" in done.out


@pytest.mark.parametrize("command", ["show", "timeline"])
def test_an_unknown_skill_exits_1_and_names_the_likely_ones(call, filled: Path, command) -> None:
    done = call("skills", command, "Code-Reveiw", "--db", filled)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: no invocation of 'Code-Reveiw' was ever recorded\nhint: did you mean code-review?\n"
    )
    assert "skills list shows all" in call("skills", command, "zzz", "--db", filled).err


def test_a_timeline_has_a_line_for_each_bucket_and_bars(call, filled: Path) -> None:
    arguments = ("code-review", "--window", "7 days", "--until", "last", "--db", filled)
    head, *lines = call("skills", "timeline", *arguments).out.splitlines()
    assert head.split() == ["from", "(UTC)", "runs", "completed", "average", "p50", "p95"]
    assert [line.split()[:2] for line in lines] == [
        ["2026-03-02", "0"],
        ["2026-03-03", "4"],
        ["2026-03-04", "4"],
        ["2026-03-05", "0"],
        ["2026-03-06", "0"],
        ["2026-03-07", "0"],
        ["2026-03-08", "0"],
        ["2026-03-09", "4"],
    ]
    assert [line.count("█") for line in lines] == [0, 24, 24, 0, 0, 0, 0, 24]


def test_a_timeline_as_json_follows_its_options(call, filled: Path) -> None:
    options = ("--window", "1 week", "--bucket", "week", "--zone", "Europe/Berlin")
    arguments = ("code-review", *options, "--until", "2026-03-09", "--json", "--db", filled)
    timeline = json.loads(call("skills", "timeline", *arguments).out)
    assert timeline["skill_name"] == "code-review"
    buckets = {point["time_bucket"]: point["invocations"] for point in timeline["points"]}
    assert buckets == {"2026-03-02T00:00:00+01:00": 8, "2026-03-09T00:00:00+01:00": 4}


def test_a_timeline_of_hours_shows_them(call, filled: Path) -> None:
    arguments = ("code-review", "--window", "3 hours", "--until", "last", "--db", filled)
    out = call("skills", "timeline", *arguments).out
    assert "2026-03-09 04:00     1" in out


@pytest.mark.parametrize(
    "wrong",
    [("--window", "soon"), ("--zone", "Mars/Base"), ("--until", "never"), ("--bucket", "year")],
)
def test_a_timeline_refuses_what_it_cannot_read(call, filled: Path, wrong) -> None:
    done = call("skills", "timeline", "code-review", *wrong, "--db", filled)
    assert (done.code, done.out) == (2, "")


def test_workflow_paths_are_found(call, filled: Path) -> None:
    out = call("skills", "search", "secur", "--db", filled).out
    assert "full security" in out
    found = json.loads(
        call("skills", "search", "full OR quick", "--fts", "--json", "--db", filled).out
    )
    assert [path["workflow_path"] for path in found["workflow_paths"]] == ["full security", "quick"]
    none = call("skills", "search", "nothing such", "--db", filled)
    assert (none.code, none.out) == (0, "")
    assert "No workflow path" in none.err
    assert call("skills", "search", '"', "--fts", "--db", filled).code == 2
    assert call("skills", "search", '"', "--db", filled).code == 0


def test_sessions_are_listed_and_shown(call, filled: Path) -> None:
    out = call("skills", "sessions", "--db", filled).out
    assert names(out) == ["session-9", "session-4", "session-3"]
    listed = json.loads(call("skills", "sessions", "--limit", "1", "--json", "--db", filled).out)
    assert [session["session_id"] for session in listed["sessions"]] == ["session-9"]
    one = call("skills", "sessions", "session-4", "--db", filled).out
    assert names(one) == ["code-review"]
    shown = json.loads(call("skills", "sessions", "session-4", "--json", "--db", filled).out)
    assert shown["session_id"] == "session-4"
    assert shown["skills"][0]["invocation_count"] == 4
    unknown = call("skills", "sessions", "session-5", "--db", filled)
    assert (unknown.code, unknown.out) == (1, "")
    assert "hint: " in unknown.err


def test_the_summary_counts_everything(call, filled: Path) -> None:
    out = call("skills", "summary", "--db", filled).out
    assert "14 invocations of 3 skills" in out
    assert "2026-03-03 01:30 to 2026-03-10 08:00 UTC" in out
    with MetricsStore(filled) as store:
        wanted = json.loads(json.dumps(store.get_summary().as_dict()))
    assert json.loads(call("skills", "summary", "--json", "--db", filled).out) == wanted


def test_a_pipe_gets_long_names_whole(
    call: Callable[..., object], open_store: Callable[..., MetricsStore]
) -> None:
    name = "long-" * 100
    store = open_store()
    store.record_invocation(name, workflow_path=name, session_id=name, error_type=name)
    for command in (
        ("skills", "list"),
        ("skills", "show", name),
        ("skills", "search", name),
        ("skills", "sessions"),
        ("invocations",),
    ):
        done = call(*command, "--db", store.path)
        assert name in done.out  # type: ignore[attr-defined]
        assert "…" not in done.out  # type: ignore[attr-defined]
