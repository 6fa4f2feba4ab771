"""What the tests of the command line have: the real command, and the same in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path
from commands import Done

from metrics_store import MetricsStore

COMMAND = [sys.executable, "-m", "metrics_store.cli"]


def environment(**more: str) -> dict[str, str]:
    """The environment of a command of its own: no settings but the given ones, no terminal."""
    kept = {key: value for key, value in os.environ.items() if "METRICS_STORE" not in key}
    for key in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        kept.pop(key, None)
    return {**kept, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8", **more}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Done]:
    """Run the command as a process, in the test's folder."""

    def ran(*arguments: object, given: bytes = b"", **env: str) -> Done:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=given,
            capture_output=True,
            cwd=tmp_path,
            env=environment(**env),
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return ran


@pytest.fixture
def filled(open_store: Callable[..., MetricsStore], tmp_path: Path) -> Path:
    """A store with some invocations of three skills, closed."""
    store = open_store("filled.db")
    records: list[dict[str, object]] = [
        {
            "skill_name": "code-review",
            "invoked_at": f"2026-03-0{day}T0{hour}:30:00Z",
            "duration_seconds": 10.0 * hour,
            "completed": hour != 3,
            "error_type": "TimeoutError" if hour == 3 else None,
            "workflow_path": "full security" if hour % 2 else "quick",
            "session_id": f"session-{day}",
            "follow_up_actions": ["run tests"],
            "invocation_id": f"review-{day}-{hour}",
        }
        for day in (3, 4, 9)
        for hour in (1, 2, 3, 4)
    ]
    records.append({"skill_name": "docs", "invoked_at": "2026-03-10T08:00:00Z"})
    records.append(
        {
            "skill_name": "deploy",
            "invoked_at": "2026-03-05T08:00:00Z",
            "duration_seconds": 4000,
            "attributes": {"host": "a"},
        }
    )
    store.record_invocations(records)
    store.track_invocation("docs", "guide")
    store.close()
    return tmp_path / "filled.db"
