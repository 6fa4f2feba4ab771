"""How a figure is measured and judged: alternated pairs of one run, their median and span."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

#: Runs one block of work and gives the seconds it took.
Block = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Run:
    """What every benchmark gets.

    Args:
        directory: an empty folder of its own, on the disk that is measured.
        seed: of all random data.
        quick: sizes for a smoke test; the figures then mean little.
    """

    directory: Path
    seed: int
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """A size, by whether this is the smoke test."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number and its goal.

    Args:
        what: what was measured, and against what.
        values: one value per round, in the unit.
        unit: ``x``, ``us``, ``ms``, ``/s``, ``MB`` or ``lost``.
        at_most: the goal if less is better, else None.
        at_least: the goal if more is better, else None.
        note: how, and numbers that belong to it.
    """

    what: str
    values: tuple[float, ...]
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def goal(self) -> str:
        """The goal as it is read."""
        if self.at_most is not None:
            return f"<= {written(self.at_most, self.unit)}"
        return "" if self.at_least is None else f">= {written(self.at_least, self.unit)}"


def written(value: float, unit: str) -> str:
    """A value with its unit, in three figures or so."""
    number = f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
    return f"{number}{unit}" if unit in ("x", "/s") else f"{number} {unit}"


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternated(a: Block, b: Block, rounds: int) -> tuple[list[float], list[float]]:
    """Run A and B in turn, once each to warm up, and give the seconds of every round.

    The machine's speed drifts; two neighbours see the same machine, so only their ratio is kept.
    """
    with uncollected():
        a(), b()
        pairs = [(a(), b()) for _ in range(rounds)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, ...]:
    """The ratio of each pair."""
    return tuple(n / d for n, d in zip(numerators, denominators, strict=True))


def percentile(values: Sequence[float], quantile: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


def microseconds(seconds: Sequence[float], calls: int) -> str:
    """The median of blocks as microseconds per call, for notes."""
    return f"{median(seconds) / calls * 1e6:,.0f} us"


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector out of a measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def say(text: str) -> None:
    """Tell the person who waits, on stderr."""
    print(text, file=sys.stderr, flush=True)
