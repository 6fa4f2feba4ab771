"""What the tests of restoring have: a store, a backup of it, and what was recorded since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from contents import record, settings_of
from kept import FIRST, SINCE, Kept
from settable_clock import SettableClock

from metrics_store import MetricsStore


@pytest.fixture
def kept(store: MetricsStore, tmp_path: Path, clock: SettableClock) -> Kept:
    """A store of 20 records, a backup of it, and 7 more an hour later."""
    record(store, FIRST)
    made = store.back_up()
    clock.advance(3600)
    record(store, SINCE)
    return Kept(store, made.path, settings_of(tmp_path / "m.db"), clock)


@pytest.fixture
def other(open_store: Callable[..., MetricsStore], clock: SettableClock) -> Path:
    """The backup of another store."""
    store = open_store("other.db", new=True)
    record(store, ["foreign-1", "foreign-2"])
    return store.back_up().path
