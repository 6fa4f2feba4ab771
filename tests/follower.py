"""Somebody who follows a document with commands, to the letter, and what happens to them.

A block is run where it stands, or saved where the line before says so. A quoted line is something
that happens meanwhile: EVENTS does it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from checking import is_store, problems
from documents import MODULE, ROOT, environment, in_terminal

COLUMNS = 100
#: What differs from run to run, and what stands for it here.
CHANGING = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?Z| UTC)?", "MOMENT"),
    (r"\d{8}T\d{12}", "MOMENT"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"[0-9a-f]{64}", "HASH"),
    (r"[\w.-]+@[\w.-]+ \(\d+\)", "SOMEBODY"),
    (r"\b\d[\d,.]* ?(µs|ms|s|min|m|h|d)\b( \d[\d,.]* ?(s|min|m|h|d)\b)*", "A WHILE"),
    (r"\b\d[\d,.]* ([kMG]i?)?B\b", "SOME BYTES"),
)
#: A command of ours that needs nothing of a shell.
_NO_SHELL = re.compile(r"metrics-store [^|&;<>$`(){}*?~\\\n]*")


class Block(NamedTuple):
    """A fenced block, the file it is to be saved as, or an event."""

    kind: str
    text: str
    file: str = ""


class Shown(NamedTuple):
    """A command of the document: what is typed, its exit code, and what is shown of its output."""

    typed: str
    code: int
    output: str


def blocks(text: str, chapter: Callable[[str], bool] = lambda _: True) -> Iterator[Block]:
    """What happens in some chapters of a document, in order; by default in all of them."""
    title, saved = "", ""
    pattern = re.compile(
        r"^## (?P<title>.+)$|Save this as `(?P<file>[^`]+)`:$|^> (?P<event>.+)$"
        r"|^```(?P<kind>\w+)\n(?P<text>(?:.*\n)*?)```$",
        re.MULTILINE,
    )
    for found in pattern.finditer(text):
        title = found["title"] or title
        saved = found["file"] or saved
        if chapter(title) and found["event"]:
            yield Block("event", found["event"])
        if chapter(title) and found["kind"]:
            yield Block(found["kind"], found["text"], saved)
        if found["kind"]:
            saved = ""


def shown(block: str) -> Iterator[Shown]:
    """The commands of a console block."""
    for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        typed, _, output = piece.partition("\n")
        code = re.search(r"# exit (\d+)$", typed)
        yield Shown(typed, int(code[1]) if code else 0, output)


class Walk:
    """Somebody who follows the document in a folder of their own.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "app"
        self.json_file = self.folder / ".session-buddy" / "skill_metrics.json"
        self.wrong: list[str] = []
        self.ran: list[str] = []
        self._bin = root / "bin"
        self._jobs: list[subprocess.Popen[bytes]] = []
        self.json_file.parent.mkdir(parents=True)
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        shutil.copyfile(ROOT / "examples" / "skill_metrics.json", self.json_file)
        self._install()

    def _install(self) -> None:
        """Programs by their names, and the scripts with an environment that is up to date."""
        self._program(self._bin / "python", '"$@"')
        self._program(self._bin / "metrics-store", '-m metrics_store.cli "$@"')
        shutil.copytree(
            ROOT / "scripts", self.folder / "scripts", ignore=shutil.ignore_patterns("bench*")
        )
        shutil.copyfile(ROOT / "pyproject.toml", self.folder / "pyproject.toml")
        venv = self.folder / ".venv"
        shutil.copytree(self._bin, venv / "bin")
        told = "source scripts/_venv.sh; fingerprint >.venv/.installed-core"
        subprocess.run(["bash", "-c", told], cwd=self.folder, check=True)

    def _program(self, path: Path, arguments: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}\n')
        path.chmod(0o755)

    def follow(self, page: Iterable[Block]) -> None:
        """Do what all blocks say; it must come to what they show."""
        for block in page:
            self.take(block)
        assert self.wrong == [], "\n\n".join(self.wrong)

    def take(self, block: Block) -> None:
        """Do what a block says."""
        if block.kind == "event":
            self._happen(block.text)
        elif block.file:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            self.python(block.text)
        elif block.kind == "console":
            for command in shown(block.text):
                self._type(command)

    def python(self, code: str, *arguments: object) -> None:
        """Run a program in the folder; it must not fail."""
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        self.ran.append(code)

    def _happen(self, event: str) -> None:
        for pattern, do in EVENTS.items():
            if found := re.fullmatch(pattern, event):
                do(self, *map(int, found.groups()))
                self.ran.append(event)
                return
        raise AssertionError(f"nobody knows how to do this: {event}")

    def _type(self, command: Shown) -> None:
        self.ran.append(command.typed)
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        # The shell itself says how a command ended that was killed.
        bash = ["bash", "-c", f"{command.typed.removesuffix(' &')}\nexit $?"]
        if _NO_SHELL.fullmatch(command.typed):
            bash = [*MODULE, *shlex.split(command.typed, comments=True)[1:]]
        if command.typed.endswith(" &"):
            self._jobs.append(subprocess.Popen(bash, cwd=self.folder, env=environment(PATH=path)))
            return
        if command.typed == "wait":
            while self._jobs:
                assert self._jobs.pop().wait(120) == 0
            return
        code, out, err = in_terminal(bash, self.folder, columns=COLUMNS, PATH=path)
        real = f"{out}{err}"
        self.check(command, code, real)

    def check(self, command: Shown, code: int, real: str) -> None:
        """Note what is otherwise than the document says."""
        if code != command.code:
            self.wrong.append(f"$ {command.typed}\nexit {code}, not {command.code}\n{real}")
        elif command.output.strip() and not self._has(command.output, real):
            self.wrong.append(f"$ {command.typed}\n--- shown\n{command.output}\n--- real\n{real}")

    def _has(self, output: str, real: str) -> bool:
        """Whether it is shown as it is, but for what is left out at `...`."""
        pieces = [self.plain(piece) for piece in re.split(r"^\.\.\.$", output, flags=re.MULTILINE)]
        text = self.plain(real.replace(str(self.folder), "/srv/app"))
        return re.fullmatch("(?:.*)".join(map(re.escape, pieces)), text, re.DOTALL) is not None

    def plain(self, text: str) -> str:
        """A text without what differs from run to run."""
        return steady(text)

    def stores(self) -> list[Path]:
        """Every store that was made on the way."""
        return sorted(path for path in self.folder.rglob("*.db") if is_store(path))

    def unsound(self) -> dict[str, object]:
        """What is wrong with stores that ought to be sound."""
        return {str(path): found for path in self.stores() if (found := problems(path))}

    def close(self) -> None:
        for job in self._jobs:
            job.kill()
            job.wait()


