"""What the tests of health share: the command, a disk of a size, every file of a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from checking import python_path

from metrics_store.health.surroundings import Room

COMMAND = [sys.executable, "-m", "metrics_store.cli"]
GIB = 1 << 30


def disk(free: int, total: int = 2000 * GIB) -> Callable[[str], Room]:
    """A disk with some bytes left."""
    return lambda _: Room(total, total - free, free)


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: no settings but the given ones, no colours, no terminal."""
    kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
    for key in ("FORCE_COLOR", "COLUMNS", "LINES"):
        kept.pop(key, None)
    return {
        **kept,
        "PYTHONPATH": python_path(),
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
        **more,
    }


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the indexes of logs, in which every reader leaves its mark.

    This process may have no connection on any of them.
    """
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in found if path.suffix != ".db-shm"}
