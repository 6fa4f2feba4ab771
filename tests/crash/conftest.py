"""What tests about permissions have: a folder for every user, a store in it, and its neighbours."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import problems
from neighbours import RECORDS, Neighbour
from unprivileged import command, removed

from metrics_store import MetricsStore


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can get to, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="permissions-"))
    folder.chmod(0o755)
    yield folder
    for file in folder.rglob("*.db"):
        file.parent.chmod(0o700)
        file.chmod(0o600)
        assert problems(file) == []
    removed(folder)


@pytest.fixture
def db(place: Path, new_file: Path, warm: None) -> Path:
    """A store with some records that nobody has open, in a folder of its own."""
    path = place / "store" / "m.db"
    path.parent.mkdir()
    shutil.copyfile(new_file, path)
    with MetricsStore(path) as store:
        store.record_invocations({"skill_name": "deploy"} for _ in range(RECORDS))
    return path


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is imported late has to be imported while there is the permission for it."""
    other = tmp_path_factory.mktemp("warm") / "warm.db"
    with MetricsStore(other) as store:
        store.record_invocation("x")
    for words in (
        ("skills", "list"),
        ("skills", "show", "y"),
        ("invocations",),
        ("export",),
        ("info",),
        ("health",),
        ("schema", "status"),
        ("backup", "create"),
        ("record", "y", "--duration", "1"),
        ("reap",),
    ):
        command("--db", other, *words)
    with MetricsStore(other, read_only=True) as store:
        store.get_summary()


@pytest.fixture
def neighbour(db: Path) -> Iterator[Callable[[], Neighbour]]:
    """Start processes that write the store."""
    started: list[Neighbour] = []

    def start() -> Neighbour:
        started.append(Neighbour(db))
        return started[-1]

    yield start
    for process in started:
        process.end()
