"""docs/alerts.md: what it shows is run in its order, and its tables are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields

import pytest
from documents import Document, environment
from follower import Walk, blocks, walking

from metrics_store.alerts import rule_file
from metrics_store.alerts.metrics import METRICS
from metrics_store.families.alerts import EVENTS

GUIDE = Document("docs/alerts.md")
_SHORT = re.compile(r"\b[0-9a-f]{8}\b")
_SPARKS = re.compile(r"14 days|[·▁▂▃▄▅▆▇█]{2,}")


class Reader(Walk):
    """Somebody who follows the page; short ids and courses of days differ from run to run."""

    def plain(self, text: str) -> str:
        text = _SPARKS.sub("", _SHORT.sub("SHORT", text))
        return super().plain(re.sub(r"just now|\d+ s ago", "LATELY", text))


@pytest.fixture
def reader() -> Iterator[Reader]:
    with walking(Reader) as reader:
        yield reader


def test_the_page_runs_as_it_is_shown(reader: Reader) -> None:
    reader.follow(blocks(GUIDE.text))
    assert len(reader.ran) >= 12


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a shell")
def test_the_line_for_cron_is_silent_while_nothing_changes(reader: Reader) -> None:
    reader.python("from metrics_store import MetricsStore; MetricsStore().close()")
    rules = next(block for block in blocks(GUIDE.text) if block.kind == "yaml")
    reader.take(rules)
    [line] = [text for kind, text in GUIDE.blocks if kind == "crontab"]
    when, line = line[:10].split(), line[10:].replace("/srv/app", str(reader.folder))
    assert len(when) == 5
    path = f"{reader.folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line], env=environment(PATH=path), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_its_tables_are_those_of_the_code() -> None:
    metrics = {row[0].strip("`") for row in GUIDE.rows("Metrics")}
    assert metrics == set(METRICS)
    words = {word for row in GUIDE.rows("Rules") for word in re.findall(r"`(\w+)`", row[0])}
    assert words == set(rule_file._RULE)
    words = {word for row in GUIDE.rows("Hooks") for word in re.findall(r"`(\w+)`", row[0])}
    assert words == set(rule_file._HOOK)
    assert all(f"`{event}`" in GUIDE.section("Hooks") for event in EVENTS)
    from metrics_store.alerts.results import Alert

    assert all(f"`{column.name}`" in GUIDE.prose for column in fields(Alert))


def test_every_command_is_shown_and_what_is_named_is_there() -> None:
    assert GUIDE.not_shown("alerts") == []
    assert GUIDE.astray() == []
