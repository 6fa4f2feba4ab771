"""Fuzzed inputs by the thousand for everything that takes input from outside.

``python tests/crash/fuzzing.py library 100000 --seed 7``; ``scripts/faults`` runs all of them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Protocol, cast

from lines import Line

#: Inputs that one set of files serves; then it is looked at and made anew.
BATCH = 500
#: Seconds after which an input that is still being worked on is never done with.
_LONGEST = 60
#: A campaign that finds more kinds of problems than so many has found enough.
_ENOUGH = 30


class Surface(Protocol):
    """Something that takes input from outside."""

    def one(self) -> Iterator[str]:
        """Give it one input; what is wrong with what came of it."""

    def end(self) -> Iterator[str]:
        """Look at what all of it led to, and let go of everything."""


Begin = Callable[[Path, Random], Surface]
#: Where each surface is; a module is imported when it is needed.
SURFACES = {
    "library": "fuzzed_library",
    "families": "fuzzed_telemetry",
    "imports": "fuzzed_imports",
    "command line": "fuzzed_commands",
    "legacy files": "fuzzed_legacy",
    "files": "fuzzed_files",
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign came to.

    Args:
        surface: which.
        inputs: how many were given.
        seconds: how long it took.
        failed: how many of them led to something wrong.
        problems: what was wrong, one of each kind, with the seed and the batch that shows it.
    """

    surface: str
    inputs: int
    seconds: float
    failed: int
    problems: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return self.inputs / self.seconds


def campaign(surface: str, n: int, seed: int, directory: Path | None = None) -> Campaign:
    """Give a surface so many fuzzed inputs.

    Args:
        surface: one of :data:`SURFACES`.
        n: inputs.
        seed: decides all of them.
        directory: where its files are made; by default in memory if there is such a place.
    """
    begin = cast("Begin", import_module(SURFACES[surface]).begin)
    problems: dict[str, str] = {}
    began, given, batch, failed = time.monotonic(), 0, 0, 0
    while given < n and len(problems) < _ENOUGH:
        size = min(BATCH, n - given)
        with _folder(directory) as folder:
            wrong = list(_batch(begin, folder, Random(f"{surface} {seed} {batch}"), size))
        failed += len(wrong)
        for number, line in wrong:
            kind = line.partition(":")[0]
            problems.setdefault(kind, f"seed {seed}, batch {batch}, input {number}: {line}")
        given += size
        batch += 1
    return Campaign(surface, given, time.monotonic() - began, failed, tuple(problems.values()))


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    # Deep, so that no relative path leads out of it; and worked in, so that those lead into it.
    if directory is None and os.access("/dev/shm", os.W_OK):
        directory = Path("/dev/shm")
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fuzzed-", dir=directory) as top:
        folder = Path(top, *"abcdefghijklmnopqrstuvwxyz")
        folder.mkdir(parents=True)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def _batch(begin: Begin, folder: Path, chance: Random, size: int) -> Iterator[tuple[int, str]]:
    surface = begin(folder, chance)
    for number in range(size):
        try:
            with _limited():
                wrong = list(surface.one())
        except TooLong as error:
            wrong = [untyped(error, "it does not end")]
        for line in wrong:
            yield number, line
    for line in surface.end():
        yield size, line


class TooLong(BaseException):
    """Raised in the midst of what does not end."""


@contextmanager
def _limited() -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() != threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TooLong(f"more than {_LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def untyped(error: BaseException, what: object) -> str:
    """A line about an error that is none of ours."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    line = f"line {where.lineno} of {os.path.basename(where.filename)}"
    return f"{type(error).__name__} at {line}: {ascii(str(error))[:200]}; {ascii(what)[:300]}"


def lines(surface: str) -> Callable[[int, int], Iterator[Line]]:
    """The campaign of a surface as scripts/faults runs it: 1,000 inputs a round."""

    def run(rounds: int, seed: int) -> Iterator[Line]:
        for number in range(1, rounds + 1):
            done = campaign(surface, 1_000, seed + number)
            yield Line(
                f"round {number}",
                cases=done.inputs,
                passed=done.inputs - done.failed,
                figure=1e6 / done.rate,
                unit="us each",
                wrong=done.problems,
            )

    return run


def main() -> int:
    """Run one campaign as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("surface", choices=SURFACES)
    parser.add_argument("n", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    done = campaign(given.surface, given.n, given.seed)
    print(*done.problems, sep="\n")
    print(f"{done.inputs:,} inputs, {done.rate:,.0f} a second, {done.failed:,} went wrong")
    return 1 if done.problems else 0


if __name__ == "__main__":
    sys.exit(main())