Walker = TypeVar("Walker", bound=Walk)


@contextmanager
def walking(kind: type[Walker]) -> Iterator[Walker]:
    """Somebody in a folder of their own, with a short name: long ones are broken in a terminal.

    Whatever they went through, the stores that they leave are sound.
    """
    root = Path(tempfile.mkdtemp(prefix="w", dir="/tmp")).resolve()
    walk = kind(root)
    try:
        yield walk
    finally:
        walk.close()
        stores, unsound = walk.stores(), walk.unsound()
        shutil.rmtree(root)
    assert stores or not walk.ran
    assert unsound == {}


def steady(text: str) -> str:
    """A text without what differs from run to run, nor how it is laid out in lines."""
    return named(" ".join(text.split()), CHANGING)


def named(text: str, changing: Iterable[tuple[str, str]]) -> str:
    """A text with the names of what changes, for whatever has the pattern before each."""
    for pattern, name in changing:
        text = re.sub(pattern, name, text)
    return text


# What happens meanwhile ------------------------------------------------------------------------

_RUNNER = """
import sys
from metrics_store import open_tracker

with open_tracker(".session-buddy/skill_metrics.json", on_error=sys.argv[3]) as tracker:
    for n in range(int(sys.argv[1])):
        tracker.track_invocation("test-runner", "unit")(follow_up_actions=["git commit"])
        if sys.argv[2] == "read":
            tracker.get_summary()
"""


def _record(walk: Walk, n: int) -> None:
    walk.python(_RUNNER, n, "only record", "raise")


def _record_and_read(walk: Walk, n: int) -> None:
    walk.python(_RUNNER, n, "read", "raise")


def _overwrite(walk: Walk, n: int) -> None:
    """An old tracker writes what it has read before others recorded something."""
    memory = walk.json_file.read_bytes()
    _record(walk, n)
    walk.json_file.write_bytes(memory)


def _edit(walk: Walk) -> None:
    history = json.loads(walk.json_file.read_text())
    history["invocations"][7]["duration_seconds"] = 60.0
    walk.json_file.write_text(json.dumps(history, indent=2))


def _write_late(walk: Walk) -> None:
    """What the legacy tracker does at an end: the whole file from its memory, without a lock."""
    history = json.loads(walk.json_file.read_text())
    record = dict(history["invocations"][0], invoked_at="2026-11-21T09:00:00.000001")
    history["invocations"].append(record)
    walk.json_file.write_text(json.dumps(history, indent=2))


def _wait_for(walk: Walk, days: int) -> None:
    path = Path(f"{walk.json_file}.control.json")
    there = json.loads(path.read_text())
    entered = datetime.fromisoformat(there["entered_at"]) - timedelta(days=days)
    there["entered_at"] = entered.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    path.write_text(json.dumps(there, indent=2))


def _without_store(walk: Walk, n: int) -> None:
    store = walk.json_file.with_suffix(".db")
    store.rename(store.with_suffix(".away"))
    walk.python(_RUNNER, n, "only record", "log")
    store.with_suffix(".away").rename(store)


def _delete_control(walk: Walk) -> None:
    Path(f"{walk.json_file}.control.json").unlink()


EVENTS: dict[str, Callable[..., None]] = {
    r"Meanwhile runners record (\d+) invocations\.": _record,
    r"Meanwhile runners record (\d+) invocations?, and read their numbers after each\.": (
        _record_and_read
    ),
    r"Meanwhile an old tracker overwrites (\d+) records of others\.": _overwrite,
    r"Meanwhile somebody edits a record in the JSON file by hand\.": _edit,
    r"Meanwhile an old tracker that nobody restarted records an invocation\.": _write_late,
    r"(\d+) days later\.": _wait_for,
    r"Meanwhile the store is out of reach, and runners record (\d+) invocations\.": _without_store,
    r"Meanwhile somebody deletes the control file\.": _delete_control,
}
