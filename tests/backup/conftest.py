"""What the tests of backups have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shelves import made

from metrics_store import manifest


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[..., Path]:
    """Put a file of four bytes with a manifest into the test's folder."""

    def put(name: str, **members: object) -> Path:
        path = tmp_path / name
        path.write_bytes(b"1234")
        manifest.write(made(name, **members), path)
        return path

    return put
