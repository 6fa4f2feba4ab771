"""Take a legacy file into a store and print what it took: a program for :mod:`taking_in`.

A process of its own, so that the peak of memory is the import's alone.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from metrics_store import MetricsStore
from metrics_store.legacy import importing


def main() -> None:
    """Arguments: the database, the legacy file."""
    database, source = map(Path, sys.argv[1:])
    with MetricsStore(database) as store:
        start = time.perf_counter()
        report = importing.take_in(store, source, zone="UTC")
        wall = time.perf_counter() - start
    outcome = {
        "read": report.read,
        "inserted": report.inserted,
        "fine": report.fine,
        "seconds": dict(report.seconds),
        "wall": wall,
        "peak_kib": peak_kib(),
    }
    print(json.dumps(outcome))


def peak_kib() -> int:
    """The most memory this process has had resident, in KiB."""
    try:
        # Linux's ru_maxrss counts what the parent had when it forked; this does not.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak


if __name__ == "__main__":
    main()
