"""What the tests of the live state have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from metrics_store import LiveState, MetricsStore
from metrics_store.live.bounds import Bounds


@pytest.fixture
def watch(store: MetricsStore) -> Iterator[Callable[..., LiveState]]:
    """Make live states; they are closed afterwards."""
    made: list[LiveState] = []

    def begin(of: MetricsStore | None = None, *, every: float = 0.02, **bounds: int) -> LiveState:
        made.append(LiveState(of or store, every=every, bounds=Bounds(**bounds)))
        return made[-1]

    yield begin
    for live in made:
        live.close()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is so."""

    def wait(condition: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come to be so in time"
            time.sleep(0.005)

    return wait
