"""Running a part of a test as a user who may do little."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from forked import NOBODY, SOMEBODY, in_child

from metrics_store.cli import application, main

__all__ = ["NOBODY", "SOMEBODY", "as_user", "command", "removed"]


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def as_user(work: Callable[[], Any], user: int = NOBODY) -> Any:
    """What some work gives in a child, as plain data; root becomes the user first."""
    assert application.app  # loaded while there is the permission for it
    return in_child(work, user)


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
