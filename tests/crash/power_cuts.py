"""The power goes after every write: the files as they would then be, each looked at by itself.

What a disk may have after it is in :mod:`unsynced`.
"""

from __future__ import annotations

import hashlib
import pickle
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from checking import problems
from fault_client import Server, swift_folder
from lines import Line
from public_write import BEFORE, ids_of
from public_writes import WRITES
from recorded_work import RECORD, Event
from unsynced import NAMES, Disk, Image

from metrics_store import MetricsStore
from metrics_store.settings import Durability


@dataclass(slots=True)
class Tried:
    """What the images of a day came to.

    Args:
        must_keep: what was acknowledged has to be there.
        folder: where an image is that something is wrong with.
    """

    must_keep: bool
    folder: Path
    seen: set[bytes] = field(default_factory=set)
    images: int = 0
    acknowledged: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    _kept: set[str] = field(default_factory=set)
    _begun: list[frozenset[str]] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Hear what a store began and what it acknowledged."""
        if event.kind == "begin":
            self._begun.append(frozenset(event.ids))
        elif event.kind == "kept":
            self._kept |= set(event.ids)

    def look(self, image: Image, what: str) -> None:
        """Look at an image, unless one like it was looked at."""
        digest = hashlib.blake2b(str(len(self._kept)).encode())
        for name, content in sorted(image.items()):
            digest.update(f"{name} {len(content)} ".encode() + content)
        if digest.digest() in self.seen:
            return
        self.seen.add(digest.digest())
        self.images += 1
        folder = self.folder / f"{self.images}"
        folder.mkdir()
        for name, content in image.items():
            (folder / name).write_bytes(content)
        wrong = self._found(folder)
        if wrong:
            self.wrong += [f"{what} (in {folder}): {each}"[:1000] for each in wrong]
        else:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()

    def _found(self, folder: Path) -> list[str]:
        path = folder / "m.db"
        try:
            MetricsStore(path, durability="normal", busy_timeout=2).close()
            ids = ids_of(path)
        except Exception as error:
            return [f"opening: {type(error).__name__}: {error}"]
        wrong = problems(path)
        self.acknowledged += len(self._kept)
        if self.must_keep and (lost := self._kept - ids):
            self.lost += len(lost)
            wrong.append(f"{len(lost)} of {len(self._kept)} acknowledged are lost")
        if unknown := ids - frozenset().union(*self._begun):
            wrong.append(f"nobody recorded {sorted(unknown)[:5]}")
        for group in self._begun:
            if ids & group and not group <= ids:
                wrong.append(f"{len(ids & group)} of {len(group)} of a transaction are there")
        return wrong


@dataclass(frozen=True, slots=True)
class Plan:
    """What a day is to be like, and how closely it is looked at.

    Args:
        durability: of the store.
        failing: share of its writes in which a sync fails.
        old: it begins with a store of an older schema; else with none.
        steps: writes.
        stride: at every how many-th moment a choice of what there may be is tried.
        each: nothing and everything of what may be lost is tried at every moment; else at those
            and whenever something is acknowledged.
        must_keep: whether what was acknowledged has to be there; by default as the durability says.
    """

    durability: Durability = "full"
    failing: float = 0.0
    old: bool = False
    steps: int = 30
    stride: int = 7
    each: bool = True
    must_keep: bool | None = None

    @property
    def keeps(self) -> bool:
        """Whether what was acknowledged has to be there."""
        return self.durability == "full" if self.must_keep is None else self.must_keep

    def __str__(self) -> str:
        failing = f", {self.failing:.0%} with a failing sync" if self.failing else ""
        return f"{self.durability}{', upgraded first' if self.old else ''}{failing}"


PLANS = (Plan(), Plan("normal"), Plan(failing=0.3), Plan(old=True, steps=10))


def tried(server: Server, folder: Path, seed: int, plan: Plan) -> Line:
    """Let a day pass, and cut the power at every moment of it.

    Args:
        folder: is there, and empty; what failed is left in it.
    """
    day = folder / "day"
    day.mkdir()
    tried = Tried(plan.keeps, folder)
    if plan.old:
        WRITES["upgrade"].make(day)
        for kind in ("begin", "kept"):
            tried.note(Event(kind, ids=BEFORE))
    rng, disk = random.Random(f"power {seed}"), Disk.of(day)
    server.day(day, seed, plan.durability, plan.steps, plan.failing)
    events = [Event(*event) for event in pickle.loads((day / RECORD).read_bytes())]
    first = rng.randrange(plan.stride)
    for n, event in enumerate(events):
        if event.kind in ("begin", "kept"):
            tried.note(event)
        elif event.name in NAMES:
            disk.do(event)
        if plan.each or n % plan.stride == first or event.kind == "kept":
            for choice in (disk.least, disk.most):
                tried.look(choice(), f"{plan}, seed {seed}, after event {n}, {choice.__name__}")
        if n % plan.stride == first:
            for image in (disk.some(rng), disk.some(rng), disk.without_one(rng)):
                tried.look(image, f"{plan}, seed {seed}, after event {n} of {len(events)}")
    syncs, failed = (
        sum(event.kind == kind for event in events) for kind in ("sync", "sync failed")
    )
    return Line(
        f"{plan}, seed {seed}: {len(events)} events, {syncs} syncs, {failed} failed",
        tried.images,
        tried.images - len({wrong.split(":")[0] for wrong in tried.wrong}),
        tried.acknowledged,
        tried.lost,
        wrong=tuple(tried.wrong),
    )


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """Days of each kind, the power cut at every moment of them."""
    with swift_folder("power-cuts") as place:
        try:
            server = Server(place)
        except LookupError as error:
            yield Line("power cuts", skipped=str(error))
            return
        with server:
            for round_ in range(rounds):
                for plan in PLANS:
                    folder = Path(tempfile.mkdtemp(dir=place))
                    yield tried(server, folder, seed + round_, plan)
