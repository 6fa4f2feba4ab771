"""A campaign: runners at work all the time while an operator walks a migration there and back.

Some runners go through ``open_tracker``, some write the JSON file whatever the phase, some are
plain legacy trackers that rewrite the whole file from memory; they are restarted and killed at
random. What must come of it is in ``accounts.py``. A seed decides everything but the timing.

    scripts/campaign --seeds 100 --first 1
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from accounts import Accounts, audit
from crew import CampaignFailed, Crew
from legacy_tracker import LegacyTracker
from operating import Place, run
from runner import ACTIONS, ERRORS, Duty, Kind
from walk import Walk

from metrics_store.legacy.control import Phase

#: Runners beside those that go through open_tracker: none, as the runbook has it, or such as know
#: no phases.
OTHERS: tuple[tuple[Kind, ...], ...] = (
    (),
    ("json",),
    ("plain",),
    ("json", "plain"),
    ("plain", "plain"),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


@dataclass(frozen=True)
class Plan:
    """What a seed decides.

    Args:
        records: of the legacy file in the beginning.
        plain: how many legacy trackers are at work.
        laps: rollbacks on the way.
        detours: commands beside the way, at least so many.
        seconds: the walk does not end before.
        accidents: share of commands that are killed.
        pause: bytes of notes that runners write between two commands, on average.
        is_short: for the suite.
    """

    seed: int
    records: int
    zone: str
    kinds: tuple[Kind, ...]
    pace: float
    laps: int
    detours: int
    seconds: float
    accidents: float
    pause: int = 1500
    is_short: bool = False

    @classmethod
    def of(cls, seed: int, *, runners: int = 4, seconds: float = 0) -> Plan:
        """The plan of a seed.

        Args:
            runners: how many there are, at least two.
        """
        rng = random.Random(seed)
        return cls(
            seed,
            rng.choice((0, 50, 300)),
            rng.choice(ZONES),
            _kinds(rng, rng.choice(OTHERS), runners),
            rng.choice((0.02, 0.06, 0.15)),
            rng.randrange(1, 3),
            rng.randrange(4, 10),
            seconds,
            rng.choice((0.0, 0.15, 0.4)),
        )

    @classmethod
    def short(cls, seed: int, others: tuple[Kind, ...]) -> Plan:
        """A plan for the suite: once there and back, with few detours.

        Args:
            others: the runners that do not go through ``open_tracker``.
        """
        rng = random.Random(seed)
        kinds = _kinds(rng, others, 4)
        return cls(seed, 40, rng.choice(ZONES), kinds, 0.03, 1, 2, 0.0, 0.2, 400, is_short=True)

    @property
    def with_legacy(self) -> bool:
        """Whether plain legacy trackers are at work."""
        return "plain" in self.kinds

    @property
    def with_others(self) -> bool:
        """Whether anybody writes the JSON file but through ``open_tracker``."""
        return not {*self.kinds} <= {"log", "raise"}

    @property
    def patience(self) -> int:
        """Refused this often a gate is passed by force: where runners write the JSON file alone it
        may never be met, and elsewhere it has to be."""
        return (1 if self.is_short else 2) if self.with_others else 12


def _kinds(rng: random.Random, others: tuple[Kind, ...], runners: int) -> tuple[Kind, ...]:
    kinds: list[Kind] = ["log", "raise", *others][: max(2, runners)]
    while len(kinds) < runners:
        kinds.append(rng.choice(("log", "raise")))
    return tuple(kinds)


@dataclass
class Result:
    """What a campaign came to."""

    plan: Plan
    accounts: Accounts = field(default_factory=Accounts)
    forced: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    killed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """All of it in a line."""
        a, plan = self.accounts, self.plan
        calls = " ".join(f"{kind} {a.acknowledged[kind]:,}" for kind in sorted(a.acknowledged))
        forced = ", ".join(f"{gate} {n}" for gate, n in sorted((+self.forced).items())) or "none"
        return (
            f"seed {plan.seed}: acknowledged {calls or 'none'}; in store {a.rows:,} + "
            f"{a.inflight:,} in flight; phases {a.changes}; commands {self.commands}, "
            f"{self.killed} killed; runners {self.fates['restarted']} restarted, "
            f"{self.fates['killed']} killed; forced {forced}; harvested {a.harvested:,}; "
            f"spilled {a.spilled:,}; erased {a.erased:,}; {a.records:,} records of {a.copies} "
            f"copies; {self.seconds:.1f} s: {'FAILED' if self.wrong else 'fine'}"
        )


def campaign(plan: Plan, folder: Path) -> Result:
    """Run one, and reckon up.

    Args:
        folder: is there; everything of it goes there.
    """
    rng, result = random.Random(plan.seed), Result(plan)
    place = Place(folder, plan.zone)
    first = folder / "first.json"
    write_first(first, plan, rng)
    shutil.copyfile(first, place.json_file)
    place.json_file.chmod(0o644)
    crew = Crew(folder / "notes", duties(plan, place, rng), rng, plan.zone)
    began = time.monotonic()
    walk = Walk(
        place, crew, rng, laps=plan.laps, detours=plan.detours, pause=plan.pause,
        until=began + plan.seconds,
        accidents=plan.accidents, with_legacy=plan.with_legacy, patience=plan.patience,
    )  # fmt: skip
    try:
        crew.start()
        walk.go()
        crew.stop()
        _bring_to_rest(place, walk)
        result.accounts = audit(
            place, crew.notes(), first, with_legacy=plan.with_legacy, phase=Phase.COMPLETE
        )
        result.wrong = result.accounts.wrong
    except CampaignFailed as failure:
        result.wrong = [str(failure)]
    finally:
        crew.kill()
    result.forced, result.errors, result.log = walk.forced, walk.errors, walk.log
    result.commands, result.killed = walk.commands.total(), walk.killed
    result.fates, result.seconds = crew.fates, time.monotonic() - began
    return result


def _bring_to_rest(place: Place, walk: Walk) -> None:
    """Take in what is left, and find every record of the JSON file in the store."""
    for last in ("reconcile db", "harvest", *(("verify",) if place.json_file.exists() else ())):
        done = run(last, place)
        walk.log.append(str(done))
        if not done.fine or done.told.get("unexplained"):
            raise CampaignFailed(f"{last} in the end: {done}")


def duties(plan: Plan, place: Place, rng: random.Random) -> list[Duty]:
    """What each runner does."""
    return [
        Duty(
            f"{kind}{number}",
            kind,
            str(place.json_file),
            str(place.db),
            "",
            rng.randrange(1 << 30),
            plan.pace,
            rng.choice((0.05, 0.2)),
            rng.randrange(1, 5),
            1 if kind == "plain" else rng.choice((1, 1, 2)),
        )
        for number, kind in enumerate(plan.kinds)
    ]


def write_first(file: Path, plan: Plan, rng: random.Random) -> None:
    """A legacy file with a past: twins, calls that never ended, one that cannot be a row."""
    moments = iter(())
    at = datetime(2026, 1, 31, 23, 59, 30, 123456)

    def now() -> datetime:
        return next(moments, at)

    tracker = LegacyTracker(file, now)
    for n in range(plan.records):
        at += timedelta(microseconds=rng.randrange(10**9))
        path = None if n % 7 == 3 else f"old-{n}"
        twins = rng.choice((1,) * 15 + (2, 3))
        completers = [tracker.track_invocation(f"skill-{n % 5}", path) for _ in range(twins)]
        ended, error = rng.random() < 0.9, rng.choice(ERRORS)
        actions = rng.sample(ACTIONS, rng.randrange(3))
        at += timedelta(microseconds=rng.randrange(10**8))
        for completer in completers if ended else ():
            _unsaved(tracker, completer, error, actions)
    if plan.records and rng.random() < 0.1:
        _unsaved(tracker, tracker.track_invocation(""), None, [])
    tracker._save()


def _unsaved(
    tracker: LegacyTracker, completer: object, error: str | None, actions: list[str]
) -> None:
    """End a call without writing the whole file each time."""
    save, tracker._save = tracker._save, lambda: None  # type: ignore[method-assign]
    completer(completed=error is None, error_type=error, follow_up_actions=actions)  # type: ignore[operator]
    tracker._save = save  # type: ignore[method-assign]


# The command line --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one campaign after the other; 1 if any failed."""
    options = _options(arguments)
    results = []
    for seed in range(options.first, options.first + options.seeds):
        plan = Plan.of(seed, runners=options.runners, seconds=options.seconds)
        folder = Path(tempfile.mkdtemp(prefix=f"campaign-{seed}-", dir=options.folder))
        result = campaign(plan, folder)
        results.append(result)
        print(result.line(), flush=True)
        if result.wrong:
            (folder / "log.txt").write_text("\n".join([*result.wrong, "", *result.log]))
            print(f"  {plan}\n  kept: {folder}", *result.wrong[:10], sep="\n  ", flush=True)
        else:
            shutil.rmtree(folder)
    print(*summary(results), sep="\n")
    return int(any(result.wrong for result in results))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/campaign", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, default=10, help="how many (10)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (1)")
    parser.add_argument("--seconds", type=float, default=0, help="each lasts so long at least")
    parser.add_argument("--runners", type=int, default=4, help="processes at work (4)")
    parser.add_argument("--folder", type=Path, help="where they happen (a temporary one)")
    return parser.parse_args(arguments)


