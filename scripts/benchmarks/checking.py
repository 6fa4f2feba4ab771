"""Checking and repairing a store of two million rows: how long, and how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from measure import Figure, Run, say
from sample import Sample, span

from metrics_store import MetricsStore, sqlite

_CHILD = Path(__file__).with_name("check_once.py")
_BATCH = 2_000


def checking(run: Run) -> Iterator[Figure]:
    """Check a large store at each level, and rebuild its rollups."""
    count = run.size(2_000_000, 20_000)
    path = run.directory / "checked.db"
    say(f"    filling {count:,} rows")
    sample = Sample(run.seed, step_us=span(count))
    with MetricsStore(path, durability="normal") as store:
        for _ in range(0, count, _BATCH):
            store.record_invocations(sample.records(_BATCH))
    size = path.stat().st_size / 1e6
    what = f"check of {count:,} rows in {size:,.0f} MB"
    for level in ("quick", "standard", "deep"):
        done = _once(path, level)
        if done["rows"] != count or done["left"]:
            raise AssertionError(f"checked wrongly: {done}")
        yield _figure(f"{level} {what}", done)
        yield Figure(f"{level} {what}: memory", (done["peak_kib"] / 1024,), "MB", at_most=150.0)
    with closing(sqlite.connect(str(path))) as connection:
        connection.execute("UPDATE rollup SET n = n + 1 WHERE kind = 'total'")
    done = _once(path, "repair")
    if done["left"] or _once(path, "standard")["left"]:
        raise AssertionError(f"repaired wrongly: {done}")
    yield _figure(f"repair of the rollups of {count:,} rows", done)
    yield Figure("repair: memory", (done["peak_kib"] / 1024,), "MB", at_most=150.0)


def _figure(what: str, done: dict[str, Any]) -> Figure:
    longest = sorted(done["looks"].items(), key=lambda look: -look[1])[:3]
    parts = ", ".join(f"{look} {seconds:.1f} s" for look, seconds in longest)
    return Figure(what, (done["wall"],), "s", note=f"{parts}; {done['cpu']:.1f} s of one processor")


def _once(path: Path, level: str) -> dict[str, Any]:
    child = subprocess.run(
        [sys.executable, str(_CHILD), str(path), level], stdout=subprocess.PIPE, check=True
    )
    done: dict[str, Any] = json.loads(child.stdout)
    return done
