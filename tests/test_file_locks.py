"""Locks on files: shared or alone, bounded in time, and let go also where a child has the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics_store import file_locks


@pytest.fixture
def handles(tmp_path: Path) -> Iterator[list[int]]:
    """One file, opened twice, as by two processes."""
    both = [os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT, 0o600) for _ in range(2)]
    yield both
    for handle in both:
        os.close(handle)


def test_one_has_it_at_a_time(handles: list[int]) -> None:
    one, other = handles
    assert file_locks.try_lock(one)
    assert not file_locks.try_lock(other)
    assert not file_locks.lock(other, 0.01)
    file_locks.unlock(one)
    assert file_locks.lock(other, 0.0)


@pytest.mark.skipif(os.name == "nt", reason="there are no shared locks")
def test_those_who_share_it_have_it_together_and_keep_the_one_who_does_not_out(
    handles: list[int],
) -> None:
    one, other = handles
    assert file_locks.try_lock(one, shared=True)
    assert file_locks.try_lock(other, shared=True)
    assert not file_locks.try_lock(other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about forked children")
def test_it_is_let_go_though_a_child_has_the_file_open_still(handles: list[int]) -> None:
    one, other = handles
    assert file_locks.try_lock(one)
    waiting, go_on = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_on)
        os.read(waiting, 1)
        os._exit(0)
    file_locks.unlock(one)
    had = file_locks.try_lock(other)
    os.close(go_on)
    os.waitpid(child, 0)
    os.close(waiting)
    assert had


def test_a_file_that_cannot_be_locked_is_an_error_and_letting_go_is_none() -> None:
    nothing = 1 << 20  # no file has this handle
    with pytest.raises(OSError, match="Bad file descriptor"):
        file_locks.lock(nothing, 0.0)
    file_locks.unlock(nothing)
