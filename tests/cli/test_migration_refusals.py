"""What the commands of a migration refuse, and text that means harm in all of them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from migrating import FILES, Migration, legacy_file

from metrics_store import location
from metrics_store.legacy import control, locks

#: Every command that needs nothing but a migration that has begun.
COMMANDS = [
    ("status",),
    ("backfill",),
    ("advance",),
    ("verify",),
    ("diff", "list"),
    ("diff", "show", "1"),
    ("diff", "explain", "--all"),
    ("cutover",),
    ("rollback",),
    ("rollback", "--rehearse"),
    ("resume",),
    ("cancel",),
    ("reconcile", "--to", "db"),
    ("harvest",),
    ("complete",),
    ("proof",),
]
ALL = [("doctor",), ("plan",), ("start",), *COMMANDS]
#: Which of the changing commands each phase allows.
ALLOWED = {
    "legacy": {"advance"},
    "dual_write": {"backfill", "advance", "verify", "rollback", "reconcile"},
    "shadow": {"backfill", "advance", "verify", "rollback", "reconcile"},
    "dual_read": {"backfill", "cutover", "verify", "rollback", "reconcile"},
    "database": {"verify", "rollback", "reconcile", "harvest", "complete"},
    "complete": {"rollback", "reconcile", "harvest"},
}
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


@pytest.fixture
def migration(call, tmp_path: Path) -> Migration:
    """A legacy file of 99 records; no migration has begun."""
    return Migration(call, legacy_file(tmp_path))


def refused(done, *wanted: str) -> None:  # type: ignore[no-untyped-def]
    """It exits 2, says why and what to do, and writes nothing to stdout."""
    assert (done.code, done.out) == (2, ""), (done.code, done.out, done.err)
    assert done.err.startswith("error: ")
    assert "\nhint: " in done.err
    assert "Traceback" not in done.err
    for text in wanted:
        assert text in done.err


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_a_file_that_is_not_there_is_refused(call, tmp_path: Path, command) -> None:
    done = call("legacy", *command, "--json-file", "nowhere/none.json")
    refused(done, "no such legacy file: nowhere/none.json", "--json-file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_a_directory_is_refused(call, tmp_path: Path, command) -> None:
    refused(call("legacy", *command, "--json-file", tmp_path), "is a directory")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_migration_there_is_nothing_to_do(migration: Migration, command) -> None:
    before = migration.kept()
    done = migration(*command)
    if command[0] == "diff" and command[1] != "explain":
        assert done.code == 3, "there is no store either"
    else:
        refused(done, "No migration of this legacy file was begun", "legacy doctor")
    assert migration.kept() == before


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(b"", "not"), (b"[]", "not"), (b"\0\1", "not"), (b'{"a": 1}', "not"), (None, "whole")],
)
def test_what_is_no_legacy_file_is_not_left(migration: Migration, content, wanted: str) -> None:
    torn = (FILES / "torn.json").read_bytes()
    migration.json_file.write_bytes(torn if content is None else content)
    done = migration("doctor")
    assert done.code == 1
    assert "✗ file" in done.out
    refused(migration("start", "--execute"), wanted, "legacy doctor")
    assert control.read(migration.json_file) is None


def test_anothers_control_file_is_refused(migration: Migration, tmp_path: Path, call) -> None:
    migration.begin()
    other = tmp_path / "other.json"
    shutil.copyfile(migration.json_file, other)
    shutil.copyfile(control.control_path(migration.json_file), control.control_path(other))
    for command in ALL:
        refused(call("legacy", *command, "--json-file", other), str(migration.json_file))


def test_a_control_file_of_a_newer_version_is_refused(migration: Migration) -> None:
    migration.begin()
    path = Path(control.control_path(migration.json_file))
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 99}))
    before = migration.kept()
    for command in ALL:
        refused(migration(*command), "newer version", "hint: Upgrade")
    assert migration.kept() == before


def test_a_control_file_that_cannot_be_read_is_an_error_and_no_phase_is_guessed(
    migration: Migration,
) -> None:
    migration.begin()
    Path(control.control_path(migration.json_file)).write_text("{")
    for command in ALL:
        done = migration(*command)
        assert (done.code, done.out) == (3, ""), command
        assert "hint: Do not delete it." in done.err


@pytest.mark.parametrize("phase", ALLOWED)
def test_a_phase_refuses_what_it_does_not_allow(migration: Migration, phase: str) -> None:
    migration.begin()
    migration.until(phase)
    before = migration.kept()
    for command in COMMANDS:
        if command[0] in ("status", "diff", "proof") or command == ("rollback", "--rehearse"):
            continue
        if command[0] not in ALLOWED[phase]:
            refused(migration(*command), phase if command[0] not in ("resume", "cancel") else "")
    refused(migration("start", "--execute"), "begun before")
    assert migration.kept() == before


def test_a_database_of_another_migration_is_refused(
    migration: Migration, tmp_path: Path, call
) -> None:
    migration.begin()
    other = tmp_path / "other.json"
    shutil.copyfile(migration.json_file, other)
    options = ("--json-file", other, "--db", ".session-buddy/skill_metrics.db")
    assert call("legacy", "doctor", *options).code == 1
    refused(call("legacy", "start", "--execute", *options), str(migration.json_file))
    refused(migration("status", "--db", "another.db"), "skill_metrics.db", "Leave --db out")
    assert not Path("another.db").exists()


def test_two_operators_at_once_are_refused(migration: Migration) -> None:
    migration.begin()
    with locks.held(f"{migration.json_file}.operator.lock"):
        refused(migration("advance"), "Another operator")
        assert migration("status").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("start", "--soak", "a while"),
        ("start", "--soak", "-1 days"),
        ("start", "--max-verify-age", "7"),
        ("start", "--sample-rate", "1.5"),
        ("start", "--sample-rate", "0"),
        ("start", "--shadow-reads", "-1"),
        ("start", "--max-verify-age", "0 s"),
        ("start", "--zone", "Mars/Base"),
        ("rollback", "--rehearse", "--execute"),
        ("reconcile", "--to", "moon"),
        ("reconcile",),
        ("advance", "--force"),
        ("resume", "--force"),
        ("diff", "explain"),
        ("diff", "explain", "1"),
        ("diff", "explain", "1", "--all"),
        ("diff", "show", "x"),
        ("status", "--watch", "--interval", "0"),
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense_are_refused(migration: Migration, options) -> None:
    if options[0] != "start":
        migration.begin()
    before = migration.kept()
    refused(migration(*options))
    assert migration.kept() == before


@pytest.mark.parametrize(
    "options", [("diff", "show", "1"), ("diff", "explain", "1", "--reason", "x")]
)
def test_a_difference_that_is_not_there_is_refused(migration: Migration, options) -> None:
    migration.begin()
    refused(migration(*options), "there is no difference 1", "legacy diff list")


def test_a_reason_that_says_nothing_is_refused(migration: Migration) -> None:
    migration.begin()
    for command in (("advance", "--force", "--execute"), ("diff", "explain", "1")):
        refused(migration(*command, "--reason", "  "))


def test_too_little_space_is_noticed_before_anything_is_begun(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1000))
    done = migration("doctor")
    assert done.code == 1
    assert "✗ space" in done.out
    refused(migration("start", "--execute"), "free")
    assert control.read(migration.json_file) is None


def test_a_network_file_system_is_warned_of(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location, "network_filesystem", lambda _: "nfs4")
    done = migration("doctor")
    assert done.code == 0
    assert "! locks" in done.out
    assert "nfs4, where locks between hosts may not work" in done.out
    migration.begin()
    assert "nfs4" in migration("advance").out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_a_folder_without_permission_is_noticed(migration: Migration) -> None:
    folder = migration.json_file.parent
    folder.chmod(0o500)
    try:
        done = migration("doctor", "--db", "m.db")
        assert done.code == 1
        assert "✗ folder" in done.out
        assert migration("start", "--execute", "--db", "m.db").code in (2, 3)
    finally:
        folder.chmod(0o700)
    assert control.read(migration.json_file) is None


HARMFUL = "[red]x[/red] :boom: \x1b[31m\x1b]0;t\x07 \u202eround\nbreak\x9b31m ` | <b> $(touch x)"


def test_no_command_hands_harmful_text_to_the_terminal(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = legacy_file(tmp_path)
    document = json.loads(path.read_bytes())
    del document["invocations"][4:]
    record = document["invocations"][0]
    for name in ("skill_name", "workflow_path", "error_type"):
        record = {**record, name: HARMFUL}
    document["invocations"] += [{**record, "follow_up_actions": [HARMFUL]}, {HARMFUL: HARMFUL}]
    folder = tmp_path / HARMFUL.replace("/", "")
    folder.mkdir()
    path = path.rename(folder / "m.json")
    path.write_text(json.dumps(document, indent=2))
    migration = Migration(call, path, ("--json-file", path))
    migration.begin("--db", folder / "m.db")
    outputs = [migration("doctor"), migration("plan")]
    for phase in ("dual_write", "shadow", "dual_read"):
        force = ("--force", "--reason", HARMFUL)
        outputs += [migration("advance"), migration("advance", *force, "--execute")]
        migration.record(HARMFUL)
        assert migration.phase == phase
    # Another side to every record, and so a difference of each kind.
    path.write_text(path.read_text().replace("boom", "bang"))
    outputs += [migration("verify"), migration("diff", "list", "--limit", "3")]
    outputs += [migration("diff", "explain", "1", "--reason", HARMFUL)]
    for terminal in (False, True):
        if terminal:
            monkeypatch.setenv("NO_COLOR", "1")
            monkeypatch.setattr("metrics_store.render.screen.is_terminal", lambda _: True)
        for command in [*COMMANDS, ("diff", "list", "--open")]:
            outputs += [migration(*command), migration(*command, "--json")]
    outputs += [migration(HARMFUL), migration("diff", "list", "--kind", HARMFUL)]
    for done in outputs:
        assert not FORBIDDEN.search(done.out + done.err), done
        assert "Traceback" not in done.err
        assert "this is a bug" not in done.err, done.err
