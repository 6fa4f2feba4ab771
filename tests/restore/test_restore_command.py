"""`metrics-store restore`: what it prints, its documents, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from contents import contents, ids
from kept import FIRST, SINCE, Kept

from metrics_store.cli import main
from metrics_store.render import restore as page
from metrics_store.render.screen import Screen

KEYS = [
    *("executed", "undo", "file", "database", "state", "way", "size", "sha256", "reason"),
    *("made_at", "age_seconds", "here", "there", "schema_version", "same_store", "logs"),
    *("resume_needed", "findings", "generation", "safety", "safety_findings", "moved_aside"),
    *("locked_seconds", "problems"),
]
Called = tuple[int, str, str]


@pytest.fixture
def call(
    kept: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Called]:
    """Run `restore` in this process, in the store's folder, not in a terminal."""
    monkeypatch.chdir(kept.path.parent)
    capsys.readouterr()

    def called(*arguments: object) -> Called:
        code = main(["restore", *map(str, arguments), "--db", str(kept.path)])
        out, err = capsys.readouterr()
        return code, out, err

    return called


def test_a_dry_run_shows_what_would_change_and_how_to_do_it(
    kept: Kept, call: Callable[..., Called]
) -> None:
    before = contents(kept.path)
    code, out, err = call(kept.backup)
    assert (code, err) == (0, "")
    assert contents(kept.path) == before
    assert "Would restore m.db\n" in out
    assert re.search(r"skill_invocation +27 +20 +7 +0\n", out)
    assert "lost      skill_invocation of 2026-03-10 13:00:00 UTC" in out
    assert "its SHA-256 is the one in its manifest" in out
    assert out.endswith(
        f"Nothing was changed. To do it:\n"
        f"  metrics-store restore {kept.backup} --db {kept.path} --execute\n"
    )
    assert "\x1b" not in out


def test_what_it_says_to_type_does_it_and_takes_it_back(
    kept: Kept, call: Callable[..., Called]
) -> None:
    code, out, err = call(kept.backup, "--execute")
    assert (code, err) == (0, "")
    assert ids(kept.path) == {*FIRST}
    assert "✓ Restored m.db\n" in out
    assert re.search(r"kept as   m\.db\.backups/m-\d{8}T\d{12}\.db\n", out)
    typed = out.splitlines()[-1].split()
    assert typed[:2] == ["metrics-store", "restore"]
    assert main(typed[1:]) == 0
    assert ids(kept.path) == {*FIRST, *SINCE}


def test_the_documents_have_the_same_keys_done_or_not(
    kept: Kept, call: Callable[..., Called]
) -> None:
    code, out, _ = call(kept.backup, "--json")
    dry = json.loads(out)
    assert (code, list(dry)) == (0, [*KEYS, "to_execute", "to_undo"])
    assert dry["to_execute"].endswith("--execute")
    assert dry["to_undo"] is None
    assert list(dry["logs"][0]) == [
        *("table", "before", "after", "lost", "lost_first_at", "lost_last_at"),
        *("gained", "gained_first_at", "gained_last_at"),
    ]
    assert list(dry["here"]) == ["schema_version", "store_id", "generation", "in_flight", "staged"]
    code, out, _ = call(kept.backup, "--execute", "--json")
    done = json.loads(out)
    assert (code, list(done)) == (0, list(dry))
    assert done["to_execute"] is None
    assert "--undo --execute" in done["to_undo"]
    assert done["safety"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "neither FILE nor --undo"),
        (("x.db", "--undo"), "both FILE and --undo"),
        (("--undo", "--other-store"), "--undo and --other-store"),
        (("--undo",), "no restore to take back"),
        (("none.db",), "no such backup"),
        (("m.db",), "the store itself"),
        ((".",), "a directory"),
    ],
)
def test_what_is_refused_ends_with_two_and_a_hint(
    call: Callable[..., Called], arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "\nhint: " in err


def test_another_stores_backup_needs_its_option(
    kept: Kept, other: Path, call: Callable[..., Called]
) -> None:
    code, _, err = call(other, "--execute")
    assert code == 2
    assert "--other-store" in err
    code, out, _ = call(other, "--execute", "--other-store")
    assert code == 0
    assert "another store" in out
    assert ids(kept.path) == {"foreign-1", "foreign-2"}


def test_what_cannot_be_opened_is_told_in_words(kept: Kept, call: Callable[..., Called]) -> None:
    kept.store.close()
    with kept.path.open("r+b") as file:
        file.write(b"\0" * 200)
    code, out, _ = call(kept.backup)
    assert code == 0
    assert "no database that can be opened" in out
    assert "nobody can say what is lost" in out
    assert "Moved aside: m.db.unreadable-" in out
    code, out, _ = call(kept.backup, "--execute")
    assert code == 0
    assert "aside     m.db.unreadable-" in out
    assert "take it back" not in out


class Terminal(StringIO):
    """A terminal that takes what it is given."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_every_line_fits(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.chdir(kept.path.parent)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    done = kept.restore()
    terminal = Terminal()
    page.show_restored(Screen(terminal), done)
    for line in terminal.getvalue().splitlines():
        if str(os.path.basename(done.file)) in line or "kept as" in line:
            continue  # a path is to be copied: it stays in one line
        assert len(line) <= width, line


def test_hostile_names_are_inert(kept: Kept, tmp_path: Path, call: Callable[..., Called]) -> None:
    if sys.platform == "win32":
        pytest.skip("no file can have such a name there")
    hostile = tmp_path / "x\x1b[31m\u202e\nd.db"
    hostile.write_bytes(kept.backup.read_bytes())
    code, out, err = call(hostile)
    assert (code, err) == (0, "")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", out)
    hostile.unlink()
    code, _, err = call(hostile)
    assert code == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", err)
