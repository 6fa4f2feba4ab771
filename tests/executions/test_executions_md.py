"""docs/executions.md: what it shows is run in its order, and its tables are those of the code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields

import pytest
from documents import Document
from follower import Walk, blocks, named, walking

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

    def plain(self, text: str) -> str:
        # How long something took is said by the data, and does not change.
        text = super().plain(re.sub(r"(?<=\d) (?=(ms|s)\b)", "_", text))
        return named(text, CHANGING)


@pytest.fixture
def reader() -> Iterator[Reader]:
    with walking(Reader) as reader:
        yield reader


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")
def test_the_page_runs_as_it_is_shown(reader: Reader) -> None:
    pytest.importorskip("duckdb", reason="the package duckdb is not installed")
    reader.follow(blocks(GUIDE.text))
    assert len(reader.ran) >= 17


def test_every_command_is_shown_and_what_is_named_is_there() -> None:
    assert GUIDE.not_shown("executions") == []
    assert GUIDE.astray() == []


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
