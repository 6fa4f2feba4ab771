"""`legacy start` to `complete` and back, by commands alone."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from migrating import Migration, legacy_file

PHASES = ["legacy", "dual_write", "shadow", "dual_read", "database", "complete"]


@pytest.fixture
def migration(call, tmp_path: Path) -> Migration:
    """A legacy file of 99 records; no migration has begun."""
    return Migration(call, legacy_file(tmp_path))


def test_the_whole_way_and_back_by_commands_each_of_which_says_what_it_did(
    migration: Migration,
) -> None:
    assert migration.told("doctor", "--zone", "UTC")["healthy"] is True
    plan = migration.told("plan", "--zone", "UTC")
    assert plan["begun"] is False
    assert [leg["phase"] for leg in plan["legs"]] == PHASES
    begun = migration.told(
        "start", "--zone", "UTC", "--shadow-reads", "2", "--soak", "0 days", "--execute"
    )
    assert begun["executed"] is True
    assert begun["gates"] == {
        "shadow_reads": 2, "max_verify_age": 86_400.0, "soak": 0.0, "sample_rate": 1.0,
    }  # fmt: skip
    assert begun["next_command"] == "metrics-store legacy advance --execute"

    assert migration.told("advance", "--execute")["to_phase"] == "dual_write"
    migration.record("deploy", "docs")
    filled = migration.told("backfill")
    assert filled["fine"] is True
    assert filled["first"]["conserved"] is True
    assert (filled["first"]["read"], filled["second_inserted"]) == (101, 0)

    assert migration.told("advance", "--execute")["to_phase"] == "shadow"
    migration.record("deploy")
    assert migration.told("status")["compared"]["matched"] == 2
    assert migration.told("advance", "--execute")["to_phase"] == "dual_read"

    verified = migration.told("verify")
    assert (verified["clean"], verified["compared"], verified["equal"]) == (True, 102, 102)
    rehearsed = migration.told("rollback", "--rehearse")
    assert (rehearsed["records"], rehearsed["kept"]) == (102, 102)
    cut = migration.told("cutover", "--execute")
    assert (cut["executed"], cut["met"], cut["records"]) == (True, True, 102)
    assert len(cut["backups"]) == 2

    migration.record("deploy", "new")
    assert migration.told("harvest") == {
        "written": False, "report": None, "replayed": 0, "found": 0,
        "next_command": "metrics-store legacy complete --execute", "advice": "",
    }  # fmt: skip
    assert migration.told("complete", "--execute")["to_phase"] == "complete"
    assert not migration.json_file.exists()
    back = migration.told("rollback", "--execute")
    assert (back["from_phase"], back["to_phase"]) == ("complete", "dual_write")
    assert (back["records"], back["named"]) == (104, 2)
    assert len(json.loads(migration.json_file.read_bytes())["invocations"]) == 104
    assert migration.told("backfill")["first"]["inserted"] == 0
    assert migration.told("rollback", "--execute")["to_phase"] == "legacy"
    status = migration.told("status")
    assert [change["to"] for change in status["changes"]] == [
        *PHASES[1:], "dual_write", "legacy",
    ]  # fmt: skip
    assert migration.told("proof")["clean"] is True


def test_typing_what_status_says_next_leads_from_the_start_to_the_end(
    migration: Migration, call
) -> None:
    migration.begin()
    for _ in range(30):
        done = migration("status")
        *_, last = done.out.splitlines()
        if migration.phase == "complete":
            break
        if last.startswith("  metrics-store legacy "):
            typed = call(*shlex.split(last)[1:])
            assert typed.code == 0, (last, typed.out, typed.err)
        else:
            assert "Let runners read their numbers" in last
            migration.record()
    assert migration.phase == "complete"
    assert "Nothing is left to do" in last


@pytest.mark.parametrize("phase", PHASES)
def test_status_draws_the_way_and_marks_where_it_is(migration: Migration, phase: str) -> None:
    migration.begin()
    migration.until(phase)
    done = migration("status")
    assert done.code == 0
    assert "\x1b" not in done.out
    way, names = done.out.splitlines()[2:4]
    at = names.index(phase)
    assert way[at] == "◉"
    assert way.count("●") == PHASES.index(phase)
    assert way.count("○") == len(PHASES) - 1 - PHASES.index(phase)
    assert re.search(
        rf"^  phase +{phase} for .* \(epoch {PHASES.index(phase) + 1}\)$", done.out, re.M
    )
    told = migration.told("status")
    assert (told["phase"], told["fine"], told["open_mismatches"]) == (phase, True, 0)
    if phase != "complete":
        assert f"The gate to {PHASES[PHASES.index(phase) + 1]}" in done.out


DRY = {
    "": [("start", "--zone", "UTC")],
    "legacy": [("advance",)],
    "dual_write": [("advance",), ("rollback",), ("reconcile", "--to", "db")],
    "shadow": [("advance",), ("rollback",), ("reconcile", "--to", "json")],
    "dual_read": [("cutover",), ("rollback",)],
    "database": [("complete",), ("rollback",), ("reconcile", "--to", "db")],
    "complete": [("rollback",)],
}


@pytest.mark.parametrize("phase", DRY)
def test_a_dry_run_changes_not_one_byte_and_says_what_to_type(
    migration: Migration, phase: str
) -> None:
    if phase:
        migration.begin()
        migration.until(phase)
    before = migration.kept()
    for command in DRY[phase]:
        done = migration(*command)
        assert done.code in (0, 2), (command, done.err)
        assert "Nothing was changed" in done.out
        told = json.loads(migration(*command, "--json").out)
        assert told["executed"] is False
        assert told["to_execute"] == f"metrics-store legacy {' '.join(command)} --execute"
        if done.code == 0:
            assert f"  {told['to_execute']}\n" in done.out
    assert migration.kept() == before


def test_commands_name_the_file_and_the_store_if_they_are_not_where_they_are_looked_for(
    call, tmp_path: Path
) -> None:
    path = legacy_file(tmp_path).rename(tmp_path / "my metrics.json")
    options = ("--json-file", path.name, "--db", "m.db")
    dry = call("legacy", "start", "--zone", "UTC", *options)
    typed = "legacy start --zone UTC --json-file 'my metrics.json' --db m.db --execute"
    assert f"  metrics-store {typed}\n" in dry.out
    assert call(*shlex.split(typed)).code == 0
    done = call("legacy", "status", "--json-file", path.name)
    assert done.out.endswith(
        "metrics-store legacy advance --json-file 'my metrics.json' --execute\n"
    )
    refused = call("legacy", "start", *options)
    assert "legacy status --json-file 'my metrics.json'." in refused.err


def test_an_unmet_gate_is_shown_and_exits_2_until_it_is_forced_with_a_reason(
    migration: Migration,
) -> None:
    migration.begin()
    migration.until("dual_write")
    for word in ((), ("--execute",)):
        done = migration("advance", *word)
        assert done.code == 2
        assert "✗ backfill" in done.out
        assert "→ metrics-store legacy backfill" in done.out
        assert bool(done.err) == bool(word)
    told = migration.told("advance", code=2)
    assert (told["met"], told["executed"]) == (False, False)
    assert [r["name"] for r in told["requirements"] if not r["met"]] == ["backfill"]
    assert migration("advance", "--force", "--execute").code == 2
    assert migration("advance", "--reason", "why", "--execute").code == 2
    forced = ("advance", "--force", "--reason", "it is [red]Sunday\x1b[0m")
    assert migration.told(*forced)["executed"] is False
    assert migration.told(*forced, "--execute")["forced"] == "it is [red]Sunday\x1b[0m"
    assert r"forced    into shadow: it is [red]Sunday\x1b[0m" in migration("status").out


def test_soak_time_is_asked_for_before_complete(migration: Migration) -> None:
    migration.begin("--soak", "7 days")
    migration.until("database")
    done = migration("complete", "--execute")
    assert done.code == 2
    assert "✗ soak" in done.out
    assert "7 d asked for" in done.out
    assert migration("complete", "--force", "--reason", "in a test", "--execute").code == 0
    assert migration.phase == "complete"


def test_what_only_adds_accepts_execute_out_of_habit(migration: Migration) -> None:
    migration.begin()
    migration.until("dual_write")
    assert migration("backfill", "--execute").code == 0
    migration.until("dual_read")
    assert migration("verify", "--execute").code == 0
    migration.until("database")
    assert migration("harvest", "--execute").code == 0


def test_a_difference_is_listed_shown_and_explained(migration: Migration) -> None:
    migration.begin()
    migration.until("shadow")
    document = json.loads(migration.json_file.read_bytes())
    changed = next(r for r in document["invocations"] if r["completed"])
    changed["workflow_path"], changed["error_type"] = changed["workflow_path"], "[bold]E\x1b[1m"
    migration.json_file.write_text(json.dumps(document, indent=2))
    verified = migration("verify")
    assert verified.code == 1
    assert "Something is unexplained" in verified.out

    listed = migration("diff", "list", "--open")
    assert listed.code == 1
    found = migration.told("diff", "list", "--open", code=1)
    [difference] = found["differences"]
    kind, id_ = difference["kind"], difference["id"]
    assert difference["open"] is True
    assert re.search(rf"^ *{id_} +{kind} ", listed.out, re.M)
    assert migration.told("diff", "list", "--kind", "nothing such")["differences"] == []
    shown = migration("diff", "show", id_)
    assert shown.code == 0
    assert re.search(r'✗ +error_type +"\[bold\]E\\\\?u001b\[1m" ', shown.out), shown.out
    assert f"metrics-store legacy diff explain {id_} --reason" in shown.out

    assert migration.told("diff", "explain", "--all", code=1)["open"] == 1
    said = migration.told("diff", "explain", id_, "--reason", "edited by hand")
    assert (said["open"], said["explanation"]) == (False, "edited by hand")
    assert migration("diff", "list").code == 0
    assert migration("diff", "explain", id_, "--reason", "again").code == 2
    assert migration("verify").code == 0, "a person's word holds for the next verify"


def test_a_zombie_is_noticed_and_harvested(migration: Migration) -> None:
    migration.begin()
    migration.until("database")
    document = json.loads(migration.json_file.read_bytes())
    late = dict(document["invocations"][0], invoked_at="2026-07-01T12:00:00.000001")
    document["invocations"].append(late)
    migration.json_file.write_text(json.dumps(document, indent=2))
    status = migration("status")
    assert status.code == 1
    assert "✗ zombies" in status.out
    assert "then: metrics-store legacy harvest" in status.out
    done = migration("harvest")
    assert done.code == 1
    assert "Somebody wrote to the JSON file" in done.out
    assert "1 inserted" in done.out
    assert migration.told("harvest")["written"] is False
    assert migration("status").code == 0


def test_reconcile_brings_either_side_up_to_the_other(migration: Migration, call) -> None:
    migration.begin()
    migration.until("shadow")
    document = json.loads(migration.json_file.read_bytes())
    lost = document["invocations"].pop(0)
    document["invocations"].append(dict(lost, invoked_at="2026-07-01T12:00:00.000001"))
    migration.json_file.write_text(json.dumps(document, indent=2))
    dry = migration.told("reconcile", "--to", "db")
    assert (dry["executed"], dry["report"]["inserted"]) == (False, 1)
    assert migration.told("reconcile", "--to", "db", "--execute")["report"]["inserted"] == 1
    written = migration.told("reconcile", "--to", "json", "--execute")
    assert written["records"] == len(document["invocations"]) + 1
    assert lost in json.loads(migration.json_file.read_bytes())["invocations"]
    assert migration("reconcile").code == 2
