"""Check or repair a store and print what it took: a program for :mod:`checking`.

A process of its own, so that the peak of memory is the check's alone.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import cast

from take_in_once import peak_kib

from metrics_store import Settings
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.integrity import check_file
from metrics_store.integrity.findings import Level
from metrics_store.integrity.repairing import repair


def main() -> None:
    """Arguments: the database, and a level or ``repair``."""
    path, level = Path(sys.argv[1]), sys.argv[2]
    start, worked = time.perf_counter(), time.process_time()
    if level == "repair":
        database = Database(Settings(path), Clock(), create=False)
        done = repair(database)
        database.close()
        report, left = done.before, len(done.left)
    else:
        report = check_file(path, level=cast(Level, level))
        left = len(report.findings)
    outcome = {
        "rows": report.rows,
        "left": left,
        "looks": {look.what: look.seconds for look in report.looked_at},
        "wall": time.perf_counter() - start,
        "cpu": time.process_time() - worked,
        "peak_kib": peak_kib(),
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
