"""Recording what standard input says: a JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from metrics_store.cli.options import Database, open_store, say
from metrics_store.errors import InvalidValue, MetricsStoreError, UsageError
from metrics_store.records import BatchResult
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.store import MetricsStore

Recorder = Callable[[MetricsStore, Iterable[Mapping[str, object]]], BatchResult]


class _Lines:
    """Objects from the lines of standard input, and the line we are at, for the message."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Iterator[dict[str, object]]:
        for line in sys.stdin.buffer:
            self.at += 1
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode("utf-8-sig" if self.at == 1 else "utf-8"))
            except (ValueError, RecursionError) as error:
                raise InvalidValue(f"not JSON: {error}") from error
            if not isinstance(value, dict):
                raise InvalidValue(f"{type(value).__name__}, not an object")
            yield value


def record(db: Database, recorded: Recorder, what: str) -> None:
    """Record the lines of standard input, all or none, and print their ids.

    Args:
        recorded: the store's method that takes them.
        what: one of them, for the message.

    Raises:
        UsageError: standard input is closed.
        InvalidValue: a line cannot be recorded.
    """
    if sys.stdin is None:
        raise UsageError("--stdin, and standard input is closed")
    lines = _Lines()
    with open_store(db, create=True) as store:
        try:
            result = recorded(store, lines)
        except InvalidValue as error:
            message = f"line {lines.at}: {error.detail}; nothing was recorded"
            raise InvalidValue(message, hint=error.hint) from error
        except MetricsStoreError:
            say("Nothing was recorded.")
            raise
    screen = Screen()
    for name in result.ids:
        screen.line(name, wrap=False)
    there = f", {figures.number(result.already_there)} were there already"
    said = f"Recorded {figures.plural(result.inserted, what)}"
    say(f"{said}{there if result.already_there else ''}.")
