"""What the parts of the picture have in common."""

from __future__ import annotations

from typing import NamedTuple


class Tops(NamedTuple):
    """How far each log goes: the seq of its last row, 0 if it has none."""

    samples: int
    events: int
    commits: int
    health: int
    rag: int
    alerts: int
    heartbeats: int


class Update(NamedTuple):
    """What has changed.

    Args:
        values: keys with what they hold now.
        gone: keys that are no longer held.
    """

    values: dict[str, object]
    gone: set[str]


class Behind(Exception):
    """More has come than is worth reading row by row."""
