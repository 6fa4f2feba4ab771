"""A long history as the tracker writes it, for what is to take no more memory for it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

_BEGIN = datetime(2025, 1, 1)


def write(path: Path, n: int, distinct: int, *, long: int = 0) -> None:
    """Write a file of records, none of which is ever in memory with another.

    Args:
        n: how many.
        distinct: how many of them differ; the others are the same again.
        long: characters of a name, and of a value nobody knows, in two records more.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"invocations": [')
        for i in range(n):
            file.write((", " if i else "") + json.dumps(_record(i % distinct), indent=2))
        if long:
            for name, x in (("x" * long, ""), ("s", "x" * long)):
                file.write(f', {{"skill_name": "{name}", "invoked_at": "2025-01-01", "x": "{x}"}}')
        file.write("]}")


def _record(k: int) -> dict[str, object]:
    return {
        "skill_name": f"s{k % 12}",
        "workflow_path": "p",
        "completed": True,
        "invoked_at": (_BEGIN + timedelta(seconds=20 * k)).isoformat(),
        "duration_seconds": k % 977 / 7,
        "follow_up_actions": ["a"],
        "error_type": None,
    }
