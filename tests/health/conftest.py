"""What the tests of health have: the command as a process, a disk of a size, other processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Done
from examining import COMMAND, GIB, disk, environment
from settable_clock import SettableClock

from metrics_store import MetricsStore, sqlite
from metrics_store.health import HealthReport, measure


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Done]:
    """Run `metrics-store health` as a process, in the test's folder."""

    def ran(*arguments: object, program: list[str] | None = None, **env: str) -> Done:
        done = subprocess.run(
            [*(program or [*COMMAND, "health"]), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=tmp_path,
            env=environment(**env),
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return ran


@pytest.fixture(autouse=True)
def _sound_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests find must not hang on the SQLite they run with."""
    monkeypatch.setattr(sqlite, "has_wal_reset_fix", True)


@pytest.fixture
def look(clock: SettableClock) -> Callable[..., HealthReport]:
    """Measure a store at the test's moment, on a roomy disk."""

    def looked(store: MetricsStore | Path, **options: object) -> HealthReport:
        options = {"clock": clock, "room": disk(1000 * GIB), **options}
        target = store.database if isinstance(store, MetricsStore) else store
        return measure(target, **options)  # type: ignore[arg-type]

    return looked


@pytest.fixture
def beside() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Another process that does something and says "ready", until its input is closed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in processes:
        if process.returncode is None:
            process.communicate(timeout=60)


@pytest.fixture
def hold_view(beside: Callable[..., subprocess.Popen[str]]) -> Callable[..., int]:
    """Let another process hold a view of a store; its pid."""
    code = """
import sys
from metrics_store import sqlite
connection = sqlite.connect(sys.argv[1], read_only=True)
if len(sys.argv) > 2:
    open("/proc/self/comm", "wb").write(sys.argv[2].encode())
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""
    return lambda path, *name: beside(code, path, *name).pid
