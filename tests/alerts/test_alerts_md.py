"""docs/alerts.md: what it shows is run in its order, and its tables are those of the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from checking import problems
from documents import ROOT, Document, environment
from follower import Walk, blocks, steady

import metrics_store
from metrics_store.alerts import rule_file
from metrics_store.alerts.metrics import METRICS
from metrics_store.families.alerts import EVENTS

GUIDE = Document("docs/alerts.md")
_SHORT = re.compile(r"\b[0-9a-f]{8}\b")
_SPARKS = re.compile(r"14 days|[·▁▂▃▄▅▆▇█]{2,}")


class Reader(Walk):
    """Somebody who follows the page; short ids and courses of days differ from run to run."""

    def _has(self, output: str, real: str) -> bool:
        pieces = [_plain(piece) for piece in re.split(r"^\.\.\.$", output, flags=re.MULTILINE)]
        middle = "(.*)".join(map(re.escape, pieces))
        return re.fullmatch(middle, _plain(real), re.DOTALL) is not None


def _plain(text: str) -> str:
    text = _SPARKS.sub("", _SHORT.sub("SHORT", text))
    return steady(re.sub(r"just now|\d+ s ago", "LATELY", text))


@pytest.fixture
def reader() -> Iterator[Reader]:
    root = Path(tempfile.mkdtemp(prefix="a", dir="/tmp")).resolve()
    made = Reader(root)
    yield made
    made.close()
    found = {str(path): problems(path) for path in root.rglob("*.db")}
    shutil.rmtree(root)
    assert found
    assert not any(found.values()), found


def test_the_page_runs_as_it_is_shown(reader: Reader) -> None:
    for block in blocks(GUIDE.text, lambda _: True):
        if block.kind in ("python", "console") or block.file:
            reader.take(block)
    assert reader.wrong == [], "\n\n".join(reader.wrong)
    assert len(reader.ran) >= 12


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a shell")
def test_the_line_for_cron_is_silent_while_nothing_changes(reader: Reader) -> None:
    reader.python("from metrics_store import MetricsStore; MetricsStore().close()")
    rules = next(block for block in blocks(GUIDE.text, bool) if block.kind == "yaml")
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


def test_what_is_named_is_there() -> None:
    assert set(GUIDE.unknown_names()) == set()
    assert GUIDE.unknown_options() == set()
    assert GUIDE.dead_links() == []
    assert GUIDE.imported() <= set(metrics_store.__all__)
    assert {name for name in GUIDE.files() if not (ROOT / name).exists()} == set()
