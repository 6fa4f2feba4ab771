"""Faults, by the thousand: what the store keeps when disks fail, power goes and processes die.

A line a round, a table at the end; it ends with 1 if anything was lost, doubled or not sound. A
line names what was injected, so that it can be repeated with the same seed.

    scripts/faults --only io power --seed 7
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from lines import Line, Tally, table

Run = Callable[[int, int], Iterator[Line]]


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of fault.

    Args:
        name: what ``--only`` calls it.
        description: a sentence.
        rounds: how many of the long form, unless ``--rounds`` says otherwise.
        run: gets the rounds and the seed.
    """

    name: str
    description: str
    rounds: int
    run: Run


def _campaign_of(module: str) -> Run:
    """The function ``campaign`` of a module that is imported once it is needed."""

    def run(rounds: int, seed: int) -> Iterator[Line]:
        campaign = cast("Run", import_module(module).campaign)
        return campaign(rounds, seed)

    return run


def _fuzzing(surface: str) -> Run:
    def run(rounds: int, seed: int) -> Iterator[Line]:
        lines = import_module("fuzzing").lines
        return cast("Run", lines(surface))(rounds, seed)

    return run


SECTIONS = (
    Section(
        "io",
        "every I/O of every public write fails once, for ever, torn, or kills the process",
        1,
        _campaign_of("io_faults"),
    ),
    Section(
        "power",
        "the power goes after every write and every sync, with what was not synced there or not",
        5,
        _campaign_of("power_cuts"),
    ),
    Section(
        "kills",
        "three writers are killed at random moments, together or one of them",
        1000,
        _campaign_of("killed_writers"),
    ),
    Section(
        "restores",
        "a restore is killed at random moments beside two writers",
        200,
        _campaign_of("restore_kills"),
    ),
    Section(
        "flips",
        "bits are flipped in rows of the log; the deep check finds every one",
        1000,
        _campaign_of("flips"),
    ),
    Section(
        "locked",
        "another process holds the lock for long",
        3,
        _campaign_of("locked"),
    ),
    Section(
        "soak",
        "many writers, readers and an operator for minutes; it stays flat",
        10,
        _campaign_of("soak"),
    ),
    Section(
        "logs",
        "a log that is missing, cut or flipped, and flipped pages, in images of a crash",
        100,
        _campaign_of("damaged_images"),
    ),
    *(
        Section(f"fuzz-{name}", f"hostile input for {words}, 1,000 a round", 100, _fuzzing(surface))
        for name, surface, words in (
            ("library", "library", "every call about skills"),
            ("families", "families", "every call about services, agents, snapshots and so on"),
            ("imports", "imports", "taking other people's telemetry in"),
            ("cli", "command line", "every command"),
            ("legacy", "legacy files", "taking legacy files in"),
            ("files", "files", "stores, manifests and settings of others"),
        )
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections one after the other; 1 if anything failed, 130 if it was interrupted."""
    options = _options(arguments)
    if options.list:
        for section in SECTIONS:
            print(f"{section.name:<10} {section.description} ({section.rounds} rounds)")
        return 0
    chosen = [section for section in SECTIONS if not options.only or section.name in options.only]
    print(f"seed {options.seed}", flush=True)
    tallies: list[Tally] = []
    status = 0
    try:
        for section in chosen:
            tallies.append(Tally(section.name))
            _run(section, options.rounds or section.rounds, options.seed, tallies[-1])
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        status = 130
    print("", *table(tallies), sep="\n", flush=True)
    return status or int(any(tally.failed for tally in tallies))


def _run(section: Section, rounds: int, seed: int, tally: Tally) -> None:
    print(f"\n{section.name}: {section.description}", flush=True)
    began = time.monotonic()
    try:
        for line in section.run(rounds, seed):
            tally.add(line)
            tally.seconds = time.monotonic() - began
            print(f"  {_text(line)}", *line.wrong[:20], sep="\n    ", flush=True)
    finally:
        tally.seconds = time.monotonic() - began
    # A campaign that tried nothing has shown nothing.
    tally.failed = tally.failed or not (tally.cases or tally.skipped)


def _text(line: Line) -> str:
    if line.skipped:
        return f"{line.what}: skipped: {line.skipped}"
    parts = [f"{line.passed:,} of {line.cases:,}"]
    if line.acknowledged:
        parts.append(f"{line.acknowledged:,} acknowledged")
    if line.lost:
        parts.append(f"{line.lost:,} lost")
    if line.doubled:
        parts.append(f"{line.doubled:,} doubled")
    if line.figure is not None:
        parts.append(f"{line.figure:,.4g} {line.unit}".rstrip())
    return f"{line.what}: {', '.join(parts)}: {'fine' if line.fine else 'FAILED'}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [section.name for section in SECTIONS]
    parser.add_argument("--rounds", type=_count, help="of each section (its own number)")
    parser.add_argument("--seed", type=int, help="decides every choice but the timing")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    return options


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it is 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
