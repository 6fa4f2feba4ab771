"""What the tests of the migration share."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaving import Migration
from settable_clock import SettableClock


@pytest.fixture
def migration(tmp_path: Path, clock: SettableClock, new_file: Path) -> Migration:
    """A migration that was just begun, of a legacy file without records, on the test's clock."""
    return Migration(tmp_path, clock, new_file=new_file)
