"""The benchmarks: each figure within one run, with its goal, as a table and as JSON.

``scripts/bench --quick`` is a smoke test with small sizes. Nothing here is a test: a machine that
is busy with something else misses goals that the code reaches.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import machine
from backing_up import backing_up
from checking import checking
from crowd import crowd
from executions import executions
from json_tracker import against_json
from leaving import compared_reads, cutover, dual_writes
from live import evaluation, live
from measure import Figure, Run, say, written
from reading import overview, skill_metrics
from recording import batch, buffered, record_one, start_and_end
from retaining import retaining
from services import services
from starting import starting
from taking_in import taking_in
from verifying import verifying

Benchmark = Callable[[Run], Iterator[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "record-one": record_one,
    "start-end": start_and_end,
    "batch": batch,
    "buffered": buffered,
    "processes": crowd,
    "legacy-json": against_json,
    "skill-metrics": skill_metrics,
    "overview": overview,
    "import": taking_in,
    "verify": verifying,
    "dual-write": dual_writes,
    "compared-reads": compared_reads,
    "cutover": cutover,
    "backup": backing_up,
    "check": checking,
    "retention": retaining,
    "live": live,
    "alerts": evaluation,
    "services": services,
    "executions": executions,
    "start-up": starting,
}
_WIDTHS = (58, 12, 12, 22)


def main() -> int:
    """Run what was asked for; 0 if every goal was met, 1 if one was not."""
    arguments = _arguments()
    figures: list[Figure] = []
    parent = Path(tempfile.mkdtemp(prefix="metrics_store-bench-", dir=arguments.directory))
    try:
        facts = machine.facts(parent)
        for name in arguments.only or BENCHMARKS:
            say(f"{name} ...")
            start = time.perf_counter()
            directory = parent / name
            directory.mkdir()
            run = Run(directory, arguments.seed, arguments.quick)
            figures += BENCHMARKS[name](run)
            shutil.rmtree(directory)
            say(f"    {time.perf_counter() - start:.0f} s")
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    _print(figures, facts, quick=arguments.quick)
    if arguments.json is not None:
        described = {"quick": arguments.quick, "seed": arguments.seed, "machine": facts}
        described["figures"] = [_plain(figure) for figure in figures]
        arguments.json.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return 1 if any(figure.met is False for figure in figures) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=BENCHMARKS, help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--seed", type=int, default=1, help="of all random data (1)")
    parser.add_argument(
        "--directory", type=Path, help="where the databases go meanwhile; some 6 GB for all"
    )
    return parser.parse_args()


def _print(figures: Sequence[Figure], facts: dict[str, machine.Fact], *, quick: bool) -> None:
    if quick:
        print("A smoke test: sizes are small and the figures mean little.\n")
    print(_line("what", "goal", "median", "min to max", "verdict"))
    print(_line(*("-" * width for width in _WIDTHS), "-------"))
    for f in figures:
        reach = f"{written(min(f.values), f.unit)} to {written(max(f.values), f.unit)}"
        verdict = {True: "met", False: "NOT met", None: ""}[f.met]
        shown = reach if len(f.values) > 1 else ""
        print(_line(f.what, f.goal, written(f.value, f.unit), shown, verdict))
        if f.note:
            print(textwrap.indent(textwrap.fill(f.note, 96), "    "))
    print()
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):>20}  {value}")


def _line(what: str, *cells: str) -> str:
    padded = [what.ljust(_WIDTHS[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells, _WIDTHS[1:], strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip()


def _plain(figure: Figure) -> dict[str, object]:
    return {
        "what": figure.what,
        "unit": figure.unit,
        "median": figure.value,
        "min": min(figure.values),
        "max": max(figure.values),
        "rounds": len(figure.values),
        "at_most": figure.at_most,
        "at_least": figure.at_least,
        "met": figure.met,
        "note": figure.note,
    }


if __name__ == "__main__":
    sys.exit(main())
