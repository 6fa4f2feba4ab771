"""What `executions` reads: lines of JSON, a vector; and how far an import is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics_store.cli.options import Database, open_store, say
from metrics_store.errors import InvalidValue, MetricsStoreError, UsageError
from metrics_store.render import figures
from metrics_store.render.screen import Screen, is_terminal


def record(db: Database) -> None:
    """Record the lines of standard input, all or none, and print their ids."""
    if sys.stdin is None:
        raise UsageError("--stdin, and standard input is closed")
    lines = _Lines()
    with open_store(db, create=True) as store:
        try:
            result = store.record_executions(lines)
        except InvalidValue as error:
            message = f"line {lines.at}: {error.detail}; nothing was recorded"
            raise InvalidValue(message, hint=error.hint) from error
        except MetricsStoreError:
            say("Nothing was recorded.")
            raise
    screen = Screen()
    for task_id in result.ids:
        screen.line(task_id, wrap=False)
    there = f", {figures.number(result.already_there)} were there already"
    said = f"Recorded {figures.plural(result.inserted, 'execution')}"
    say(f"{said}{there if result.already_there else ''}.")


class _Lines:
    """Objects from lines of JSON, and where we are, for the message."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Iterator[dict[str, object]]:
        for line in sys.stdin.buffer:
            self.at += 1
            if not line.strip():
                continue
            value = _parsed(line)
            if not isinstance(value, dict):
                raise InvalidValue(f"{type(value).__name__}, not an object")
            yield value


def vector(place: str) -> list[float]:
    """The numbers in a file, or on standard input.

    Raises:
        UsageError: it is not there, or holds something else.
    """
    try:
        text = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"--embedding {place}: {error}") from error
    value = _parsed(text)
    if not isinstance(value, list):
        raise InvalidValue(f"--embedding {place} holds no JSON array")
    return value


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"not JSON: {error}") from error


@contextmanager
def counted() -> Iterator[Callable[[int], None] | None]:
    """A line on standard error with the rows read so far, if somebody is looking."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as line:
        yield lambda n: line.update(f"{figures.plural(n, 'row')} read")
