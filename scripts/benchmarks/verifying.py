"""Verifying a legacy file of a million records against the store that it was taken into."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from measure import Figure, Run, say
from taking_in import write_legacy

_CHILD = Path(__file__).with_name("verify_once.py")
_TAKE_IN = Path(__file__).with_name("take_in_once.py")


def verifying(run: Run) -> Iterator[Figure]:
    """Verify a legacy file: how long it takes, and the most memory it took."""
    count = run.size(1_000_000, 10_000)
    source, database = run.directory / "legacy.json", run.directory / "verified.db"
    write_legacy(source, count, run.seed)
    say(f"    {count:,} records in {source.stat().st_size / 1e6:,.0f} MB")
    _once(_TAKE_IN, database, source)
    equal = [_once(_CHILD, database, source) for _ in range(run.size(3, 1))]
    for report in equal:
        if report["equal"] != count or not report["clean"]:
            raise AssertionError(f"verified wrongly: {report}")
    stages = {stage: median(r["seconds"][stage] for r in equal) for stage in equal[0]["seconds"]}
    yield Figure(
        f"verify of {count:,} records",
        tuple(report["wall"] for report in equal),
        "s",
        at_most=60.0,
        note=", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items())
        + f"; {median(report['cpu'] for report in equal):.1f} s of one processor",
    )
    yield Figure(
        "verify, peak memory", tuple(r["peak_kib"] / 1024 for r in equal), "MB", at_most=150.0
    )
    every = 100
    _change(source, every)
    report = _once(_CHILD, database, source)
    if report["unexplained"] != {"different": count // every}:
        raise AssertionError(f"verified wrongly: {report}")
    yield Figure(
        f"verify, where one record in {every} differs",
        (report["wall"],),
        "s",
        note=f"{report['peak_kib'] / 1024:,.0f} MB; every difference looked up several times",
    )


def _once(program: Path, database: Path, source: Path) -> dict[str, Any]:
    child = subprocess.run(
        [sys.executable, str(program), str(database), str(source)],
        stdout=subprocess.PIPE,
        check=True,
    )
    report: dict[str, Any] = json.loads(child.stdout)
    return report


def _change(source: Path, every: int) -> None:
    """Change the duration of one record in so many."""
    changed, n = source.with_suffix(".changed"), 0
    with source.open(encoding="utf-8") as old, changed.open("w", encoding="utf-8") as new:
        for line in old:
            if line.startswith('      "completed": '):
                n += 1
                if n % every == 0:
                    flipped = "true" if "false" in line else "false"
                    line = f'      "completed": {flipped},\n'
            new.write(line)
    changed.replace(source)
