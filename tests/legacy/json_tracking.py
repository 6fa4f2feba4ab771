"""What the tests of our JSON tracker share."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from settable_clock import SettableClock

from metrics_store.clock import to_datetime


def records(path: Path) -> list[dict[str, object]]:
    """The records of a legacy file."""
    return json.loads(path.read_text())["invocations"]  # type: ignore[no-any-return]


def total(path: Path, skill: str = "x") -> int:
    """How many invocations its totals count."""
    return json.loads(path.read_text())["skills"][skill]["total_invocations"]  # type: ignore[no-any-return]


def naive(clock: SettableClock) -> Callable[[], datetime]:
    """A clock's moment in UTC, as ``datetime.now`` gives it there."""
    return lambda: to_datetime(clock.us).replace(tzinfo=None)


def finished(**members: object) -> dict[str, object]:
    """A record that has ended."""
    return {
        "skill_name": "x",
        "invoked_at": "2026-03-10T12:00:00",
        "workflow_path": None,
        "completed": True,
        "duration_seconds": 1.5,
        "follow_up_actions": [],
        "error_type": None,
    } | members
