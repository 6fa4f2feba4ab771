"""`schema status | apply | rollback` and `legacy import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metrics_store import MetricsStore, schema

FILES = Path(__file__).parents[1] / "legacy" / "files"
LATEST = schema.latest(schema.migrations_directory())


def test_the_status_lists_what_is_applied(call, filled: Path) -> None:
    done = call("schema", "status", "--db", filled)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == [
        f"{version:04d}" for version in range(1, LATEST + 1)
    ]
    status = json.loads(call("schema", "status", "--json", "--db", filled).out)
    assert status["version"] == status["latest"] == LATEST
    assert status["pending"] == []
    assert len(status["applied"][0]["checksum"]) == 64


def test_a_rollback_only_says_what_it_would_do_until_it_is_told_to(
    call, filled: Path, tmp_path: Path
) -> None:
    before = filled.read_bytes()
    dry = call("schema", "rollback", "--to", "1", "--db", filled)
    assert dry.code == 0
    assert f"Would go back from version {LATEST} to 1" in dry.out
    assert "skill_invocation" in dry.out
    assert "--execute" in dry.err
    plan = json.loads(call("schema", "rollback", "--to", "1", "--json", "--db", filled).out)
    assert plan["executed"] is False
    assert plan["taken_back"] == list(range(LATEST, 1, -1))
    assert plan["copy"] is None
    assert filled.read_bytes() == before
    assert list(tmp_path.iterdir()) == [filled]


def test_a_rollback_keeps_a_copy_and_what_it_took_can_be_applied_again(call, filled: Path) -> None:
    done = call("schema", "rollback", "--to", "1", "--execute", "--db", filled)
    assert done.code == 0
    assert f"Went back from version {LATEST} to 1" in done.out
    copy = done.err.partition("as it was: ")[2].splitlines()[0]
    assert "code-review" in call("skills", "list", "--db", copy).out
    status = call("schema", "status", "--db", filled)
    assert status.out.count("pending") == LATEST - 1
    assert "schema apply" in status.err
    applied = call("schema", "apply", "--db", filled)
    assert len(applied.out.splitlines()) == LATEST - 1
    assert applied.err == f"Applied {LATEST - 1} migrations.\n"
    again = call("schema", "apply", "--json", "--db", filled)
    assert json.loads(again.out) == {"applied": []}
    assert call("schema", "apply", "--db", filled).err == "Nothing is pending.\n"
    assert call("skills", "list", "--db", filled).out == ""


def test_a_rollback_goes_one_version_back_by_default_and_never_forward(call, filled: Path) -> None:
    plan = json.loads(call("schema", "rollback", "--json", "--db", filled).out)
    assert plan["to"] == LATEST - 1
    assert call("schema", "rollback", "--to", LATEST + 1, "--db", filled).code == 3
    here = call("schema", "rollback", "--to", LATEST, "--execute", "--db", filled)
    assert (here.code, here.out) == (0, "")


def take(call, name: str, *options: object):  # type: ignore[no-untyped-def]
    return call("legacy", "import", FILES / name, "--zone", "UTC", "--db", "m.db", *options)


def test_an_import_says_what_became_of_every_record(call) -> None:
    done = take(call, "typical.json")
    assert done.code == 0
    for wanted in ("5,000  read", "5,000  inserted", "+ 0  matched", "0  quarantined"):
        assert wanted in done.out
    assert "All accounted for." in done.out
    assert "19 of them never finished" in done.out
    again = take(call, "typical.json")
    assert again.code == 0
    assert "= 0  inserted" in again.out
    assert "Nothing was added" in again.out


@pytest.mark.parametrize("name", sorted(file.name for file in FILES.glob("*.json")))
def test_every_legacy_file_is_conserved_and_a_second_pass_adds_nothing(call, name: str) -> None:
    first = take(call, name, "--json")
    assert first.code in (0, 1)
    report = json.loads(first.out)
    parts = ("inserted", "matched", "upgraded", "quarantined")
    assert report["read"] == sum(report[part] for part in parts)
    assert report["conserved"] is True
    assert first.code == (0 if report["fine"] else 1)
    assert (name == "torn.json") == (report["torn"] is not None)
    second = json.loads(take(call, name, "--json").out)
    assert second["inserted"] == second["upgraded"] == 0
    shown = take(call, name, "--report")
    assert shown.code == first.code
    assert "\x1b" not in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_what_is_quarantined_or_flagged_is_shown_with_its_reason(call) -> None:
    out = take(call, "hand_edited.json").out
    assert "Quarantined: " in out
    assert "Taken in, and noteworthy: " in out
    assert "see --json" in out


def test_totals_without_records_are_shown_apart(call) -> None:
    out = take(call, "pruned.json").out
    assert "Totals that no record explains, kept apart as a baseline" in out


def test_a_dry_run_keeps_nothing_not_even_a_new_store(call, tmp_path: Path) -> None:
    done = take(call, "typical.json", "--dry-run", "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["dry_run"] is True
    assert report["inserted"] == 5000
    assert report["database"] == str(tmp_path / "m.db")
    assert list(tmp_path.iterdir()) == []
    assert "this was a dry run" in take(call, "typical.json", "--dry-run", "--report").out
    take(call, "typical.json")
    before = (tmp_path / "m.db").read_bytes()
    assert take(call, "two_writers.json", "--dry-run").code == 0
    assert (tmp_path / "m.db").read_bytes() == before


def test_the_report_tells_what_the_store_holds_and_commands_that_work(
    call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = take(call, "typical.json", "--report").out
    for wanted in ("What is in m.db", "Skills  trend: ", "Top errors", "Workflow paths", "Next"):
        assert wanted in out
    import shlex

    commands = [line.strip() for line in out.splitlines() if line.startswith("  metrics-store ")]
    assert len(commands) == 3
    for command in commands:
        done = call(*shlex.split(command)[1:])
        assert done.code == 0
        assert done.out


@pytest.mark.parametrize(
    ("name", "content"),
    [("none.json", None), ("empty.json", b""), ("list.json", b"[]"), ("folder", "folder")],
)
def test_what_is_no_legacy_file_exits_2_with_the_reason(
    call, tmp_path: Path, name: str, content: bytes | str | None
) -> None:
    if content == "folder":
        (tmp_path / name).mkdir()
    elif isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    done = call("legacy", "import", name, "--db", "m.db")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_wrong_zone_is_refused(call) -> None:
    done = call("legacy", "import", FILES / "typical.json", "--zone", "Mars/Base", "--db", "m.db")
    assert done.code == 2
    take(call, "typical.json")
    other = call(
        "legacy", "import", FILES / "typical.json", "--zone", "Europe/Berlin", "--db", "m.db"
    )
    assert other.code == 2
    assert "hint: " in other.err


def test_the_report_of_a_file_without_records_is_short(call, tmp_path: Path) -> None:
    (tmp_path / "nothing.json").write_text('{"invocations": [], "skills": {}}')
    done = call("legacy", "import", "nothing.json", "--report", "--zone", "UTC", "--db", "m.db")
    assert done.code == 0
    assert "0  read" in done.out
    assert "Skills" not in done.out


def test_the_store_itself_is_no_legacy_file(call, filled: Path) -> None:
    done = call("legacy", "import", filled, "--db", filled)
    assert done.code == 2
    with MetricsStore(filled) as store:
        assert len(store.get_all_metrics()) == 3
