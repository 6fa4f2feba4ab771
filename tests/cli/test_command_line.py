"""The command as a whole: its help, its options, its exit codes, and how it meets trouble."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import sqlite

Run = Callable[..., "object"]

GROUPS = {
    "executions": "record import list show stats performance status similar",
    "services": "beat list history uptime outages trend set import",
    "agents": "sample status history daily hourly commits feed tasks task velocity watch system "
    "rag import",
    "snapshots": "list show diff trend export quarantine import sink collect",
    "alerts": "list show ack resolve raise evaluate import rules",
    "retain": "plan apply",
}
COMMANDS = [
    ("skills", "list"),
    ("skills", "show"),
    ("skills", "timeline"),
    ("skills", "search"),
    ("skills", "sessions"),
    ("skills", "summary"),
    ("record",),
    ("reap",),
    ("invocations",),
    ("export",),
    *((group, name) for group, names in GROUPS.items() for name in names.split()),
    ("backup", "create"),
    ("backup", "list"),
    ("backup", "verify"),
    ("backup", "prune"),
    ("restore",),
    ("check",),
    ("health",),
    ("vacuum",),
    ("analyze",),
    ("checkpoint",),
    ("info",),
    ("schema", "status"),
    ("schema", "apply"),
    ("schema", "rollback"),
    ("legacy", "import"),
    ("legacy", "doctor"),
    ("legacy", "plan"),
    ("legacy", "start"),
    ("legacy", "status"),
    ("legacy", "backfill"),
    ("legacy", "advance"),
    ("legacy", "verify"),
    ("legacy", "cutover"),
    ("legacy", "rollback"),
    ("legacy", "resume"),
    ("legacy", "cancel"),
    ("legacy", "reconcile"),
    ("legacy", "harvest"),
    ("legacy", "complete"),
    ("legacy", "proof"),
    ("legacy", "diff", "list"),
    ("legacy", "diff", "show"),
    ("legacy", "diff", "explain"),
]
READING = [
    ("skills", "list"),
    ("skills", "show", "code-review"),
    ("skills", "timeline", "code-review"),
    ("skills", "search", "security"),
    ("skills", "sessions"),
    ("skills", "summary"),
    ("invocations",),
    ("schema", "status"),
    ("export",),
]
WRITING = [("record", "x"), ("reap",)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_its_line_in_its_groups_help_and_its_own(call, command) -> None:
    group = call(*command[:-1], "--help")
    assert group.code == 0
    line = next(line for line in group.out.splitlines() if line.split()[:1] == [command[-1]])
    assert line.endswith("."), "one whole sentence"
    assert not line.endswith("...")
    own = call(*command, "-h")
    assert own.code == 0
    assert "--db FILE" in own.out
    assert own.err == ""


def test_the_help_lists_no_command_that_is_not_tested_here(call) -> None:
    def listed(*group: str) -> set[tuple[str, ...]]:
        after = call(*group, "--help").out.partition("Commands:\n")[2].partition("\n\n")[0]
        return {(*group, line.split()[0]) for line in after.splitlines()}

    groups = {command[:-1] for command in COMMANDS if len(command) > 1}
    found = set().union(listed(), *(listed(*group) for group in groups)) - groups
    assert found == set(COMMANDS)


def test_the_version_is_printed_and_is_the_packages(call) -> None:
    from metrics_store import __version__

    assert call("--version").out == f"metrics-store {__version__}\n"


@pytest.mark.parametrize("group", [(), ("skills",), ("schema",), ("legacy",)])
def test_a_group_alone_prints_its_help_to_stderr_and_exits_2(call, group) -> None:
    done = call(*group)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("Usage: metrics-store")


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("skills", "lst"),
        ("skills", "list", "--bogus"),
        ("skills", "list", "--sort", "colour"),
        ("skills", "list", "--limit", "0"),
        ("skills", "show"),
        ("record",),
        ("record", "x", "--duration", "long"),
        ("invocations", "--outcome", "odd"),
        ("invocations", "--json", "--jsonl"),
        ("schema", "rollback", "--to", "-1"),
        ("export", "--format", "csv"),
    ],
)
def test_a_wrong_command_line_exits_2_with_a_hint_and_nothing_on_stdout(
    call, filled: Path, arguments
) -> None:
    done = call("--db", filled, *arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_the_database_may_be_named_anywhere_and_the_last_one_wins(call, filled: Path) -> None:
    wanted = call("skills", "list", "--db", filled).out
    assert "code-review" in wanted
    assert call("--db", filled, "skills", "list").out == wanted
    assert call("skills", "--db", filled, "list").out == wanted
    assert call("--db", "nowhere.db", "skills", "list", "--db", filled).out == wanted


def test_the_environment_names_the_database(run, filled: Path) -> None:
    assert "code-review" in run("skills", "list", METRICS_STORE_DB=str(filled)).out


@pytest.mark.parametrize("command", [*READING, ("reap",), ("schema", "apply")], ids=" ".join)
def test_a_missing_database_is_an_error_with_a_hint_and_is_not_made(
    call, tmp_path: Path, command
) -> None:
    done = call(*command, "--db", tmp_path / "none.db")
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("error: There is no store here: ")
    assert "hint: " in done.err
    assert list(tmp_path.iterdir()) == []


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 500)


def _foreign(path: Path) -> None:
    connection = sqlite.connect(str(path))
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_garbage, _foreign, _directory])
@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
def test_what_is_no_store_is_refused_and_left_as_it_is(
    call, tmp_path: Path, make: Callable[[Path], None], command
) -> None:
    path = tmp_path / "theirs"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    done = call(*command, "--db", path)
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert "hint: " in done.err
    assert "Traceback" not in done.err
    if before is not None:
        assert path.read_bytes() == before


@pytest.mark.parametrize("command", [*READING, *WRITING, ("schema", "apply")], ids=" ".join)
def test_a_newer_database_is_refused(call, filled: Path, command, damaged) -> None:
    damaged(filled)
    connection = sqlite.connect(str(filled))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    done = call(*command, "--db", filled)
    assert done.code == 3
    assert done.out == ""
    assert "newer version" in done.err
    assert "hint: Upgrade" in done.err


def test_a_damaged_database_is_an_error_not_an_empty_list(call, filled: Path, damaged) -> None:
    damaged(filled)
    with filled.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (filled.stat().st_size - 4096))
    done = call("skills", "list", "--db", filled)
    assert done.code == 3
    assert done.out == ""
    assert "damaged" in done.err


def test_a_locked_database_can_be_read_but_recording_waits_and_says_so(
    run, filled: Path, hold_lock
) -> None:
    hold_lock(filled)
    assert run("skills", "list", "--db", filled).code == 0
    done = run("record", "x", "--db", filled, METRICS_STORE_BUSY_TIMEOUT="0.2")
    assert done.code == 3
    assert done.out == ""
    assert "held the store's lock" in done.err
    assert "hint: " in done.err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_a_database_without_permission_is_an_error(call, filled: Path) -> None:
    filled.chmod(0)
    try:
        done = call("skills", "list", "--db", filled)
    finally:
        filled.chmod(0o600)
    assert done.code == 3
    assert "hint: " in done.err


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_reading_commands_leave_the_database_as_it_is(call, filled: Path, command) -> None:
    before = filled.read_bytes()
    assert call(*command, "--db", filled).code == 0
    assert filled.read_bytes() == before


def test_an_unexpected_error_is_called_a_bug_without_a_traceback(
    call, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by \x1b[31mnothing")

    monkeypatch.setattr("metrics_store.store.MetricsStore.get_summary", broken)
    done = call("skills", "summary", "--db", filled)
    assert done.code == 3
    assert "this is a bug in metrics-store: ZeroDivisionError: by \\x1b[31mnothing" in done.err
    assert "METRICS_STORE_DEBUG=1" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("METRICS_STORE_DEBUG", "1")
    assert "Traceback" in call("skills", "summary", "--db", filled).err
