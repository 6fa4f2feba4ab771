"""What `executions` reads: lines of JSON, a vector; and how far an import is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics_store.cli import json_lines
from metrics_store.cli.options import Database
from metrics_store.errors import InvalidValue, UsageError
from metrics_store.render import figures
from metrics_store.render.screen import is_terminal
from metrics_store.store import MetricsStore


def record(db: Database) -> None:
    """Record the lines of standard input, all or none, and print their ids."""
    json_lines.record(db, MetricsStore.record_executions, "execution")


def vector(place: str) -> list[float]:
    """The numbers in a file, or on standard input.

    Raises:
        UsageError: it is not there, or holds something else.
    """
    try:
        text = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"--embedding {place}: {error}") from error
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"not JSON: {error}") from error
    if not isinstance(value, list):
        raise InvalidValue(f"--embedding {place} holds no JSON array")
    return value


@contextmanager
def counted() -> Iterator[Callable[[int], None] | None]:
    """A line on standard error with the rows read so far, if somebody is looking."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as line:
        yield lambda n: line.update(f"{figures.plural(n, 'row')} read")
