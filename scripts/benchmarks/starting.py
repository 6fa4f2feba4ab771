"""What it costs to import the package and to open a store that is up to date."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from measure import Figure, Run, alternated, timed

from metrics_store import MetricsStore, sqlite


def starting(run: Run) -> Iterator[Figure]:
    """``import metrics_store``, and opening a store."""
    # Compiled once, by the round that warms up, and never into the project.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(run.directory / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def python(code: str) -> float:
        command = [sys.executable, "-c", code]
        return timed(lambda: subprocess.run(command, check=True, env=environment))

    with_it, without = alternated(
        lambda: python("import metrics_store"), lambda: python("pass"), run.size(21, 5)
    )
    yield Figure(
        "import metrics_store",
        tuple((a - b) * 1e3 for a, b in zip(with_it, without, strict=True)),
        "ms",
        at_most=60.0,
        note=f"a new process each, less one that imports nothing ({median(without) * 1e3:.0f} ms)",
    )
    path = run.directory / "store.db"
    MetricsStore(path).close()
    rounds = run.size(201, 21)

    def bare() -> float:
        connection = sqlite.connect(str(path))
        seconds = timed(lambda: connection.execute("PRAGMA user_version").fetchone())
        connection.close()
        return seconds

    def ours() -> float:
        opened: list[MetricsStore] = []
        seconds = timed(lambda: opened.append(MetricsStore(path, create=False)))
        opened[0].close()
        return seconds

    a, b = alternated(ours, bare, rounds)
    yield Figure(
        "open an up-to-date store",
        tuple(s * 1e3 for s in a),
        "ms",
        at_most=2.0,
        note=f"a bare connection's first read takes {median(b) * 1e3:.2f} ms",
    )
