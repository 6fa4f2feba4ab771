"""Running a part of a test as a user who may do little."""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from metrics_store.cli import application, main

#: Users that own nothing; their names do not matter.
NOBODY, SOMEBODY = 65534, 65533


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def as_user(work: Callable[[], Any], user: int = NOBODY) -> Any:
    """What some work gives in a child, as plain data; root becomes the user first.

    Somebody else than root stays who he is: what he may not do is then said by modes.
    """
    assert application.app  # loaded while there is the permission for it
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiving)
            if os.geteuid() == 0:
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


def command(*words: object) -> Done:
    """Run a command in this process, without a terminal."""
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err = StringIO(), StringIO()
    try:
        code = main([str(word) for word in words])
    finally:
        sys.stdout, sys.stderr = kept
    return Done(code, out.getvalue(), err.getvalue())


def removed(folder: Path) -> None:
    """Remove a folder whatever the modes in it."""
    for here, folders, _ in os.walk(folder):
        for name in folders:
            Path(here, name).chmod(0o700)
    shutil.rmtree(folder)
