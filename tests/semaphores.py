"""What the tests of waiting look at: the semaphore of a store, and its file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metrics_store import MetricsStore, semaphore
from metrics_store.wakeups import Wakeups

needs_semaphores = pytest.mark.skipif(
    not semaphore.is_possible(),
    reason="no sem_clockwait (glibc 2.30 on Linux) or no /dev/shm: everybody sleeps here",
)


def file_of(path: str) -> Path:
    """Where the semaphore of a store is, if there is one."""
    found = os.stat(path)
    return Path(f"/dev/shm/sem.metrics_store-{found.st_dev}-{found.st_ino}")


def without(path: str) -> str:
    """The path, once nothing is left of one who was killed at an earlier file of its inode."""
    file_of(path).unlink(missing_ok=True)
    return path


def wakeups_of(store: MetricsStore) -> Wakeups:
    """What a store's writer waits with."""
    return store.database._writer._wakeups
