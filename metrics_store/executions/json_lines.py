"""Executions as lines of JSON: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from typing import BinaryIO

from metrics_store.errors import SourceError

#: Longest line that is read, in bytes.
_LONGEST = 64 * 1024 * 1024


class JsonLines:
    """An open file of them."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._path = file, path

    def rows(self) -> Iterator[tuple[str, Mapping[str, object] | str]]:
        """Each line with its place, or why it cannot be read; empty lines are passed over.

        Raises:
            SourceError: the file cannot be read further.
        """
        number = 0
        try:
            while line := self._file.readline(_LONGEST):
                number += 1
                if line.strip():
                    yield f"line {number:,}", _read(line)
        except OSError as error:
            raise SourceError(f"{self._path}: {error}") from error

    def metadata(self, zone: tzinfo) -> Iterator[tuple[str, str, int]]:
        """Nothing: lines of JSON have none beside the executions."""
        return iter(())


@contextmanager
def opened(path: str) -> Iterator[JsonLines]:
    """Open a file for the length of the block.

    Raises:
        SourceError: it cannot be opened.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: {error}", hint="Name a file that you may read.") from error
        yield JsonLines(file, path)


def _read(line: bytes) -> Mapping[str, object] | str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return value if isinstance(value, dict) else "no JSON object"
