"""What every test has: a clock to set, a store of its own, a check of every store afterwards."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from checking import is_store, problems, python_path
from commands import Done
from hypothesis import HealthCheck, settings
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.cli import main
from metrics_store.connection import Database
from metrics_store.errors import MetricsStoreError

settings.register_profile(
    "metrics_store",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("metrics_store")


def pytest_configure(config: pytest.Config) -> None:
    """Compile modules once, not anew in each of the thousands of processes that tests start.

    Whoever keeps Python from writing compiled files wants none beside the sources: these go to
    pytest's own cache. Its workers, and all that tests start, inherit where.
    """
    if sys.dont_write_bytecode and hasattr(config, "cache"):
        compiled = config.cache.mkdir("compiled")
        # What tests have copied to folders of their own is not met again.
        for passed in compiled.glob("**/pytest-of-*"):
            shutil.rmtree(passed, ignore_errors=True)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(compiled)
        sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """What thousands of tests consist of is not gone through at every collection of garbage."""
    gc.collect()
    gc.freeze()


class Opened:
    """The databases and stores that were opened in this process during a test."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.databases: list[Database] = []
        self.stores: list[MetricsStore] = []
        self.damaged: set[str] = set()

    def close(self) -> None:
        """Close what is still open."""
        for owner in (*self.stores, *self.databases):
            try:
                owner.close()
            except MetricsStoreError:
                path = owner.path
                if os.path.realpath(path) not in self.damaged:
                    raise

    def paths(self) -> set[str]:
        """The files that were opened and are to be checked."""
        return {database.path for database in self.databases} - self.damaged


@pytest.fixture(autouse=True)
def _sound_afterwards(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    """Close every store and check every store file, whatever the test was about."""
    for name in [name for name in os.environ if name.startswith("METRICS_STORE_")]:
        monkeypatch.delenv(name)
    # Asked for now, so that it is still there when this fixture ends.
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    opened = Opened()
    make_database, make_store = Database.__init__, MetricsStore.__init__

    def database_init(self: Database, *args: object, **kwargs: object) -> None:
        make_database(self, *args, **kwargs)  # type: ignore[arg-type]
        opened.databases.append(self)

    def store_init(self: MetricsStore, *args: object, **kwargs: object) -> None:
        make_store(self, *args, **kwargs)  # type: ignore[arg-type]
        opened.stores.append(self)

    monkeypatch.setattr(Database, "__init__", database_init)
    monkeypatch.setattr(MetricsStore, "__init__", store_init)
    yield opened
    if os.getpid() != opened.pid:
        return
    opened.close()
    paths = opened.paths()
    if folder is not None:
        paths |= {os.path.realpath(file) for file in folder.rglob("*.db")} - opened.damaged
    unsound = {
        path: found
        for path in sorted(paths)
        if os.path.isfile(path) and is_store(path) and (found := problems(path))
    }
    assert not unsound


@pytest.fixture
def damaged(_sound_afterwards: Opened) -> Callable[[str | os.PathLike[str]], None]:
    """Say that a store file is damaged on purpose, so that nobody checks it afterwards."""
    return lambda path: _sound_afterwards.damaged.add(os.path.realpath(path))


@pytest.fixture
def clock() -> SettableClock:
    """Noon of 10 March 2026, until it is told otherwise."""
    return SettableClock()


@pytest.fixture(scope="session")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store's file, to be copied: migrating each test's own costs 80 ms."""
    path = tmp_path_factory.mktemp("new") / "new.db"
    MetricsStore(path).close()
    return path


@pytest.fixture
def open_store(tmp_path: Path, clock: SettableClock, new_file: Path) -> Callable[..., MetricsStore]:
    """Open a store of a name in the test's folder; it exists already, unless new=True."""

    def opened(name: str = "m.db", *, new: bool = False, **kwargs: object) -> MetricsStore:
        path = tmp_path / name
        if not new and not path.exists():
            shutil.copyfile(new_file, path)
            path.chmod(0o600)
        kwargs = {"durability": "normal", "clock": clock, **kwargs}
        return MetricsStore(path, **kwargs)  # type: ignore[arg-type]

    return opened


@pytest.fixture
def store(open_store: Callable[..., MetricsStore]) -> MetricsStore:
    """A store of the test's own, on the test's clock."""
    return open_store()


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in a Python process of its own; its output is returned, its failure raised."""

    def run(
        code: str, *args: object, check: bool = True, timeout: float = 120, **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": python_path(), **env},
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run


_HOLD = """
import sys
from metrics_store import sqlite
connection = sqlite.connect(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold_lock() -> Iterator[Callable[[str | os.PathLike[str]], Callable[[], None]]]:
    """Let another process hold a store's write lock; what is returned lets it go."""
    holders: list[subprocess.Popen[str]] = []

    def hold(path: str | os.PathLike[str]) -> Callable[[], None]:
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD, os.fspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return lambda: _let_go(holder)

    yield hold
    for holder in holders:
        with suppress(ProcessLookupError):
            _let_go(holder)


def _let_go(holder: subprocess.Popen[str]) -> None:
    if holder.returncode is None:
        holder.communicate()


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """Run a command inside this process, in the test's folder, not in a terminal."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return called
