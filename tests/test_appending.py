"""Appending lines: whole ones stay whole, whatever was left half-written before them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import appending


def append(path: Path, lines: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        appending.append(handle, lines)
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
