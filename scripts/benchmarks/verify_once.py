"""Verify a legacy file and print what it took: a program for :mod:`verifying`.

A process of its own, so that the peak of memory is the verify's alone.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from take_in_once import peak_kib

from metrics_store import MetricsStore
from metrics_store.legacy.verifying import verify


def main() -> None:
    """Arguments: the database, the legacy file."""
    database, source = map(Path, sys.argv[1:])
    with MetricsStore(database) as store:
        start, worked = time.perf_counter(), time.process_time()
        report = verify(store, source)
        wall, cpu = time.perf_counter() - start, time.process_time() - worked
    outcome = {
        "equal": report.equal,
        "clean": report.clean,
        "unexplained": dict(report.unexplained),
        "seconds": dict(report.seconds),
        "wall": wall,
        "cpu": cpu,
        "peak_kib": peak_kib(),
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
