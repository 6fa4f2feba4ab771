"""A fault server, as those use it who let writes be done on a faulty disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from checking import python_path
from fault_server import SAID, STDERR
from faulty_vfs import Fault, Io
from public_write import Write

_SERVER = Path(__file__).with_name("fault_server.py")


@dataclass(frozen=True, slots=True)
class Done:
    """How a child ended, and what it said."""

    folder: Path
    ending: int
    said: list[list[Any]]
    stderr: str

    def words(self, word: str) -> list[list[Any]]:
        """What was said with a word."""
        return [more for first, *more in self.said if first == word]


class Server:
    """A fault server, in whose children writes are done.

    Args:
        folder: all of it happens there.
        engine: the binding that is used, "apsw" or the product's own.

    Raises:
        LookupError: nothing can be laid under it here.
    """

    def __init__(self, folder: Path, engine: str = "") -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER), *([engine] if engine else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        if "unusable" in told:
            self._process.communicate()
            raise LookupError(told["unusable"])
        self.sqlite: str = told["sqlite"]
        self.engine = engine
        self._cases = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def template(self, write: Write) -> Path:
        """A folder with what is there before the write."""
        folder = self._folder / f"{write.name} before"
        if not folder.exists():
            write.make(folder)
        return folder

    def do(self, write: Write, fault: Fault | None = None, then: str = "close") -> Done:
        """Do a write in a new folder, with a fault."""
        self._cases += 1
        folder = self._folder / f"{self._cases}"
        shutil.copytree(self.template(write), folder)
        order = {"write": write.name, "folder": str(folder), "fault": fault, "then": then}
        ending = self._ordered(order)
        said = [json.loads(line) for line in (folder / SAID).read_text().splitlines()]
        return Done(folder, ending, said, (folder / STDERR).read_text())

    def _ordered(self, order: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline()))

    def day(self, folder: Path, *day: object) -> None:
        """Let a :class:`recorded_work.Day` pass in a folder; its arguments from the seed on."""
        ending = self._ordered({"folder": str(folder), "day": day})
        assert ending == 0, (ending, (folder / STDERR).read_text())

    def calls(self, write: Write) -> list[Io]:
        """Every call of the disk that a write makes, up to its store's closing."""
        done = self.do(write)
        assert done.ending == 0, done
        assert ["done"] in done.said, done
        (calls,) = [words[1] for words in done.said if words[0] == "calls"]
        shutil.rmtree(done.folder)
        return [Io(*call) for call in calls]


def engines() -> list[str]:
    """The bindings that can be tried: the product's own, and apsw."""
    return ["", "apsw"] if find_spec("apsw") else [""]


@contextmanager
def swift_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder in memory, if there can be one: a disk that is told when to fail needs
    none that is slow."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=f"{prefix}-", dir=memory) as name:
        yield Path(name)
