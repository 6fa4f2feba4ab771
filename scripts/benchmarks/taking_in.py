"""Taking in a legacy file of a million records, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from json_tracker import count_in
from measure import Figure, Run, say
from sample import Sample, legacy_record, span

_CHILD = Path(__file__).with_name("take_in_once.py")
_CHUNK = 10_000
#: One in so many never ended: in the log, not in the totals.
_PENDING_EVERY = 250


def taking_in(run: Run) -> Iterator[Figure]:
    """Import a legacy file: records a second, and the most memory it took."""
    count = run.size(1_000_000, 10_000)
    source = run.directory / "legacy.json"
    write_legacy(source, count, run.seed)
    say(f"    {count:,} records in {source.stat().st_size / 1e6:,.0f} MB")
    reports: list[dict[str, Any]] = []
    for turn in range(run.size(3, 1)):
        database = run.directory / f"taken-in-{turn}.db"
        child = subprocess.run(
            [sys.executable, str(_CHILD), str(database), str(source)],
            stdout=subprocess.PIPE,
            check=True,
        )
        report = json.loads(child.stdout)
        if report["read"] != count or report["inserted"] != count or not report["fine"]:
            raise AssertionError(f"taken in wrongly: {report}")
        reports.append(report)
        database.unlink()
    stages = {
        stage: median(r["seconds"].get(stage, 0.0) for r in reports)
        for stage in reports[0]["seconds"]
    }
    taken = [sum(s for stage, s in r["seconds"].items() if stage != "comparing") for r in reports]
    yield Figure(
        f"import of {count:,} legacy records",
        tuple(count / seconds for seconds in taken),
        "/s",
        at_least=25_000,
        note=", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items())
        + "; comparing is not in the figure",
    )
    yield Figure(
        "import, with the full comparison", tuple(count / r["wall"] for r in reports), "/s"
    )
    yield Figure(
        "import, peak memory", tuple(r["peak_kib"] / 1024 for r in reports), "MB", at_most=80.0
    )


def write_legacy(path: Path, count: int, seed: int) -> None:
    """Write a legacy file record by record, to the byte as ``json.dumps(data, indent=2)`` would."""
    sample = Sample(seed, step_us=span(count))
    skills: dict[str, dict[str, Any]] = {}
    last = ""
    with path.open("w", encoding="utf-8") as file:
        file.write('{\n  "invocations": [')
        for number in range(count):
            if number % _CHUNK == 0:
                chunk = iter(sample.records(min(_CHUNK, count - number)))
            record = legacy_record(next(chunk))
            if number % _PENDING_EVERY == _PENDING_EVERY - 1:
                record |= {
                    "completed": False,
                    "duration_seconds": None,
                    "follow_up_actions": [],
                    "error_type": None,
                }
            else:
                count_in(skills, record)
            last = str(record["invoked_at"])
            file.write(",\n    " if number else "\n    ")
            file.write(json.dumps(record, indent=2).replace("\n", "\n    "))
        rest = json.dumps({"skills": skills, "last_updated": last}, indent=2)
        file.write("\n  ],")
        file.write(rest.removeprefix("{"))
