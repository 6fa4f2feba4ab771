"""What the tests of snapshots have: the command in this process, and pairs of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from checking import python_path
from commands import Done


@pytest.fixture
def call(
    call: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """Run `metrics-store snapshots` in this process, in the test's folder, not in a terminal."""
    monkeypatch.setenv("METRICS_STORE_DB", str(tmp_path / "m.db"))
    monkeypatch.setenv("METRICS_STORE_DURABILITY", "normal")
    return partial(call, "snapshots")


@pytest.fixture
def pair() -> Callable[[str, str], list[str]]:
    """Run a script in two processes that begin together; gives what each printed in the end.

    It prints `ready`, and goes on when it gets a line.
    """

    def ran(code: str, *arguments: str) -> list[str]:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": python_path()},
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        outs = [process.communicate(timeout=60)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        return outs

    return ran
