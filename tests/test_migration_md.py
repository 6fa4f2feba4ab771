"""MIGRATION.md: what it shows is run, with runners at work, and what it says there is, is there.

The chapter of the rehearsal is one walk, everything else together is another, each in the order of
the document.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from documents import ROOT, SOURCES, Document, commands
from follower import Walk, blocks, walking

from metrics_store import errors
from metrics_store.cli.application import app
from metrics_store.errors import MetricsStoreError
from metrics_store.phases.status import SIDES
from metrics_store.phases.steps import STEPS

GUIDE = Document("MIGRATION.md")
REHEARSAL = "A rehearsal on a copy"
walks = pytest.mark.skipif(sys.platform == "win32", reason="it needs a shell and a terminal")


@pytest.fixture
def walk() -> Iterator[Walk]:
    with walking(Walk) as walk:
        yield walk


@walks
def test_the_rehearsal_runs_as_it_is_shown(walk: Walk) -> None:
    walk.follow(blocks(GUIDE.text, lambda title: title == REHEARSAL))
    assert len(walk.ran) >= 25


@walks
def test_the_way_from_phase_to_phase_runs_as_it_is_shown(walk: Walk) -> None:
    walk.follow(blocks(GUIDE.text, lambda title: title != REHEARSAL))
    assert len(walk.ran) >= 45
    assert _unlisted(walk.json_file) == []


def _unlisted(json_file: Path) -> list[str]:
    """What lies beside the JSON file and the store, and is not in the tables of the files."""
    listed = [
        re.escape(name.rstrip("/"))
        .replace("FILE", re.escape(json_file.name))
        .replace("STORE", re.escape(json_file.with_suffix(".db").name))
        .replace("MOMENT", "[0-9T]+")
        for row in GUIDE.rows("The files")
        for name in re.findall(r"`([^`]+)`", row[0])
    ]
    ours = {json_file.name, json_file.with_suffix(".db").name}
    there = {path.name for path in json_file.parent.iterdir()} - ours
    assert len(there) >= 6
    return sorted(name for name in there if not any(re.fullmatch(p, name) for p in listed))


def test_every_command_of_the_migration_is_shown() -> None:
    ours = {path.split(maxsplit=2)[2] for path in commands() if " legacy " in path}
    shell = "\n".join(text for kind, text in GUIDE.blocks if kind == "console")
    shown = set(re.findall(r"^\$ .*metrics-store legacy (diff \w+|\w+)", shell, re.MULTILINE))
    assert ours - shown == {"import"}


def test_the_drawing_has_the_phases_with_what_they_read_and_write() -> None:
    drawing = next(text for kind, text in GUIDE.blocks if kind == "text")
    lines = [re.split(r"\s{2,}", line.strip()) for line in drawing.splitlines()]
    drawn = {line[0]: (line[1], line[2]) for line in lines if line[0] in set(SIDES)}
    assert drawn == {str(phase): sides for phase, sides in SIDES.items()}
    assert list(drawn) == [str(phase) for phase in SIDES]


def test_the_steps_are_those_of_the_tables_with_their_commit_point() -> None:
    rows = [row for row in GUIDE.rows("When a command is cut short") if len(row) == 3]
    named = [row[0].strip("`") for row in rows]
    assert named == [*STEPS["cutover"], *STEPS["rollback"]]
    assert [row[0] for row in rows if "**" in row[1]] == ["`commit`", "`commit`"]


def test_every_error_of_the_legacy_side_is_among_the_messages_with_its_exit_code() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    known = {
        kind().message: str(kind.exit_code) for kind in kinds if issubclass(kind, MetricsStoreError)
    }
    legacy = {kind().message for kind in kinds if kind.__module__ == "metrics_store.errors.legacy"}
    shown = {row[0]: row[1] for row in GUIDE.rows("Messages") if len(row) == 4}
    assert legacy - set(shown) == set()
    for message, code in shown.items():
        assert message in SOURCES, message
        assert code == known.get(message, code), message


def test_every_finding_is_in_its_table() -> None:
    phases = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "metrics_store/phases").glob("*.py")
    )
    found = re.findall(r"\b(?:Finding|Requirement)\(\s*\"([\w ]+)\"", phases)
    shown = [row[0].strip("`") for row in GUIDE.rows("Messages") if len(row) == 3]
    assert sorted(shown) == sorted(set(found))


def test_every_kind_of_difference_and_every_reason_is_in_its_table() -> None:
    rows = GUIDE.rows("When the two sides differ")
    kinds = {row[0].strip("`") for row in rows if len(row) == 4}
    assert kinds == {*re.findall(r"\bFound\(\s*\"(\w+)\"", SOURCES), "read"}
    reasons = [row[0] for row in rows if len(row) == 2]
    assert reasons
    for reason in reasons:
        assert reason in SOURCES, reason


def test_the_sizes_of_the_gates_are_the_options_of_start_with_their_defaults() -> None:
    legacy = typer.main.get_command(app).commands["legacy"]  # type: ignore[attr-defined]
    start: click.Command = legacy.commands["start"]
    known = {parameter.opts[0]: parameter.default for parameter in start.params}
    for row in GUIDE.rows("Before you begin"):
        if option := re.fullmatch(r"`(--[\w-]+) \w+`", row[0]):
            default = known.pop(option[1])
            assert row[1] == ("this machine's" if default is None else str(default)), option
    assert set(known) == {"--execute", "--json-file", "--json", "--db"}


def test_what_is_named_is_there() -> None:
    assert GUIDE.astray("--help") == []
    assert {"scripts/cutover_to_database.sh", "scripts/rollback_to_json.sh"} <= GUIDE.files()
