"""`metrics-store executions`: what people and scripts get from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from commands import Done

from metrics_store import MetricsStore

ESC = "\x1b[31m"


@pytest.fixture
def call(call: Callable[..., Done]) -> Callable[..., Done]:
    """Run `executions` inside this process, in the test's folder, not in a terminal."""
    return partial(call, "executions", "--db", "e.db")


def test_what_is_recorded_is_listed_shown_and_added_up(call: Callable[..., Done]) -> None:
    recorded = call(
        "record", "t1", "--type", "fix", "--repo", "api", "--tier", "small", "--pool", "local",
        "--duration", 12.5, "--estimate", "0.000000005", "--cost", "0.000000003",
        "--quality", 88, "--rating", 4, "--summary", "retry", "--at", "10 minutes",
    )  # fmt: skip
    assert recorded == (0, "t1\n", "")
    assert call("record", "t2", "--error", "TimeoutError").code == 0
    [two, one] = call("list", "--json").json["executions"]
    assert (two["task_id"], two["success"], two["error_type"]) == ("t2", False, "TimeoutError")
    assert (one["actual_cost"], one["cost_estimate"], one["user_rating"]) == (3e-09, 5e-09, 4)
    shown = call("show", "t1", "--json").json
    assert shown == one
    for options in (("--repo", "api"), ("--succeeded",), ("--until", "5 minutes")):
        assert [e["task_id"] for e in call("list", "--json", *options).json["executions"]] == ["t1"]
    statistics = call("stats", "--range", "7d", "--json").json
    assert statistics["performance"]["success_rate"] == 50.0
    assert [tier["model_tier"] for tier in statistics["by_model_tier"]] == [None, "small"]
    performance = call("performance", "--json").json
    assert performance["cost"] == {"total_cost": 3e-09, "avg_cost": 3e-09, "avg_savings": 2e-09}
    status = call("status", "--json")
    assert (status.code, status.json["status"]) == (1, "error")  # half of them failed
    screen = call("stats").out
    assert "2 executions within 24h" in screen
    assert "$0.00000000300" in screen


def test_errors_have_exit_codes_and_say_what_to_do(
    call: Callable[..., Done], tmp_path: Path
) -> None:
    assert call("list").code == 3  # there is no store
    assert call("record", "t1", "--cost", "free").code == 2
    assert call("record", "t1").code == 0
    unknown = call("show", "t2")
    assert (unknown.code, unknown.out) == (1, "")
    assert "no execution 't2'" in unknown.err
    assert call("similar", "t1").code == 1
    assert call("similar").code == 2
    (tmp_path / "vector.json").write_text("[1, 2]")
    refused = call("similar", "--embedding", "vector.json")
    assert (refused.code, "384" in refused.err) == (2, True)
    assert call("stats", "--range", "2h").code == 2
    assert call("import", "nowhere.db").code == 3
    assert call("import", "e.db").code == 3
    duplicate = call("record", "t1", "--failed")
    assert (duplicate.code, "already" in duplicate.err) == (3, True)


def test_lines_of_json_are_recorded_together_or_not_at_all(
    call: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded(text: bytes) -> Done:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text)))
        return call("record", "--stdin")

    lines = (
        b'\xef\xbb\xbf{"task_id": "t1", "success": true}\n\n{"task_id": "t2", "success": false}\n'
    )
    assert recorded(lines) == (0, "t1\nt2\n", "Recorded 2 executions.\n")
    assert recorded(lines).err == "Recorded 0 executions, 2 were there already.\n"
    for wrong in (b"{", b"[]", b"\xff", lines, b'{"unheard_of": 1}'):
        refused = recorded(b'{"task_id": "t3", "success": true}\n' + wrong)
        assert (refused.code, refused.out) == (2, "")
        assert "line 2: " in refused.err
        assert "; nothing was recorded" in refused.err
    there = call("list", "--json").json["executions"]
    assert sorted(execution["task_id"] for execution in there) == ["t1", "t2"]


def test_an_import_tells_what_it_came_to(call: Callable[..., Done], tmp_path: Path) -> None:
    lines = [
        {"task_id": f"{ESC}old", "timestamp": "2026-03-01T10:00:00Z", "success": True},
        {"task_id": f"{ESC}bad", "timestamp": f"{ESC}never", "success": True},
    ]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = call("import", "e.jsonl", "--json")
    assert (done.code, done.json["inserted"], done.json["refused"]) == (1, 1, 1)
    screen = call("import", "e.jsonl")
    assert screen.code == 1
    assert "\x1b" not in screen.out + screen.err
    assert "line 2" in screen.out
    assert "\\x1b[31mold" in call("list").out
    (tmp_path / "e.jsonl").write_text(json.dumps(lines[0]))
    assert call("import", "e.jsonl").code == 0


def test_nearness_is_shown_without_the_one_itself(
    call: Callable[..., Done], tmp_path: Path
) -> None:
    vectors = {
        name: [float(n == at or n == 9) for n in range(384)] for at, name in enumerate("abc")
    }
    with MetricsStore(tmp_path / "e.db") as store:
        for name, vector in vectors.items():
            store.record_execution(name, success=True, embedding=vector, solution_summary=ESC)
    found = call("similar", "a", "--json", "-k", 5).json["similar"]
    assert [one["execution"]["task_id"] for one in found] == ["b", "c"]
    assert [one["similarity"] for one in found] == pytest.approx([0.5, 0.5])
    assert "\x1b" not in call("similar", "a").out
    (tmp_path / "vector.json").write_text(json.dumps(vectors["b"]))
    nearest = call("similar", "--embedding", "vector.json", "-k", 1, "--json").json["similar"]
    assert nearest[0]["execution"]["task_id"] == "b"
