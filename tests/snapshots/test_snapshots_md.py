"""docs/snapshots.md: what it shows is run in its order, and its table is held against the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from shutil import rmtree

import pytest
from checking import is_store, problems
from documents import MODULE, ROOT, Document, commands, environment
from follower import Walk, blocks

from metrics_store import MetricsStore
from metrics_store.snapshots.fields import FIELDS, MOMENT

GUIDE = Document("docs/snapshots.md")
UNITS = ROOT / "examples" / "systemd"
posix = pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")


@pytest.fixture
def walk() -> Iterator[Walk]:
    """Somebody who follows the page, in a folder with a short name."""
    root = Path(tempfile.mkdtemp(prefix="s", dir="/tmp")).resolve()
    walking = Walk(root)
    yield walking
    walking.close()
    stores = [path for path in root.rglob("*.db") if is_store(path)]
    unsound = {str(path): found for path in stores if (found := problems(path))}
    rmtree(root)
    assert len(stores) == 3
    assert unsound == {}


@posix
def test_everything_that_the_page_shows_runs_as_it_is_shown(walk: Walk) -> None:
    for block in blocks(GUIDE.text, lambda _: True):
        walk.take(block)
    assert walk.wrong == [], "\n\n".join(walk.wrong)
    assert len(walk.ran) >= 16


def test_every_field_is_in_the_table_with_what_it_holds_and_all_its_names() -> None:
    shown = {
        row[0].strip("`"): (row[1], tuple(re.findall(r"`([^`]+)`", row[2])))
        for row in GUIDE.rows("What is kept")
    }
    assert shown.pop("recorded_at") == ("moment", MOMENT)
    assert shown == {field.name: (field.kind, field.names) for field in FIELDS}


def test_what_the_page_names_is_there() -> None:
    assert GUIDE.unknown_names() == []
    assert GUIDE.unknown_options() - {"--json", "--timeout"} == set()
    assert GUIDE.dead_links() == []
    assert {name for name in GUIDE.files() if not (ROOT / name).exists()} == set()
    for command in commands():
        if command.startswith("metrics-store snapshots "):
            assert command in GUIDE.text or f"`{command.split()[-1]}`" in GUIDE.text, command
    for name in dir(MetricsStore):
        if "snapshot" in name:
            assert f"`{name}`" in GUIDE.text, name


@posix
def test_the_units_for_systemd_run_what_they_say(tmp_path: Path) -> None:
    unit = RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / "metrics-store-snapshots.service")
    service = unit["Service"]
    assert service["Type"] == "oneshot"
    words = shlex.split(service["ExecStart"].replace("/srv/runner", str(tmp_path)))
    limit = float(words[words.index("--timeout") + 1])
    assert limit < float(service["TimeoutStartSec"])
    tool = tmp_path / "status-tool"
    tool.write_text('#!/bin/sh\n[ "$1" = --json ] && echo \'{"files_total": 12}\'\n')
    tool.chmod(0o755)
    (tmp_path / ".session-buddy").mkdir()
    called = [*MODULE, *words[1 : words.index("--") + 1], str(tool), "--json"]
    database = service["Environment"].removeprefix("METRICS_STORE_DB=")
    database = database.replace("/srv/runner", str(tmp_path))
    for turn in range(2):
        done = subprocess.run(
            called, env=environment(METRICS_STORE_DB=database), capture_output=True, cwd=tmp_path,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), turn
    with MetricsStore(database) as store:
        assert [s.files_total for s in store.snapshots()] == [12]
    timer = (UNITS / "metrics-store-snapshots.timer").read_text()
    assert "WantedBy=timers.target" in timer
    assert "--min-interval 4m" in service["ExecStart"]
    assert "OnCalendar=*:0/5" in timer
    assert os.listdir(tmp_path / ".session-buddy")
