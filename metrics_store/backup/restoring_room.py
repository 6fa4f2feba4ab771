"""Whether a restore has the room it needs, on every file system that it writes to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from metrics_store.errors import NoSpace

_SPARE = 1 << 20


def require(needs: Mapping[Path, int]) -> None:
    """Refuse to begin what has no room.

    Args:
        needs: bytes that are written below each directory, whether or not it is there yet.

    Raises:
        NoSpace: a file system has less free.
    """
    by_device: dict[int, tuple[Path, int]] = {}
    for directory, size in needs.items():
        place = _nearest(directory)
        device = os.stat(place).st_dev
        first, before = by_device.get(device, (place, 0))
        by_device[device] = (first, before + size)
    for place, size in by_device.values():
        free = shutil.disk_usage(place).free
        if free < size + _SPARE:
            raise NoSpace(
                f"{place} has {free:,} bytes free, restoring takes {size + _SPARE:,}",
                hint="Free some space there, then try again; nothing was changed.",
            )


def _nearest(directory: Path) -> Path:
    place = Path(os.path.realpath(directory))
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return place
