"""Documents that are tested: their blocks in order, and how what they show is run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path

import click
import forked
import typer
from checking import python_path

import metrics_store
from metrics_store.cli.application import app
from metrics_store.cli.options import PROGRAM

ROOT = Path(__file__).parents[1]
SOURCES = "\n".join(
    file.read_text(encoding="utf-8")
    for folder, kind in (("metrics_store", "*.py"), ("metrics_store", "*.sql"), ("migrations", "*"))
    for file in sorted((ROOT / folder).rglob(kind))
)

#: The program as tests run it.
MODULE = [sys.executable, "-m", "metrics_store.cli"]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def _words() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", SOURCES))


@dataclass(frozen=True)
class Document:
    """A Markdown file of the project.

    Args:
        path: within the project.
    """

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """Every fenced block: its language and what is in it."""
        return _BLOCK.findall(self.text)

    @cached_property
    def prose(self) -> str:
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @cached_property
    def named(self) -> list[str]:
        """Whatever stands in backquotes in the prose."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    def section(self, title: str) -> str:
        """What stands under a title of the second level."""
        return self.text.split(f"\n## {title}\n")[1].split("\n## ")[0]

    def rows(self, title: str) -> list[list[str]]:
        """The cells of every table's rows under a title, without the titles of their columns."""
        found = []
        lines = self.section(title).splitlines()
        for i, line in enumerate(lines):
            rule = i + 1 < len(lines) and lines[i + 1].startswith("|---")
            if line.startswith("|") and not line.startswith("|---") and not rule:
                cells = re.split(r"(?<!\\)\|", line)[1:-1]
                found.append([cell.strip().replace(r"\|", "|") for cell in cells])
        return found

    def unknown_names(self) -> list[str]:
        """Names of code in the prose that the code has not."""
        unknown = []
        for name in self.named:
            if re.fullmatch(r"metrics_store\.(?!toml)\w+", name):
                import_module(name)
            elif re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)+", name):
                found = re.search(rf"(\bclass {name}\b|^{name} = )", SOURCES, re.MULTILINE)
                unknown += [] if found else [name]
            elif re.fullmatch(r"[a-z]+(_[a-z]+)+(\(\))?", name):
                unknown += [] if name.removesuffix("()") in _words() else [name]
        return unknown

    def files(self) -> set[str]:
        """The project's files that are named, by their paths."""
        tops = {path.name for path in ROOT.iterdir()} - {".venv", ".session-buddy"}
        shell = "\n".join(text for language, text in self.blocks if language in ("sh", "console"))
        candidates = [*self.named, *re.findall(r"[\w./-]+", shell)]
        return {name for name in candidates if "/" in name and name.split("/")[0] in tops}

    def unknown_options(self) -> set[str]:
        """Options that are named, and that no command has."""
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", self.text)) - options()

    def anchors(self) -> set[str]:
        return {
            re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", self.text, re.MULTILINE)
        }

    def dead_links(self) -> list[str]:
        """Links into the project that lead nowhere."""
        links = re.findall(r"\]\((?!https?://)([^)]+)\)", self.prose)
        return [link for link in links if not self._leads_somewhere(*link.partition("#"))]

    def _leads_somewhere(self, file: str, _: str, anchor: str) -> bool:
        found = (ROOT / self.path).parent / file
        if not found.exists():
            return False
        target = Document(os.path.relpath(found, ROOT)) if file else self
        return not anchor or anchor in target.anchors()

    def imported(self) -> set[str]:
        """What the snippets import from the package itself."""
        return {
            alias.name
            for language, text in self.blocks
            for node in (ast.walk(ast.parse(text)) if language == "python" else ())
            if isinstance(node, ast.ImportFrom) and node.module == "metrics_store"
            for alias in node.names
        }

    def astray(self, *known: str) -> list[str]:
        """Whatever it names that is not there: in the code, among the options, or in the project.

        Args:
            known: names of somebody else's.
        """
        named = {
            *self.unknown_names(),
            *self.unknown_options(),
            *self.dead_links(),
            *(self.imported() - set(metrics_store.__all__)),
            *(name for name in self.files() if not (ROOT / name).exists()),
        }
        return sorted(named.difference(known))

    def not_shown(self, group: str) -> list[str]:
        """The commands of a group that nobody types in this document."""
        typed = "\n".join(text for language, text in self.blocks if language == "console")
        ours = (command for command in commands() if command.startswith(f"{PROGRAM} {group} "))
        return [command for command in ours if command not in typed]


def commands(command: click.Command | None = None, path: str = PROGRAM) -> Iterator[str]:
    """Every command of the program, by what is typed."""
    command = command or typer.main.get_command(app)
    inner: Mapping[str, click.Command] | None = getattr(command, "commands", None)
    if inner is None:
        yield path
    for name, child in (inner or {}).items():
        yield from commands(child, f"{path} {name}")


def options(command: click.Command | None = None) -> set[str]:
    """Every option of every command."""
    command = command or typer.main.get_command(app)
    found = {name for parameter in command.params for name in parameter.opts}
    for child in getattr(command, "commands", {}).values():
        found |= options(child)
    return found


def environment(**more: str) -> dict[str, str]:
    """Of what a document shows: no settings but the given ones, UTC, no colours."""
    kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
    for name in ("COLUMNS", "LINES", "FORCE_COLOR"):
        kept.pop(name, None)
    return {
        **kept,
        "PYTHONPATH": python_path(),
        "PYTHONIOENCODING": "utf-8",
        "TZ": "Etc/UTC",
        "NO_COLOR": "1",
        "TERM": "xterm",
        **more,
    }


def in_terminal(
    command: list[str], folder: Path, *, columns: int, **more: str
) -> tuple[int, str, str]:
    """Run a command in a terminal without colours; its exit code, what it shows, and its stderr.

    The program itself is forked from this process; see :func:`forked.program`.
    """
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    told = environment(**more)
    with tempfile.TemporaryFile() as stderr, ThreadPoolExecutor(1) as reading:
        shown = reading.submit(lambda: b"".join(_pieces(ours)))
        try:
            if command[: len(MODULE)] == MODULE:
                with open(os.devnull, "rb") as nothing:
                    streams = (nothing.fileno(), theirs, stderr.fileno())
                    code = forked.program(command[len(MODULE) :], folder, told, *streams)
            else:
                code = subprocess.run(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=theirs,
                    stderr=stderr,
                    env=told,
                    timeout=120,
                    check=False,
                ).returncode
        finally:
            os.close(theirs)
        text = shown.result().decode()
        os.close(ours)
        stderr.seek(0)
        return code, text.replace("\r\n", "\n"), stderr.read().decode()


def _pieces(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # Linux says so when the other end is closed
            return
        if not piece:
            return
        yield piece
