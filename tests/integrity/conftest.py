"""What the tests of checking have: a store of their own to damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from damaging import make

Spoil = Callable[[], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with 300 invocations, to be copied."""
    path = tmp_path_factory.mktemp("sound") / "m.db"
    make(path)
    return path


@pytest.fixture
def sound(made_once: Path, tmp_path: Path) -> Path:
    """A closed store of the test's own."""
    path = tmp_path / "m.db"
    shutil.copyfile(made_once, path)
    path.chmod(0o600)
    return path


@pytest.fixture
def spoilt(sound: Path, damaged: Callable[[Path], None]) -> Path:
    """A closed store that the test will damage, and that nobody else checks."""
    damaged(sound)
    return sound
