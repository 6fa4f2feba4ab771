"""docs/snapshots.md: what it shows is run in its order, and its table is held against the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

import pytest
from documents import MODULE, ROOT, Document, environment
from follower import Walk, blocks, walking

from metrics_store import MetricsStore
from metrics_store.snapshots.fields import FIELDS, MOMENT

GUIDE = Document("docs/snapshots.md")
UNITS = ROOT / "examples" / "systemd"
posix = pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")


@pytest.fixture
def walk() -> Iterator[Walk]:
    with walking(Walk) as walk:
        yield walk
        assert len(walk.stores()) == 3


@posix
def test_everything_that_the_page_shows_runs_as_it_is_shown(walk: Walk) -> None:
    walk.follow(blocks(GUIDE.text))
    assert len(walk.ran) >= 16


def test_every_field_is_in_the_table_with_what_it_holds_and_all_its_names() -> None:
    shown = {
        row[0].strip("`"): (row[1], tuple(re.findall(r"`([^`]+)`", row[2])))
        for row in GUIDE.rows("What is kept")
    }
    assert shown.pop("recorded_at") == ("moment", MOMENT)
    assert shown == {field.name: (field.kind, field.names) for field in FIELDS}


def test_every_command_and_call_is_shown_and_what_is_named_is_there() -> None:
    assert GUIDE.not_shown("snapshots") == []
    assert GUIDE.astray() == []
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
