"""The README: what it shows is run, and what it says there is, is there."""

from __future__ import annotations

import ast
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
from importlib import import_module
from pathlib import Path

import click
import pytest
import typer
from checking import python_path

from metrics_store import MetricsStore
from metrics_store.cli.application import app
from metrics_store.cli.options import PROGRAM
from metrics_store.reports import Reports
from metrics_store.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
NAMED = re.findall(r"`([^`\n]+)`", PROSE)
SOURCES = "\n".join(
    file.read_text(encoding="utf-8")
    for folder, kind in (("metrics_store", "*.py"), ("metrics_store", "*.sql"), ("migrations", "*"))
    for file in sorted((ROOT / folder).rglob(kind))
)
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
}
#: Words that the code has in their everyday sense only, and where.
EVERYDAY = {
    "control": "control characters, transaction control",
    "candidate": "a name or time that is tried",
    "gate": "the door that shuts readers out; exit code 2 of the whole project",
}


def test_everything_that_the_readme_shows_runs_in_its_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    ran = [run(step, tmp_path) for step in steps()]
    assert len([step for step in ran if step.startswith("$")]) >= 10
    assert len(ran) >= 18


def steps() -> Iterator[str]:
    """Every `$ command` and every whole Python snippet, in the order of the README."""
    for language, text in BLOCKS:
        if language == "python":
            yield text
        elif language == "console":
            yield from (line for line in text.splitlines() if line.startswith("$ "))


