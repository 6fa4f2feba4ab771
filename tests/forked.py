"""A part of a test, or the program, in a process of its own that is forked from this one."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import metrics_store.cli
import metrics_store.render
from metrics_store.cli import main

#: Seconds that a command may take.
_PATIENCE = 120
#: What Python keeps to itself unless it is asked.
_NOT_SHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
#: Users that own nothing; their names do not matter.
NOBODY, SOMEBODY = 65534, 65533


def in_child(work: Callable[[], Any], user: int | None = None) -> Any:
    """What some work gives in a forked child, as plain data.

    Args:
        user: root becomes this one first. Somebody else than root stays who he is: what he may
            not do is then said by modes.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiving)
            if user is not None and os.geteuid() == 0:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            _written(sending, json.dumps(work()))
            code = 0
        except BaseException:
            _written(sending, traceback.format_exc())
        finally:
            os._exit(code)
    os.close(sending)
    with os.fdopen(receiving, encoding="utf-8") as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said
    return json.loads(said)


def _written(pipe: int, text: str) -> None:
    with os.fdopen(pipe, "w", encoding="utf-8") as file:
        file.write(text)


def program(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
) -> int:
    """Run the program in a forked child, as a shell would start it, and give its exit code.

    It does what ``metrics-store WORDS`` does but for what Python imports first, which takes several
    times as long as most commands.
    """
    load_program()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 97
        try:
            for ours, theirs in enumerate((stdin, stdout, stderr)):
                os.dup2(theirs, ours)
            code = _main(words, folder, environment)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@cache
def load_program() -> None:
    """Import what commands import, so that no child has to."""
    for package in (metrics_store.cli, metrics_store.render):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    with suppress(ImportError):  # what typer imports at the first option that it parses
        import_module("typer._adapters")


def _main(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """In the child: forget the test, and be the program."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.root.handlers.clear()
    signal.alarm(_PATIENCE)
    warnings.resetwarnings()
    for kind in _NOT_SHOWN:
        warnings.simplefilter("ignore", kind)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["metrics-store", *words]
    sys.stdin, sys.stdout, sys.stderr = (_text(number, mode) for number, mode in enumerate("rww"))
    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _text(number: int, mode: str) -> io.TextIOWrapper:
    raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - it is the process's own
    return io.TextIOWrapper(raw, encoding="utf-8", line_buffering=mode == "w" and raw.isatty())
