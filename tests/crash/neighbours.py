"""Other processes at a store: one that writes it when told to, one that only reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from checking import python_path
from unprivileged import NOBODY

from metrics_store import MetricsStore
from metrics_store.errors import MetricsStoreError

#: How many the store of the tests has.
RECORDS = 20

_NEIGHBOUR = """
import sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    if line == "close\\n":
        store.close()
    else:
        store.record_invocation("deploy")
    print("done", flush=True)
"""


class Neighbour:
    """A process that may write the store, and does when it is told to."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NEIGHBOUR, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n"

    def _told(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def record(self) -> None:
        """Record one more; it is acknowledged when this returns."""
        self._told("record")

    def close(self) -> None:
        """Let it close the store."""
        self._told("close")

    def kill(self) -> None:
        """Leave the store as a crash does."""
        self._process.kill()
        self._process.communicate()

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


class Looking:
    """A child of little permission that has a store open for reading, and looks when told to."""

    def __init__(self, path: Path) -> None:
        going, self._go = os.pipe()
        told, tell = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                os.close(self._go)
                if os.geteuid() == 0:
                    os.setuid(NOBODY)
                store = MetricsStore(path, read_only=True)
                while os.read(going, 1):
                    os.write(tell, f"{_counted(store)}\n".encode())
                store.close()
            except BaseException as error:
                os.write(tell, f"{error!r}\n".encode())
            finally:
                os._exit(0)
        os.close(going)
        os.close(tell)
        self._told = os.fdopen(told, encoding="utf-8")

    def look(self) -> str:
        """How many records it sees, or why none."""
        os.write(self._go, b"g")
        return self._told.readline().strip()

    def end(self) -> None:
        """Let it close the store and end."""
        os.close(self._go)
        os.waitpid(self._child, 0)
        self._told.close()


def read(path: Path) -> int | str:
    """How many there are to somebody who only reads; else the error's name, with its hint."""
    try:
        with MetricsStore(path, read_only=True) as store:
            return len(store.query("SELECT 1 FROM skill_invocation"))
    except MetricsStoreError as error:
        return _named(error)


def _named(error: MetricsStoreError) -> str:
    """The error's name; it says what to do."""
    assert error.hint, repr(error)
    return type(error).__name__


def written(path: Path) -> str:
    """What somebody is told who wants to write."""
    try:
        with MetricsStore(path) as store:
            store.record_invocation("deploy")
    except MetricsStoreError as error:
        return _named(error)
    return "written"


def _counted(store: MetricsStore) -> int | str:
    try:
        return len(store.query("SELECT 1 FROM skill_invocation"))
    except MetricsStoreError as error:
        return type(error).__name__


def state(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
