"""The full-text index with a bit flipped: FTS5's own check passes over some, ours names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from metrics_store import MetricsStore, sqlite
from metrics_store.integrity import check_file

WORDS = ("way", "night", "build", "deploy", "review", "docs")
Damaged = Callable[[Path], None]


@pytest.fixture
def searched(store: MetricsStore, damaged: Damaged) -> Path:
    """A store with an index of some paths, in one piece."""
    for n in range(24):
        store.record_invocation(f"skill {n % 5}", workflow_path=f"{WORDS[n % 6]}/{n}")
    store.close()
    path = Path(store.path)
    with closing(sqlite.binding.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO workflow_path_fts (workflow_path_fts) VALUES ('optimize')")
    damaged(path)
    return path


def _finds(path: Path) -> object:
    """What every word of the paths finds; None if it cannot be searched."""
    match = "SELECT rowid FROM workflow_path_fts WHERE workflow_path_fts MATCH ?"
    with closing(sqlite.binding.connect(path)) as connection:
        try:
            return [
                connection.execute(match, (f'"{word}"',)).fetchall()
                for word in (*WORDS, *map(str, range(24)))
            ]
        except sqlite.DatabaseError:
            return None


def _flipped(path: Path, bits: slice) -> Iterator[None]:
    """The largest piece of the index with one bit after the other flipped."""
    with closing(sqlite.binding.connect(path, isolation_level=None)) as connection:
        largest = "SELECT id, block FROM workflow_path_fts_data ORDER BY length(block) DESC LIMIT 1"
        number, block = connection.execute(largest).fetchone()
        change = "UPDATE workflow_path_fts_data SET block = ? WHERE id = ?"
        for bit in range(8 * len(block))[bits]:
            broken = bytearray(block)
            broken[bit // 8] ^= 1 << (bit % 8)
            connection.execute(change, (bytes(broken), number))
            yield
        connection.execute(change, (block, number))


def _named(path: Path) -> bool:
    return "search_index" in {finding.kind for finding in check_file(path).findings}


def test_whatever_finds_other_texts_by_a_word_is_named(searched: Path) -> None:
    sound, changed = _finds(searched), 0
    assert not _named(searched)
    for _ in _flipped(searched, slice(None, None, 57)):
        if _finds(searched) != sound:
            changed += 1
            assert _named(searched)
    assert changed > 10
    assert _finds(searched) == sound
    assert not _named(searched)


def test_a_word_that_is_not_found_any_more_is_named_and_repaired(searched: Path) -> None:
    """FTS5's check reads a piece from its beginning, and not by the places at its end."""
    sound = _finds(searched)
    own_check = "INSERT INTO workflow_path_fts (workflow_path_fts, rank) VALUES (?, 1)"
    passed = 0
    for _ in _flipped(searched, slice(-400, None)):
        if _finds(searched) == sound:
            continue
        with closing(sqlite.binding.connect(searched, isolation_level=None)) as connection:
            try:
                connection.execute(own_check, ("integrity-check",))
            except sqlite.DatabaseError:
                continue
        passed += 1
        assert _named(searched)
        with MetricsStore(searched) as store:
            store.repair()
        assert _finds(searched) == sound
        assert not _named(searched)
        break
    assert passed
