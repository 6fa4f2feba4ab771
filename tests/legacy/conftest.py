"""What the tests of the migration share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from copying import FILES
from leaving import Migration
from settable_clock import SettableClock


@pytest.fixture
def migration(tmp_path: Path, clock: SettableClock, new_file: Path) -> Migration:
    """A migration that was just begun, of a legacy file without records, on the test's clock."""
    return Migration(tmp_path, clock, new_file=new_file)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "legacy.json"
    path.write_bytes((FILES / "two_writers.json").read_bytes())
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    yield path
    if path.exists():
        assert all(copy.stat().st_mode & 0o777 == 0o600 for copy in path.iterdir())
