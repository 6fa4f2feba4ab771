"""The facts of the machine that a figure cannot be read without."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from metrics_store import __version__, sqlite
from metrics_store.settings import Settings

Fact = str | int | float | None


def facts(directory: Path) -> dict[str, Fact]:
    """By name; the load is of the minute before.

    Args:
        directory: where the databases lie.
    """
    return {
        "metrics_store": __version__,
        "cpus": os.cpu_count(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": _file_system(directory),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite.version,
        "binding": sqlite.binding.__name__,
        "default_durability": Settings().durability,
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _file_system(directory: Path) -> str | None:
    """Its type: a commit to a memory file system reaches no disk, and FULL then means nothing."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    path = f"{directory.resolve()}/"
    under = [
        (len(point), kind)
        for _, point, kind, *_ in map(str.split, mounts)
        if path.startswith(point.rstrip("/") + "/")
    ]
    return max(under)[1] if under else None
