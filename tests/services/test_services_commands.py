"""`services …`: what it prints, its JSON, its exit codes, and text that means harm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.cli import main
from metrics_store.clock import Clock

EVIL = "evil\x1b[31m\u202e\nname [bold]"


@pytest.fixture
def services(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command of the group on the test's store; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["--db", "s.db", "services", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return called


@pytest.fixture
def filled(open_store: Callable[..., MetricsStore], tmp_path: Path) -> Path:
    """A store of two services on the real clock, closed."""
    with open_store("s.db", clock=Clock()) as store:
        store.heartbeat("librarian", "running", EVIL, latency=0.25)
        store.heartbeat(EVIL, "error")
        store.heartbeat("librarian", "running", "old", at="2026-01-31T12:00:00Z")
    return tmp_path / "s.db"


def test_every_reading_command_prints_json_and_changes_nothing(
    services: Callable[..., tuple[int, str, str]], filled: Path
) -> None:
    before = hashlib.sha256(filled.read_bytes()).digest()
    keys = {
        ("list",): {"services"},
        ("history", "librarian"): {"service_name", "heartbeats"},
        ("uptime", "librarian"): {
            "service_name", "since", "until", "seconds", "up_seconds", "down_seconds",
            "silent_seconds", "uptime_percent", "outages", "uptime_course",
        },
        ("outages", "librarian"): {"service_name", "outages"},
        ("trend", "librarian"): {
            "service_name", "measure", "verdict", "recent_seconds", "before_seconds",
            "recent_measured", "before_measured", "change_percent", "tolerance_seconds", "days",
        },
        ("set", "librarian"): {
            "service_name", "every_seconds", "grace_seconds", "bad_statuses", "own"
        },
    }  # fmt: skip
    for command, expected in keys.items():
        code, out, err = services(*command, "--json")
        assert (code, err) == (0, ""), command
        assert set(json.loads(out)) == expected, command
        code, out, err = services(*command)
        assert (code, err) == (0, ""), command
        assert out.strip(), command
    assert hashlib.sha256(filled.read_bytes()).digest() == before


def test_nothing_that_a_terminal_would_obey_gets_out(
    services: Callable[..., tuple[int, str, str]], filled: Path
) -> None:
    for command in (
        ("list",), ("list", "--json"), ("history", "librarian"), ("uptime", EVIL),
        ("outages", EVIL), ("trend", EVIL), ("set", EVIL), ("list", f"{EVIL}er"),
    ):  # fmt: skip
        _, out, err = services(*command)
        assert not set(out + err) & {"\x1b", "\u202e"}, command
    assert r"evil\x1b[31m\u202e\nname [bold]" in services("list")[1]


def test_the_exit_code_says_whether_all_are_up(
    services: Callable[..., tuple[int, str, str]], filled: Path
) -> None:
    assert services("list", "librarian", "--check")[0] == 0
    assert services("list", "--check")[0] == 1
    code, out, err = services("list", "libarian")
    assert (code, out) == (1, "")
    assert "did you mean librarian?" in err


def test_a_heartbeat_prints_its_moment_and_wrong_use_records_nothing(
    services: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    assert services("list")[0] == 3  # no store, and none is made by looking
    code, out, _ = services("beat", "a", "ok", "--at", "2026-01-31T12:00+01:00", "--task", "t")
    assert (code, out) == (0, "2026-01-31T11:00:00.000000Z\n")
    for wrong in (
        ("beat", "a"),
        ("beat", "a", ""),
        ("beat", "a", "ok", "--at", "soon"),
        ("beat", "a", "ok", "--at", "2999-01-01"),
        ("beat", "a", "ok", "--latency", "-1"),
        ("uptime", "a", "--last", "soon"),
        ("set", "a", "--every", "soon"),
    ):
        assert services(*wrong)[0] == 2, wrong
    assert services("import", "nowhere.csv")[0] == 3
    (one,) = json.loads(services("list", "--json")[1])["services"]
    assert (one["service_name"], one["current_task"], one["state"]) == ("a", "t", "silent")
    (tmp_path / "h.jsonl").write_text('{"service": "b", "status": "ok", "ts": 1772000000}\n{')
    code, out, _ = services("import", "h.jsonl", "--json")
    assert code == 1
    done = json.loads(out)
    assert (done["inserted"], done["refused"], done["dry_run"]) == (1, 1, False)


def test_a_clock_that_was_wrong_is_told(
    services: Callable[..., tuple[int, str, str]], open_store: Callable[..., MetricsStore]
) -> None:
    class Ahead(Clock):
        def now_us(self) -> int:
            return super().now_us() + 365 * 86_400 * 1_000_000

    with open_store("s.db", clock=Ahead()) as store:
        store.heartbeat("librarian", "running")
    code, out, err = services("list")
    assert code == 0
    assert "silent" in out
    assert "in the future: a clock was wrong" in err
