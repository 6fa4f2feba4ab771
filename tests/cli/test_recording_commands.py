"""`record`, `reap`, `invocations` and `export`."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from metrics_store import MetricsStore


def test_recording_makes_the_store_and_prints_the_id(call, tmp_path: Path) -> None:
    done = call("record", "code-review", "--db", tmp_path / "deep" / "new.db")
    assert (done.code, done.err) == (0, "")
    with MetricsStore(tmp_path / "deep" / "new.db") as store:
        assert [row.id for row in store.invocations().invocations] == [done.out.strip()]


def test_everything_that_can_be_said_is_recorded(call, tmp_path: Path) -> None:
    database = tmp_path / "m.db"
    done = call(
        *("record", "deploy", "--error", "Timeout", "--duration", "2.5", "--path", "blue"),
        *("--session", "s", "--project", "p", "--at", "2026-03-01T12:00:00+01:00"),
        *("--action", "retry", "--action", "ask", "--attribute", "host=a=b", "--id", "one"),
        *("--db", database),
    )
    assert done.out == "one\n"
    with MetricsStore(database) as store:
        row = store.get_invocation("one")
    assert row is not None
    assert (row.skill_name, row.outcome, row.error_type) == ("deploy", "failed", "Timeout")
    assert (row.invoked_at, row.duration_seconds) == ("2026-03-01T11:00:00.000000Z", 2.5)
    assert (row.workflow_path, row.session_id, row.project_path) == ("blue", "s", "p")
    assert row.follow_up_actions == ("retry", "ask")
    assert row.attributes == {"host": "a=b"}


def test_the_same_id_twice_counts_once_and_never_for_another_record(call, tmp_path: Path) -> None:
    one = ("record", "x", "--id", "one", "--at", "2026-03-01", "--db", tmp_path / "m.db")
    assert call(*one).code == 0
    assert call(*one).code == 0
    other = call(*one, "--failed")
    assert (other.code, other.out) == (3, "")
    assert "already in the log" in other.err


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("",),
        ("x", "--duration", "nan"),
        ("x", "--duration", "-1"),
        ("x", "--at", "yesterday"),
        ("x", "--at", "2026-02-30"),
        ("x", "--attribute", "novalue"),
        ("x", "--stdin"),
        ("--stdin", "--failed"),
        ("half \udce4",),
    ],
)
def test_what_cannot_be_recorded_exits_2(call, tmp_path: Path, wrong) -> None:
    done = call("record", *wrong, "--db", tmp_path / "m.db")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


class _Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def test_lines_of_json_are_recorded_together(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (
        b'\xef\xbb\xbf{"skill_name": "a", "invocation_id": "1", "duration_seconds": 1}\n\n'
        b'{"skill_name": "b", "completed": false, "invocation_id": "2"}\n'
    )
    monkeypatch.setattr("sys.stdin", _Stdin(lines))
    done = call("record", "--stdin", "--db", tmp_path / "m.db")
    assert (done.code, done.out, done.err) == (0, "1\n2\n", "Recorded 2 invocations.\n")
    monkeypatch.setattr("sys.stdin", _Stdin(lines + b'{"skill_name": "c", "invocation_id": "3"}'))
    again = call("record", "--stdin", "--db", tmp_path / "m.db")
    assert again.out == "1\n2\n3\n"
    assert again.err == "Recorded 1 invocation, 2 were there already.\n"


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"completed": true}',
        b'{"skill_name": "x", "unheard_of": 1}',
        b'{"skill_name": "x", "duration_seconds": NaN}',
        b'{"skill_name": "x\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_one_wrong_line_is_named_and_nothing_is_recorded(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr("sys.stdin", _Stdin(b'{"skill_name": "good"}\n' + line + b"\n"))
    done = call("record", "--stdin", "--db", tmp_path / "m.db")
    assert (done.code, done.out) == (2, "")
    assert "line 2: " in done.err
    assert "nothing was recorded" in done.err
    with MetricsStore(tmp_path / "m.db") as store:
        assert len(store.invocations()) == 0


def test_what_was_left_in_flight_is_reaped(call, store: MetricsStore, clock) -> None:
    clock.set("2026-03-01T00:00:00Z")
    left = store.track_invocation("slow")
    nothing = call("reap", "--db", store.path)
    assert (nothing.code, nothing.out) == (0, "")
    assert json.loads(call("reap", "--json", "--db", store.path).out) == {"reaped": []}
    done = call("reap", "--older-than", "6 hours", "--json", "--db", store.path)
    assert json.loads(done.out) == {
        "reaped": [
            {
                "invocation_id": left.invocation_id,
                "skill_name": "slow",
                "invoked_at": "2026-03-01T00:00:00.000000Z",
                "reason": "too old",
            }
        ]
    }
    store.track_invocation("slow")
    assert "too old" in call("reap", "--older-than", "6 hours", "--db", store.path).out
    assert call("reap", "--older-than", "soon", "--db", store.path).code == 2


def test_the_log_is_shown_newest_first(call, filled: Path) -> None:
    done = call("invocations", "--limit", "3", "--db", filled)
    head, *lines = done.out.splitlines()
    assert head.split()[:2] == ["started", "(UTC)"]
    assert [line.split()[2] for line in lines] == ["docs", "code-review", "code-review"]
    assert "There are more: add --after " in done.err
    assert "review-9-4" in lines[1]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--skill", "code-review", "--since", "2026-03-09T03:00"), ["9-4", "9-3"]),
        (("--session", "session-3", "--outcome", "failed"), ["3-3"]),
        (("--error", "TimeoutError"), ["9-3", "4-3", "3-3"]),
        (("--skill", "code-review", "--until", "2026-03-03"), ["3-4", "3-3", "3-2", "3-1"]),
        (("--since", "2026-03-04T04:00+01:00", "--until", "2026-03-04T03:30Z"), ["4-3"]),
        (("--skill", "code-review", "--since", "1 hour"), []),
        (("--outcome", "abandoned"), []),
    ],
)
def test_the_log_is_filtered(call, filled: Path, options, wanted: list[str]) -> None:
    found = json.loads(call("invocations", *options, "--json", "--db", filled).out)
    ids = [row["id"] for row in found["invocations"]]
    assert ids == [f"review-{suffix}" for suffix in wanted]
    if not wanted:
        assert call("invocations", *options, "--db", filled).err == "No invocation matches.\n"


def test_pages_follow_each_other_without_a_gap(call, filled: Path) -> None:
    seen: list[str] = []
    after: tuple[str, ...] = ()
    while True:
        page = json.loads(call("invocations", "--limit", "5", *after, "--json", "--db", filled).out)
        seen += [row["id"] for row in page["invocations"]]
        if page["next"] is None:
            break
        after = ("--after", page["next"])
    lines = call("invocations", "--jsonl", "--limit", "1000", "--db", filled).out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == seen
    assert len(seen) == len(set(seen)) == 14
    assert len(call("invocations", "--jsonl", "--limit", "3", "--db", filled).out.splitlines()) == 3


def test_json_lines_go_on_past_one_page(call, store: MetricsStore) -> None:
    store.record_invocations({"skill_name": "x"} for _ in range(2100))
    lines = call("invocations", "--jsonl", "--limit", "2050", "--db", store.path).out.splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == 2050


def test_what_is_in_flight_is_shown(call, filled: Path) -> None:
    assert "guide" in call("invocations", "--in-flight", "--db", filled).out
    found = json.loads(call("invocations", "--in-flight", "--json", "--db", filled).out)
    assert [row["skill_name"] for row in found["in_flight"]] == ["docs"]
    line = call("invocations", "--in-flight", "--jsonl", "--skill", "docs", "--db", filled).out
    assert json.loads(line)["workflow_path"] == "guide"
    none = call("invocations", "--in-flight", "--skill", "deploy", "--db", filled)
    assert (none.out, none.err) == ("", "Nothing is in flight.\n")
    assert call("invocations", "--in-flight", "--since", "1 day", "--db", filled).code == 2


def test_the_export_is_the_legacy_format(call, filled: Path, tmp_path: Path) -> None:
    done = call("export", "--zone", "UTC", "--db", filled)
    exported = json.loads(done.out)
    assert set(exported) == {"invocations", "skills", "last_updated"}
    assert len(exported["invocations"]) == 15
    assert done.err == "Exported 15 records, 3 skills, 1 never finished, times in UTC.\n"
    assert call("export", "out.json", "--zone", "UTC", "--db", filled).out == ""
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["invocations"] == exported["invocations"]
    assert sorted(os.listdir(tmp_path)) == ["filled.db", "out.json"]


def test_an_export_replaces_nothing_unless_forced_and_never_the_store(
    call, filled: Path, tmp_path: Path
) -> None:
    (tmp_path / "there.json").write_text("mine")
    (tmp_path / "link.json").symlink_to("there.json")
    for name in ("there.json", "link.json", "."):
        done = call("export", name, "--db", filled)
        assert (done.code, done.out) == (2, "")
    assert (tmp_path / "there.json").read_text() == "mine"
    assert call("export", filled, "--force", "--db", filled).code == 2
    assert call("export", f"{filled}-wal", "--force", "--db", filled).code == 2
    assert call("export", "link.json", "--force", "--db", filled).code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "there.json").read_text())["skills"]
    failed = call("export", "no/such/folder/x.json", "--db", filled)
    assert failed.code == 3
    assert "Traceback" not in failed.err
