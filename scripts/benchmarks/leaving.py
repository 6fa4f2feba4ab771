"""What leaving the JSON file costs those who run: a dual write, a compared read, the cutover."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from json_tracker import JsonTracker
from measure import Figure, Run, alternated, microseconds, ratios, say, timed
from sample import Sample, legacy_record
from taking_in import write_legacy

from metrics_store import DualWriteMetricsTracker, JsonMetricsTracker, MetricsStore
from metrics_store.legacy.control import Control, Gates, Phase
from metrics_store.phases import beginning, cutting_over, rolling_back
from metrics_store.phases.operator import Operator
from metrics_store.trackers.phased import PhasedTracker


class Legacy(JsonTracker):
    """The legacy tracker with its classic calls."""

    def __init__(self, path: Path, sample: Sample, size: int) -> None:
        super().__init__(path)
        self.metrics_file = path
        for record in map(legacy_record, sample.records(size)):
            self.add(self.track(record), record)
        self.save()

    def track_invocation(self, skill: str, path: str | None = None) -> Callable[..., None]:
        """Start an invocation."""
        started = self.track(
            {"skill_name": skill, "invoked_at": datetime.now().isoformat(), "workflow_path": path}
        )

        def completer(
            *, completed: bool = True, follow_up_actions: Any = None, error_type: Any = None
        ) -> None:
            lasted = datetime.now() - datetime.fromisoformat(started["invoked_at"])
            ended = {
                **started,
                "completed": completed,
                "duration_seconds": lasted.total_seconds(),
                "follow_up_actions": follow_up_actions or [],
                "error_type": error_type,
            }
            self.complete(started, ended)

        return completer

    def get_skill_metrics(self, name: str) -> object:
        """As the classic call."""
        return self._skills.get(name)

    def get_all_metrics(self) -> dict[str, object]:
        """As the classic call."""
        return dict(self._skills)

    def get_summary(self) -> dict[str, object]:
        """As the classic call."""
        return {}


def dual_writes(run: Run) -> Iterator[Figure]:
    """A call of the legacy tracker alone, and with a store behind it; and of ours."""
    sample = Sample(run.seed)
    for size in (1_000, run.size(10_000, 2_000)):
        alone = Legacy(run.directory / f"alone-{size}.json", sample, size)
        inner = Legacy(run.directory / f"inner-{size}.json", sample, size)
        ours = JsonMetricsTracker(run.directory / f"alone-{size}.json")
        with MetricsStore(run.directory / f"dual-{size}.db") as store:
            dual = DualWriteMetricsTracker(inner, store)
            rounds = run.size(60, 5)
            theirs, both = alternated(_calls(alone), _calls(dual), rounds)
            goal = 1.1 if size == 1_000 else None
            yield Figure(
                f"dual write over the legacy tracker, {size:,} records / it alone",
                ratios(both, theirs),
                "x",
                at_most=goal,
                note=f"{microseconds(both, 1)} against {microseconds(theirs, 1)}",
            )
            theirs, mine = alternated(_calls(alone), _calls(ours), rounds)
            yield Figure(
                f"legacy tracker / JsonMetricsTracker, {size:,} records",
                ratios(theirs, mine),
                "x",
                note=f"{microseconds(theirs, 1)} against {microseconds(mine, 1)}",
            )


def _calls(tracker: Any) -> Callable[[], float]:
    return lambda: timed(lambda: tracker.track_invocation("bench", "path")(completed=True))


def compared_reads(run: Run) -> Iterator[Figure]:
    """A read in each dual phase, against the same read of the JSON file alone."""
    operator, tracker = _in_phase(run, run.size(1_000, 200), Phase.DUAL_WRITE)
    before = operator.control()
    block = 20

    def reads(phase: Phase, rate: float) -> Callable[[], float]:
        def work() -> None:
            for _ in range(block):
                tracker.get_skill_metrics("skill-0")

        def timed_reads() -> float:
            _put(operator, replace(before, phase=phase, gates=Gates(sample_rate=rate)))
            tracker.get_skill_metrics("skill-0")
            return timed(work)

        return timed_reads

    for phase, rate in ((Phase.SHADOW, 1.0), (Phase.DUAL_READ, 1.0), (Phase.SHADOW, 0.05)):
        compared, alone = alternated(reads(phase, rate), reads(Phase.DUAL_WRITE, 1.0), 15)
        yield Figure(
            f"a read in {phase}, {rate:.0%} compared, more than in dual_write",
            tuple((c - a) / block * 1e6 for c, a in zip(compared, alone, strict=True)),
            "us",
            note=f"{microseconds(compared, block)} against {microseconds(alone, block)}",
        )
    tracker.close()
    operator.close()


def cutover(run: Run) -> Iterator[Figure]:
    """For how long writers wait in a cutover and a rollback, while a runner writes."""
    size = run.size(100_000, 2_000)
    operator, tracker = _in_phase(run, size, Phase.DUAL_READ)
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.02):
            tracker.track_invocation("bench", "path")(completed=True)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = cutting_over.cutover(operator, execute=True, force=True, reason="a benchmark")
        back = rolling_back.rollback(operator, execute=True)
    finally:
        stop.set()
        writer.join()
    parts = ", ".join(f"{name} {ms:.0f} ms" for name, ms in (done.waited_for or {}).items())
    yield Figure(
        f"cutover at {size:,} records, writers wait",
        (done.waited_ms / 1000,),
        "s",
        at_most=1.0,
        note=f"{parts}; {done.changed} records taken in meanwhile",
    )
    yield Figure(
        f"rollback at {size:,} records, writers wait",
        (back.waited_ms / 1000,),
        "s",
        note=f"{back.records:,} records written",
    )
    tracker.close()
    operator.close()


def _in_phase(run: Run, size: int, phase: Phase) -> tuple[Operator, PhasedTracker]:
    """A migration of a file of some records, taken in, in a phase."""
    path, database = run.directory / "leaving.json", run.directory / "leaving.db"
    write_legacy(path, size, run.seed)
    operator = Operator(path, database)
    beginning.start(operator, zone="UTC", wanted=Gates(), execute=True)
    beginning.advance(operator, execute=True, force=False, reason=None)
    say(f"    taking in {size:,} records")
    beginning.backfill(operator)
    _put(operator, replace(operator.control(), phase=phase))
    return operator, PhasedTracker(path, database, "raise")


def _put(operator: Operator, wanted: Control) -> None:
    # Another epoch: a tracker keeps what it knows of one.
    operator.save(replace(wanted, epoch=operator.control().epoch + 1))
