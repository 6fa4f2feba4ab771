"""Three writers are killed with SIGKILL at random moments, together or one after the other.

After each round: what they were told is kept is there, nothing is there twice, a batch is there
wholly or not at all, log and rollups agree, and the deep check finds nothing. How long the next
process takes to open the store and read it, with the log it finds, is the figure.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from checking import problems
from lines import Line
from public_write import ids_of

from metrics_store import MetricsStore, Settings
from metrics_store.integrity.checking import check_file
from metrics_store.settings import Durability

WRITERS = 3
#: Rounds with one file: a check takes as long as its log is.
_ROUNDS_OF_A_FILE = 25


@dataclass(slots=True)
class Crew:
    """The writers of one file, and what they said.

    Args:
        path: the store.
        durability: theirs.
    """

    path: Path
    durability: Durability
    rounds: int = 0
    kept: set[str] = field(default_factory=set)
    kills: int = 0

    def round(self, rng: random.Random, longest: float) -> Line:
        """Let three writers work, kill them, and look.

        Args:
            rng: chance.
            longest: seconds until the last is killed, at most.
        """
        self.rounds += 1
        notes = [self.path.with_name(f"said {self.rounds} {me}") for me in range(WRITERS)]
        writers = [self._started(me, notes[me], rng.random()) for me in range(WRITERS)]
        how = rng.choice(("together", "one after the other", "one, then the others"))
        seconds = rng.uniform(0, longest)
        try:
            if rng.random() < 0.9:
                _wait_for_a_word(notes)
            _kill(writers, how, seconds)
        finally:
            for writer in writers:
                os.kill(writer, signal.SIGKILL)
                status = os.waitpid(writer, 0)[1]
                assert os.WIFSIGNALED(status), f"a writer ended by itself: {status}"
        self.kills += WRITERS
        said = [line for note in notes for line in _lines(note)]
        self.kept |= set(said)
        found = self._found()
        what = f"file {self.path.parent.name}, round {self.rounds}, {self.durability}, {how} "
        return Line(
            f"{what}within {seconds * 1000:.0f} ms: {WRITERS} killed",
            WRITERS,
            0 if found.wrong else WRITERS,
            len(said),
            found.lost,
            found.doubled,
            found.recovery_ms,
            "ms to recover",
            tuple(found.wrong),
        )

    def _started(self, me: int, note: Path, seed: float) -> int:
        worker = os.fork()
        if worker == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is to be killed
                handle = os.open(note, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
                work(self.path, f"{self.rounds}.{me}", self.durability, handle, random.Random(seed))
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(7)
        return worker

    def _found(self) -> _Found:
        found = _Found()
        began = time.perf_counter()
        with MetricsStore(self.path, durability=self.durability) as store:
            total = store.get_summary().total_invocations
            found.recovery_ms = (time.perf_counter() - began) * 1000
            in_flight = {one.id for one in store.in_flight()}
            ids = ids_of(self.path)
            reaped = {one.invocation_id for one in store.reap()}
            if reaped != in_flight:
                found.wrong.append(f"{len(in_flight - reaped)} in flight are of nobody known")
        if lost := self.kept - ids:
            found.lost = len(lost)
            found.wrong.append(f"lost: {sorted(lost)[:10]}")
        if twice := ids & in_flight:
            found.doubled = len(twice)
            found.wrong.append(f"ended and in flight: {sorted(twice)[:10]}")
        if total != len(ids):
            found.wrong.append(f"{len(ids)} rows, {total} in all")
        found.wrong += _torn_batches(ids)
        found.wrong += problems(self.path)
        report = check_file(self.path, level="deep")
        found.wrong += [f"check: {finding}" for finding in report.findings]
        return found


@dataclass(slots=True)
class _Found:
    lost: int = 0
    doubled: int = 0
    recovery_ms: float = 0.0
    wrong: list[str] = field(default_factory=list)


def work(path: Path, me: str, durability: Durability, note: int, rng: random.Random) -> None:
    """Write for ever, in every way there is, and note what was acknowledged."""
    settings = Settings(path, durability, checkpoint_mb=rng.choice((0.1, 4.0)))
    store = MetricsStore(settings=settings)
    buffer = store.buffered(max_delay=0.005)
    n = 0
    while True:
        n += 1
        match rng.randrange(4):
            case 0:
                started = store.track_invocation("tracked", "way", me, attributes={"n": n})
                if rng.random() < 0.3:
                    started.heartbeat()
                started.complete(rng.random() < 0.5, ["next"])
                ids = [started.invocation_id]
            case 1:
                ids = [store.record_invocation("one", invocation_id=f"one {me} {n}")]
            case 2:
                size = rng.randrange(1, 60)
                ids = [f"batch {me} {n} {size} {k}" for k in range(size)]
                store.record_invocations(
                    {"skill_name": "batch", "invocation_id": id_, "session_id": me} for id_ in ids
                )
            case _:
                ids = [f"buffered {me} {n} {k}" for k in range(rng.randrange(60))]
                for id_ in ids:
                    buffer.record_invocation("buffered", invocation_id=id_, error_type="none")
                buffer.flush()
        for at in range(0, len(ids), 50):  # short enough to be written whole or not at all
            os.write(note, "".join(f"{id_}\n" for id_ in ids[at : at + 50]).encode())


def _torn_batches(ids: set[str]) -> list[str]:
    there: Counter[tuple[str, ...]] = Counter()
    for id_ in ids:
        if id_.startswith("batch "):
            there[tuple(id_.split(" ")[1:4])] += 1
    return [
        f"{count} of {batch[2]} of batch {batch[1]} of writer {batch[0]} are there"
        for batch, count in there.items()
        if count != int(batch[2])
    ]


def _lines(note: Path) -> list[str]:
    # What follows the last line's end was not said to its end.
    return note.read_text().split("\n")[:-1] if note.exists() else []


def _wait_for_a_word(notes: list[Path]) -> None:
    deadline = time.monotonic() + 60
    while not any(note.exists() and note.stat().st_size for note in notes):
        assert time.monotonic() < deadline, "no writer said anything within a minute"
        time.sleep(0.001)


def _kill(writers: list[int], how: str, seconds: float) -> None:
    """Kill them in the course of so many seconds."""
    match how:
        case "together":
            groups = [writers]
        case "one after the other":
            groups = [[writer] for writer in writers]
        case _:
            groups = [writers[:1], writers[1:]]
    for group in groups:
        time.sleep(seconds / len(groups))
        for writer in group:
            os.kill(writer, signal.SIGKILL)


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """So many rounds, with a new file now and then."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="killed-writers-") as folder:
        for first in range(0, rounds, _ROUNDS_OF_A_FILE):
            durability: Durability = rng.choice(("full", "normal"))
            place = Path(folder) / f"{first // _ROUNDS_OF_A_FILE + 1}"
            place.mkdir()
            crew = Crew(place / "m.db", durability)
            for _ in range(min(_ROUNDS_OF_A_FILE, rounds - first)):
                yield crew.round(rng, rng.choice((0.01, 0.05, 0.2)))
