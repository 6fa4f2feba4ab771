"""Taking a file in takes no more memory for a longer file, nor much for one of long texts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import long_history
import pytest

from metrics_store import MetricsStore

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about POSIX processes")
_PEAK = """
import json, resource, sys
from pathlib import Path
from metrics_store import MetricsStore
from metrics_store.legacy.importing import take_in
report = take_in(MetricsStore(sys.argv[2], durability="normal"), Path(sys.argv[1]), zone="UTC")
if sys.platform == "linux":  # ru_maxrss begins with that of the process that started this one
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
print(json.dumps([report.read, report.inserted, report.quarantined, report.fine, peak]))
"""


@posix
@pytest.mark.parametrize(
    ("n", "distinct", "long", "quarantined", "most"),
    [
        (30_000, 30_000, 0, 0, 75),  # more does not take more: the caches are full by then
        (20_000, 1, 0, 0, 100),
        (10, 10, 10_000_000, 1, 250),
    ],
)
def test_memory_is_bounded(
    n: int,
    distinct: int,
    long: int,
    quarantined: int,
    most: int,
    store: MetricsStore,
    tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    long_history.write(tmp_path / "f.json", n, distinct, long=long)
    done = python(_PEAK, tmp_path / "f.json", store.path)
    read, inserted, refused, fine, peak = json.loads(done.stdout)
    assert (read, inserted, refused) == (n + 2 * bool(long), n + bool(long), quarantined)
    assert fine
    assert peak < most
