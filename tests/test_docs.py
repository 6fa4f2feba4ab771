"""The README: what it shows is run, and what it says there is, is there."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
import typer
from documents import (
    MODULE,
    ROOT,
    SOURCES,
    Document,
    commands,
    environment,
    in_terminal,
)

import metrics_store
from metrics_store import MetricsStore
from metrics_store.cli.application import app
from metrics_store.cli.options import PROGRAM
from metrics_store.phases.status import SIDES
from metrics_store.reports import Reports
from metrics_store.settings import Settings

GUIDE = Document("README.md")
README = GUIDE.text
#: With the pages of the families.
PAGES = README + "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.md"))
#: DESIGN's words; a plural or a verb of each is the same word.
GLOSSARY = {
    "invocation": "invocations?",
    "in flight": "in[ _]?flight",
    "completed": "completed",
    "failed": "failed",
    "abandoned": "abandoned",
    "family": "family|families",
    "log": "log",
    "rollup": "rollups?",
    "retention": "retention",
    "reaper": "reap(ed|er|ing)?",
    "schema": "schema",
    "legacy": "legacy",
    "backup": "backups?",
    "snapshot": "snapshots?",
    "manifest": "manifests?",
    "generation": "generations?",
    "control": "control",
    "candidate": "candidate",
    "mismatch": "mismatch(es)?",
    "backfill": "backfill",
    "cutover": "cutover",
    "rollback": "rollback",
    "phase": "phases?",
    "gate": "gates?",
    "baseline": "baseline",
    "quarantine": "quarantined?",
    "pending": "pending",
    "epoch": "epochs?",
    "spill": "spill(s|ed)?",
    "reconcile": "reconcil(e[ds]?|ing)",
    "verify": "verif(y|y_id|ies|ied|ying)",
    "rehearsal": "rehears(al|ed?|ing)",
    "soak": "soak(ed)?",
    "zombie": "zombies?",
    "harvest": "harvest(ed|ing)?",
}


def test_everything_that_the_readme_shows_runs_in_its_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    ran = [run(step, tmp_path) for step in steps()]
    assert len([step for step in ran if step.startswith("$")]) >= 10
    assert len(ran) >= 18


def steps() -> Iterator[str]:
    """Every `$ command` and every whole Python snippet, in the order of the README."""
    for language, text in GUIDE.blocks:
        if language == "python":
            yield text
        elif language == "console":
            yield from (line for line in text.splitlines() if line.startswith("$ "))


def run(step: str, folder: Path) -> str:
    more = {"PYTHONWARNINGS": "error"}
    given = ""
    if not step.startswith("$"):
        more["METRICS_STORE_DB"] = str(folder / "snippets.db")
        pipe = [[sys.executable, "-c", step]]
    else:
        pipe = [words(part) for part in step.removeprefix("$ ").split(" | ")]
    for command in pipe:
        # One after the other does what a pipe does, with an exit code for each.
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            cwd=folder,
            env=environment(**more),
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{step}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert not re.search(r"traceback|error|warning", done.stderr, re.IGNORECASE), done.stderr
        given = done.stdout
    return step


def words(command: str) -> list[str]:
    """A command of the README as it is called here."""
    first, *others = shlex.split(command)
    if first == PROGRAM:
        return [*MODULE, *others]
    assert first in ("echo", "head"), f"the README runs {first}, which this test does not know"
    return [first, *others]


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")
def test_the_report_in_the_readme_is_the_real_one(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    command = words(f"{PROGRAM} legacy import examples/skill_metrics.json --report")
    code, out, err = in_terminal(command, tmp_path, columns=100)
    assert code == 0, err
    real = timeless(out)
    [shown] = [text for language, text in GUIDE.blocks if language == "text"]
    at = 0
    for line in timeless(shown):
        if line not in ("...", ""):
            assert line in real[at:], f"the report has no line {line!r} here"
            at = real.index(line, at) + 1
    assert 20 <= len(shown.splitlines()) <= 40
    assert max(map(len, shown.splitlines())) <= 100


def timeless(text: str) -> list[str]:
    """Its lines, without how long it took."""
    took = re.compile(r"(times in \S+), [\d.]+ m?s$")
    return [took.sub(r"\1", line.rstrip()) for line in text.splitlines()]


def test_every_command_is_in_the_table_and_no_other() -> None:
    rows = re.findall(rf"^\| `({PROGRAM} [^`.]+)` \|", README, re.MULTILINE)
    shown = [re.sub(r" [A-Z]+$", "", row) for row in rows]
    assert len(set(shown)) == len(shown)
    grouped = re.compile(rf"^\| `{PROGRAM} (\w+) \.\.\.` \|.*\((docs/\w+\.md)\) \|$", re.MULTILINE)
    pages = dict(grouped.findall(README))
    assert {name for name in commands() if name.split()[1] not in pages} == set(shown)
    for command in commands():
        if page := pages.get(command.split()[1]):
            assert command in (ROOT / page).read_text(encoding="utf-8"), f"{page} has no {command}"


def test_the_phases_are_those_of_the_table() -> None:
    rows = GUIDE.rows("Leaving the JSON file without stopping")
    shown = {row[0].strip("`"): (row[1], row[2]) for row in rows}
    assert shown == {str(phase): sides for phase, sides in SIDES.items()}


def test_every_command_that_reads_has_json() -> None:
    def without(command: click.Command, path: str) -> Iterator[str]:
        inner = getattr(command, "commands", {})
        if not inner and not any("--json" in parameter.opts for parameter in command.params):
            yield path
        for name, child in inner.items():
            yield from without(child, f"{path} {name}".strip())

    assert set(without(typer.main.get_command(app), "")) == {
        "record",
        "export",
        "executions record",
    }


def test_every_option_that_is_named_exists() -> None:
    assert GUIDE.unknown_options() - {"--strict"} == set()  # mypy's


def test_the_settings_are_those_of_the_table_with_their_names_and_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(METRICS_STORE_\w+)` \| `([^`]+)` \|", README, re.MULTILINE)
    assert [name for name, _, _ in rows] == [field.name for field in fields(Settings)]
    plain = Settings.load(config=os.devnull, environ={})
    for name, variable, default in rows:
        value = getattr(plain, name)
        assert default == text_of(value), name
        other = {"full": "normal", "false": "true", "none": "skill = 7 days"}.get(default, "7")
        changed = Settings.load(config=os.devnull, environ={variable: other})
        assert getattr(changed, name) != value, f"{variable} does not set {name}"


def text_of(value: object) -> str:
    if value is None:
        return "NAME.backups"  # which depends on another setting
    if isinstance(value, bool):
        return str(value).lower()
    if value == ():
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace(os.sep, "/")


def test_every_environment_variable_is_named() -> None:
    read = set(re.findall(r"\bMETRICS_STORE_[A-Z_]*[A-Z]\b", SOURCES))
    assert read - set(re.findall(r"\bMETRICS_STORE_[A-Z_]+\b", README)) == set()


def test_the_settings_file_that_is_shown_is_understood(tmp_path: Path) -> None:
    [shown] = [text for language, text in GUIDE.blocks if language == "toml"]
    assert tomllib.loads(shown)
    (tmp_path / "metrics_store.toml").write_text(shown, encoding="utf-8")
    loaded = Settings.load(config=tmp_path / "metrics_store.toml", environ={})
    assert loaded.database == tmp_path / "state" / "metrics.db"
    assert loaded.busy_timeout == 5


@pytest.mark.parametrize("kind", [MetricsStore, Reports])
def test_every_public_method_is_in_the_readme_or_says_its_arguments(kind: type) -> None:
    silent = []
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("_") or re.search(rf"\b{name}\b", PAGES):
            continue
        text = inspect.getdoc(method) or ""
        takes = len(inspect.signature(method).parameters) > 1
        if not text or (takes and "Args:" not in text):
            silent.append(name)
    assert silent == []


def test_every_method_that_the_prose_or_a_snippet_calls_exists() -> None:
    called = set(re.findall(r"\bstore\.(\w+)\(", README))
    assert called
    assert {name for name in called if not hasattr(MetricsStore, name)} == set()


def test_every_name_in_the_prose_is_one_of_the_code() -> None:
    assert GUIDE.unknown_names() == []


def test_every_file_that_is_named_exists() -> None:
    named = GUIDE.files()
    assert {"examples/", "tests/test_docs.py", "scripts/run"} <= named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_link_leads_somewhere() -> None:
    assert "](MIGRATION.md" in README
    assert "](docs/operating.md)" in README
    assert GUIDE.dead_links() == []


def test_every_snippet_imports_only_what_is_public() -> None:
    assert GUIDE.imported() <= set(metrics_store.__all__)


def test_every_word_of_the_glossary_that_the_code_uses_is_explained() -> None:
    explained = set(re.findall(r"\*\*([\w ]+)\*\*", GUIDE.section("Words")))
    # An identifier's parts are words too.
    text = re.sub(r"([a-z])([A-Z])", r"\1_\2", SOURCES).lower()
    used = {
        word
        for word, pattern in GLOSSARY.items()
        if re.search(rf"(?<![a-z])({pattern})(?![a-z])", text)
    }
    assert used - explained == set()
    assert explained - used == set()


def test_the_sample_is_what_its_program_makes(tmp_path: Path) -> None:
    program, made = ROOT / "examples" / "make_sample.py", tmp_path / "made.json"
    subprocess.run([sys.executable, program, made], check=True, timeout=60)
    assert made.read_bytes() == (ROOT / "examples" / "skill_metrics.json").read_bytes()


def test_the_changelog_has_this_version_with_its_date() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", changelog, re.MULTILINE)
    assert newest
    assert newest[1] == project["version"]