def summary(results: Sequence[Result]) -> list[str]:
    """What all of them came to together."""
    acknowledged: Counter[str] = Counter()
    forced: Counter[str] = Counter()
    unasked: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    for result in results:
        acknowledged += result.accounts.acknowledged
        if result.plan.with_others:
            forced += result.forced
        else:
            unasked += result.forced
        errors += result.errors
        fates += result.fates
    failed = [result.plan.seed for result in results if result.wrong]
    rows: list[tuple[str, object]] = [
        ("campaigns", len(results)),
        ("with legacy trackers", sum(result.plan.with_legacy for result in results)),
        ("all through open_tracker", sum(not result.plan.with_others for result in results)),
        *((f"calls acknowledged, {kind}", n) for kind, n in sorted(acknowledged.items())),
        ("rows in the stores", sum(result.accounts.rows for result in results)),
        ("in flight in the stores", sum(result.accounts.inflight for result in results)),
        ("records in copies, compared", sum(result.accounts.records for result in results)),
        ("changes of phase", sum(result.accounts.changes for result in results)),
        ("commands", sum(result.commands for result in results)),
        ("commands killed", sum(result.killed for result in results)),
        *((f"commands refused, {error}", n) for error, n in sorted(errors.items())),
        *((f"runners {fate}", n) for fate, n in sorted(fates.items())),
        *((f"gates forced, {gate}", n) for gate, n in sorted(forced.items())),
        *((f"  all through open_tracker: {gate}", n) for gate, n in sorted(unasked.items())),
        ("records harvested", sum(result.accounts.harvested for result in results)),
        ("records spilled and replayed", sum(result.accounts.spilled for result in results)),
        ("calls erased by legacy trackers", sum(result.accounts.erased for result in results)),
        ("seconds", round(sum(result.seconds for result in results))),
        ("failed", f"{len(failed)} {failed or ''}"),
    ]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {n:,}" if isinstance(n, int) else f"{name:<{width}}  {n}"
            for name, n in rows]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
