"""docs/executions.md: what it shows is run in its order, and its tables are those of the code."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from checking import is_store, problems
from documents import Document, commands
from follower import Walk, blocks, steady

import metrics_store
from metrics_store.families.executions import EXECUTIONS

GUIDE = Document("docs/executions.md")
#: What differs from run to run besides what :mod:`follower` knows of.
CHANGING = (
    (r"MOMENT:\d\d( UTC)?|\b\d\d-\d\d \d\d:\d\d\b", "MOMENT"),
    (r"[·▁▂▃▄▅▆▇█]{20,}", "COURSE"),
    (r"\b\d+ in the last hour", "N in the last hour"),
)


class Reader(Walk):
    """Somebody who follows the page."""

    def _has(self, output: str, real: str) -> bool:
        text = _plain(real.replace(str(self.folder), "/srv/app"))
        pieces = [_plain(piece) for piece in re.split(r"^\.\.\.$", output, flags=re.MULTILINE)]
        return re.fullmatch("(?:.*)".join(map(re.escape, pieces)), text, re.DOTALL) is not None


def _plain(text: str) -> str:
    # Not steady() alone: how long something took is said by the data, and does not change.
    text = steady(re.sub(r"(?<=\d) (?=(ms|s)\b)", "_", text))
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Somebody in a folder of their own, with a short name: long ones are broken in a terminal."""
    root = Path(tempfile.mkdtemp(prefix="x", dir="/tmp")).resolve()
    walking = Reader(root)
    yield walking
    walking.close()
    unsound = [str(path) for path in root.rglob("*.db") if is_store(path) and problems(path)]
    shutil.rmtree(root)
    assert unsound == []


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")
def test_the_page_runs_as_it_is_shown(reader: Reader) -> None:
    pytest.importorskip("duckdb", reason="the package duckdb is not installed")
    for block in blocks(GUIDE.text, lambda _: True):
        reader.take(block)
    assert reader.wrong == [], "\n\n".join(reader.wrong)
    assert len(reader.ran) >= 17


def test_every_command_is_shown_and_what_is_named_is_there() -> None:
    due = {command for command in commands() if command.startswith("metrics-store executions ")}
    typed = "\n".join(text for kind, text in GUIDE.blocks if kind == "console")
    assert {command for command in due if command not in typed} == set()
    assert GUIDE.unknown_names() == []
    assert GUIDE.unknown_options() == set()
    assert GUIDE.dead_links() == []
    assert GUIDE.imported() <= set(metrics_store.__all__)


def test_the_numbers_that_are_explained_are_those_of_the_results() -> None:
    from metrics_store.executions import results

    explained = {
        name
        for row in GUIDE.rows("What the numbers mean")
        for name in re.findall(r"`([a-z0-9_]+)`", row[0])
    }
    there = {
        name
        for kind in (
            results.Numbers, results.Durations, results.Costs, results.Resources,
            results.ExecutionCounts, results.DailyPerformance, results.ExecutionStatistics,
        )
        for name in (field.name for field in fields(kind))
    }  # fmt: skip
    assert explained <= there
    assert there - explained == {"time_range", "performance", "avg_seconds", "total"}


def test_how_long_it_is_kept_is_what_the_family_says() -> None:
    assert EXECUTIONS.keep.remember
    assert f"\n{EXECUTIONS.keep.days} days by default" in GUIDE.section("How long it is kept")