def run(step: str, folder: Path) -> str:
    kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
    environment = {
        **kept,
        "PYTHONPATH": python_path(),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "error",
        "TZ": "Etc/UTC",
    }
    given = ""
    if not step.startswith("$"):
        environment["METRICS_STORE_DB"] = str(folder / "snippets.db")
        commands = [[sys.executable, "-c", step]]
    else:
        commands = [words(part) for part in step.removeprefix("$ ").split(" | ")]
    for command in commands:
        # One after the other does what a pipe does, with an exit code for each.
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            cwd=folder,
            env=environment,
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
        return [sys.executable, "-m", "metrics_store.cli", *others]
    assert first in ("echo", "head"), f"the README runs {first}, which this test does not know"
    return [first, *others]


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a terminal of its own")
def test_the_report_in_the_readme_is_the_real_one(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    command = words(f"{PROGRAM} legacy import examples/skill_metrics.json --report")
    real = timeless(in_terminal(command, tmp_path, columns=100))
    [shown] = [text for language, text in BLOCKS if language == "text"]
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


def in_terminal(command: list[str], folder: Path, *, columns: int) -> str:
    """What a command shows in a terminal without colours."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
    more = {"PYTHONPATH": python_path(), "TZ": "Etc/UTC", "NO_COLOR": "1", "TERM": "xterm"}
    for name in ("COLUMNS", "LINES", "FORCE_COLOR"):
        kept.pop(name, None)
    with (tmp := folder / "stderr.txt").open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=stderr,
            env={**kept, "PYTHONIOENCODING": "utf-8", **more},
        )
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    assert process.wait(60) == 0, tmp.read_text()
    return b"".join(pieces).decode().replace("\r\n", "\n")


def test_every_command_is_in_the_table_and_no_other() -> None:
    def leaves(command: click.Command, path: str) -> Iterator[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path
        for name, child in (inner or {}).items():
            yield from leaves(child, f"{path} {name}")

    rows = re.findall(rf"^\| `({PROGRAM} [^`]+)` \|", README, re.MULTILINE)
    shown = [re.sub(r" [A-Z]+$", "", row) for row in rows]
    assert len(set(shown)) == len(shown)
    assert set(shown) == set(leaves(typer.main.get_command(app), PROGRAM))


def test_every_command_that_reads_has_json() -> None:
    def without(command: click.Command, path: str) -> Iterator[str]:
        inner = getattr(command, "commands", {})
        if not inner and not any("--json" in parameter.opts for parameter in command.params):
            yield path
        for name, child in inner.items():
            yield from without(child, f"{path} {name}".strip())

    assert set(without(typer.main.get_command(app), "")) == {"record", "export"}


def test_every_option_that_is_named_exists() -> None:
    def options(command: click.Command) -> Iterator[str]:
        for parameter in command.params:
            yield from parameter.opts
        for child in getattr(command, "commands", {}).values():
            yield from options(child)

    known = set(options(typer.main.get_command(app))) | {"--strict"}  # mypy's
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named - known == set()


def test_the_settings_are_those_of_the_table_with_their_names_and_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(METRICS_STORE_\w+)` \| `([^`]+)` \|", README, re.MULTILINE)
    assert [name for name, _, _ in rows] == [field.name for field in fields(Settings)]
    plain = Settings.load(config=os.devnull, environ={})
    for name, variable, default in rows:
        value = getattr(plain, name)
        assert default == text_of(value), name
        other = {"full": "normal", "false": "true"}.get(default, "7")
        changed = Settings.load(config=os.devnull, environ={variable: other})
        assert getattr(changed, name) != value, f"{variable} does not set {name}"


def text_of(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value).replace(os.sep, "/")


def test_every_environment_variable_is_named() -> None:
    read = set(re.findall(r"\bMETRICS_STORE_[A-Z_]*[A-Z]\b", SOURCES))
    assert read - set(re.findall(r"\bMETRICS_STORE_[A-Z_]+\b", README)) == set()


def test_the_settings_file_that_is_shown_is_understood(tmp_path: Path) -> None:
    [shown] = [text for language, text in BLOCKS if language == "toml"]
    assert tomllib.loads(shown)
    (tmp_path / "metrics_store.toml").write_text(shown, encoding="utf-8")
    loaded = Settings.load(config=tmp_path / "metrics_store.toml", environ={})
    assert loaded.database == tmp_path / "state" / "metrics.db"
    assert loaded.busy_timeout == 5


@pytest.mark.parametrize("kind", [MetricsStore, Reports])
def test_every_public_method_is_in_the_readme_or_says_its_arguments(kind: type) -> None:
    silent = []
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("_") or re.search(rf"\b{name}\b", README):
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
    unknown = []
    for name in NAMED:
        if re.fullmatch(r"metrics_store\.(?!toml)\w+", name):
            import_module(name)
        elif re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)+", name):
            unknown += [] if re.search(rf"(\bclass {name}\b|^{name} = )", SOURCES, re.M) else [name]
        elif re.fullmatch(r"[a-z]+(_[a-z]+)+(\(\))?", name):
            word = name.removesuffix("()")
            unknown += [] if re.search(rf"\b{word}\b", SOURCES) else [name]
    assert unknown == []


def test_every_file_that_is_named_exists() -> None:
    tops = {path.name for path in ROOT.iterdir()} - {".venv", ".session-buddy"}
    shell = "\n".join(text for language, text in BLOCKS if language in ("sh", "console"))
    candidates = [*NAMED, *re.findall(r"[\w./-]+", shell)]
    named = {name for name in candidates if "/" in name and name.split("/")[0] in tops}
    assert {"examples/", "tests/test_docs.py", "scripts/run"} <= named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_link_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)]+)\)", PROSE)
    assert links
    for link in links:
        if not link.startswith(("https://", "http://")):
            file, _, anchor = link.partition("#")
            assert (ROOT / file).exists(), link
            assert not anchor or (file or anchor in anchors), link


def test_every_snippet_imports_only_what_is_public() -> None:
    import metrics_store

    for language, text in BLOCKS:
        for node in ast.walk(ast.parse(text)) if language == "python" else ():
            if isinstance(node, ast.ImportFrom) and node.module == "metrics_store":
                assert {alias.name for alias in node.names} <= set(metrics_store.__all__)


def test_every_word_of_the_glossary_that_the_code_uses_is_explained() -> None:
    section = README.split("\n## Words\n")[1].split("\n## ")[0]
    explained = set(re.findall(r"\*\*([\w ]+)\*\*", section))
    # An identifier's parts are words too.
    text = re.sub(r"([a-z])([A-Z])", r"\1_\2", SOURCES).lower()
    used = {
        word
        for word, pattern in GLOSSARY.items()
        if word not in EVERYDAY and re.search(rf"(?<![a-z])({pattern})(?![a-z])", text)
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
