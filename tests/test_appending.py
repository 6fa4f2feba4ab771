"""Appending lines: whole ones stay whole, whatever was left half-written before them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import appending


def append(path: Path, lines: bytes) -> bool:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return appending.append(handle, lines, sync=True)
    finally:
        os.close(handle)


@given(
    st.lists(st.tuples(st.binary(max_size=8).map(lambda b: b.replace(b"\n", b"x")), st.booleans()))
)
def test_lines_begin_anew_after_half_of_one(
    tmp_path: Path, written: list[tuple[bytes, bool]]
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"")
    expected = b""
    for line, torn in written:
        append(path, line + b"\n")
        expected += (b"\n" if expected[-1:] not in (b"", b"\n") else b"") + line + b"\n"
        if torn:  # as by a kill in the midst of the next one
            with path.open("ab") as file:
                file.write(b"half")
            expected += b"half"
    assert path.read_bytes() == expected


def test_what_the_system_takes_in_pieces_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    append(tmp_path / "lines", b"a long line\n" * 5)
    assert (tmp_path / "lines").read_bytes() == b"a long line\n" * 5


def test_what_cannot_be_written_whole_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines"
    assert append(path, b"one\n")
    write, left = os.write, [4]

    def until_it_is_full(handle: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(handle, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", until_it_is_full)
    with pytest.raises(OSError, match="No space left"):
        append(path, b"another line\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"one\n"
    assert not append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
