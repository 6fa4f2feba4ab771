"""docs/agents.md: what it shows is run in its order, and its tables are held against the code."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator

import pytest
from documents import Document
from follower import Walk, blocks, named, walking

from metrics_store.agents import board
from metrics_store.families import FAMILIES, Family

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

    def plain(self, text: str) -> str:
        return named(super().plain(text), CHANGING)


@pytest.fixture
def reader() -> Iterator[Reader]:
    with walking(Reader) as reader:
        yield reader


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_page_runs_as_it_is_shown(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    reader.follow(blocks(GUIDE.text))
    assert len(reader.ran) >= 20


def test_every_command_is_shown_and_what_is_named_is_there() -> None:
    assert GUIDE.not_shown("agents") == []
    there = ("blocked_at", "completed_at", "snake_case")  # made up of two words in the code
    assert GUIDE.astray(*there, "--allow-empty", "--initial-branch") == []  # the options of git


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
