"""docs/agents.md: what it shows is run in its order, and its tables are held against the code."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checking import is_store, problems
from documents import Document, commands
from follower import Walk, blocks, steady

import metrics_store
from metrics_store.agents import board
from metrics_store.families import FAMILIES, Family
from metrics_store.retention import Retention

GUIDE = Document("docs/agents.md")
#: What differs from run to run besides what :mod:`follower` knows of.
CHANGING = (
    (r"just now|\bA WHILE ago\b", "SOME TIME AGO"),
    (r"MOMENT:\d\d\b", "MOMENT"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\d\b", "DAY"),
)


class Reader(Walk):
    """Somebody who follows the page."""

    def _has(self, output: str, real: str) -> bool:
        text = _plain(real.replace(str(self.folder), "/srv/app"))
        pieces = [_plain(piece) for piece in re.split(r"^\.\.\.$", output, flags=re.MULTILINE)]
        return re.fullmatch("(?:.*)".join(map(re.escape, pieces)), text, re.DOTALL) is not None


def _plain(text: str) -> str:
    text = steady(text)
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Somebody in a folder of their own, with a short name: long ones are broken in a terminal."""
    root = Path(tempfile.mkdtemp(prefix="a", dir="/tmp")).resolve()
    walking = Reader(root)
    yield walking
    walking.close()
    unsound = [str(path) for path in root.rglob("*.db") if is_store(path) and problems(path)]
    shutil.rmtree(root)
    assert unsound == []


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_page_runs_as_it_is_shown(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for block in blocks(GUIDE.text, lambda _: True):
        reader.take(block)
    assert reader.wrong == [], "\n\n".join(reader.wrong)
    assert len(reader.ran) >= 20


def test_every_command_is_shown_and_what_is_named_is_there() -> None:
    due = {command for command in commands() if command.startswith("metrics-store agents ")}
    typed = "\n".join(text for kind, text in GUIDE.blocks if kind in ("console", "sh"))
    assert {command for command in due if command not in typed} == set()
    there = {"blocked_at", "completed_at", "snake_case"}  # made up of two words in the code
    assert set(GUIDE.unknown_names()) - there == set()
    assert GUIDE.unknown_options() - {"--allow-empty", "--quiet", "--initial-branch"} == set()
    assert GUIDE.dead_links() == []
    assert GUIDE.imported() <= set(metrics_store.__all__)
    assert Retention  # the page names its command


def test_the_names_in_a_board_are_those_of_the_code() -> None:
    rows = {row[0]: row[1] for row in GUIDE.rows("Tasks from a board") if len(row) == 2}
    for what, names in (
        ("the id", board.ID),
        ("the status", board.STATUS),
        ("who has it", board.ASSIGNEE),
        ("the title", board.TITLE),
        ("who changed it", board.CHANGED_BY),
    ):
        shown = re.findall(r"`([^`]+)`", rows[what].partition(";")[0])
        assert tuple(shown) == names
    endings = {row: cell for row, cell in rows.items() if row.startswith("its status means")}
    assert len(endings) == 2
    for row, event in endings.items():
        statuses = {word.strip().replace(" ", "_") for word in row.split(":")[1].split(",")}
        assert statuses == {"`completed`": board.COMPLETED, "`blocked`": board.BLOCKED}[event]


def test_how_long_it_is_kept_is_what_the_families_say() -> None:
    rows = {row[0]: row[1:] for row in GUIDE.rows("How long it is kept")}
    families = {family.name: family for family in FAMILIES}

    def days(family: Family) -> str:
        return "for ever" if family.keep.days is None else f"{family.keep.days} days"

    assert rows["samples of agents"][0].startswith(days(families["agent"]))
    assert families["agent"].keep.newest_of
    assert families["agent"].keep.aged[0].days == 365
    assert rows["system health"][0] == days(families["system"])
    assert f"for {families['system'].keep.aged[0].days} days" in rows["system health"][1]
    assert rows["retrieval (RAG)"][0] == days(families["rag"])
    assert {days(families["task"]), days(families["commit"])} == {rows["task events, commits"][0]}
