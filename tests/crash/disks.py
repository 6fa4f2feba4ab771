"""Disks that can be full."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """A disk that can be full."""

    def fill(self, path: Path, leave: int = 0) -> None:
        """Leave so many bytes at most.

        Args:
            path: the store that is to get no larger.
        """

    def free(self) -> None:
        """Make room again."""


class Small:
    """A small file system; a file of ballast fills it."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, path: Path, leave: int = 0) -> None:
        with self._ballast.open("ab") as file:
            for size in (1 << 16, 4096, 1):
                with suppress(OSError):
                    while True:
                        os.write(file.fileno(), b"x" * size)
            if leave:
                file.truncate(file.tell() - leave)

    def free(self) -> None:
        self._ballast.unlink()


class Limit:
    """A limit on the size of files."""

    def __init__(self, folder: Path) -> None:
        self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def fill(self, path: Path, leave: int = 0) -> None:
        size = 0
        with suppress(FileNotFoundError):
            size = os.stat(f"{path}-wal").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + leave, self._hard))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._hard, self._hard))
