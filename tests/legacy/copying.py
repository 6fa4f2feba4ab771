"""What the tests of private copies share: a pause in which the writer goes on, and one who
interferes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_store.legacy import private_copy

FILES = Path(__file__).parent / "files"


class Pauses:
    """A `sleep` that does not: it notes the pause, and lets the writer go on meanwhile."""

    def __init__(self, *meanwhile: Callable[[], object]) -> None:
        self.seconds: list[float] = []
        self._meanwhile = iter(meanwhile)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        next(self._meanwhile, lambda: None)()


class Interference:
    """Runs something in the middle of each copy, as a writer would, `times` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], times: int):
        write_all = private_copy._write_all
        self.left = times

        def write_then_act(writer: object, block: bytes) -> None:
            write_all(writer, block)  # type: ignore[arg-type]
            if self.left:
                self.left -= 1
                act()

        monkeypatch.setattr(private_copy, "_write_all", write_then_act)
