"""A working day of a store on a disk that keeps a record of what is done to it.

Ran by a fault server; the record goes to a file when the day is over.
"""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from metrics_store import MetricsStore, Settings
from metrics_store.errors import WriteError
from metrics_store.settings import Durability

if TYPE_CHECKING:
    from faulty_vfs import Disk

    from metrics_store.buffer import Buffer

T = TypeVar("T")

#: The file with the record.
RECORD = "record"


class Event(NamedTuple):
    """Something that happened.

    Args:
        kind: "begin" and "kept" for records that are about to be written together, and that were
            acknowledged; else the method of the disk, "sync failed" for one that failed.
        name: the file's name.
        offset: of a write; the size for a truncate; 1 for a file that is new, and for a delete
            that reaches the directory too.
        data: what was written.
        ids: of the records.
    """

    kind: str
    name: str = ""
    offset: int = 0
    data: bytes = b""
    ids: tuple[str, ...] = ()


class Day:
    """What is done, as chance has it.

    Args:
        folder: of the store.
        rng: chance.
        durability: of the store.
        steps: how many writes.
        failing: share of the writes in the midst of which a sync fails.
    """

    def __init__(
        self, folder: Path, rng: random.Random, durability: Durability, steps: int, failing: float
    ) -> None:
        self._folder, self._rng, self._steps, self._failing = folder, rng, steps, failing
        # Small, for the log to be folded back again and again.
        self._settings = Settings(folder / "m.db", durability, checkpoint_mb=0.1)
        self._events: list[Event] = []
        self._disk: Disk | None = None
        self._n = 0

    def run(self, disk: Disk) -> None:
        """Let the day pass, and write the record."""
        self._disk = disk
        disk.record(self._note)
        opens = 3
        for _ in range(opens):
            with MetricsStore(settings=self._settings) as store:
                if self._rng.random() < 0.5:
                    store.get_summary()  # a reader that keeps the log from being deleted
                buffer = store.buffered(max_delay=3600)
                for _ in range(self._steps // opens):
                    self._step(store, buffer)
        disk.record(None)
        with open(self._folder / RECORD, "wb") as file:
            pickle.dump([tuple(event) for event in self._events], file)

    def _note(self, method: str, path: str, offset: int, data: bytes) -> None:
        self._events.append(Event(method, os.path.basename(path), offset, data))

    def _step(self, store: MetricsStore, buffer: Buffer) -> None:
        assert self._disk is not None
        if self._rng.random() < self._failing:
            self._disk.fail_sync(self._rng.randrange(1, 3))
        ids: Sequence[str]
        match self._rng.randrange(6):
            case 0 | 1:
                (id_,) = ids = self._ids(1)
                self._begin(ids)
                self._insist(lambda: store.record_invocation("one", **self._fields(id_)))
            case 2:
                ids = self._ids(self._rng.choice((3, 20, 120)))
                self._begin(ids)
                batch = [{"skill_name": "batch", **self._fields(id_)} for id_ in ids]
                self._insist(lambda: store.record_invocations(batch))
            case 3:
                ids = self._ids(self._rng.randrange(1, 15))
                self._begin(ids)
                for id_ in ids:
                    buffer.record_invocation("buffered", **self._fields(id_))
                self._insist(buffer.flush)
            case 4:
                ids = self._tracked(store)
            case _:
                ids = self._reaped(store)
        self._events.append(Event("kept", ids=tuple(ids)))
        self._disk.fail_sync(0)

    def _tracked(self, store: MetricsStore) -> Sequence[str]:
        started = self._insist(
            lambda: store.track_invocation("tracked", f"way {self._n % 7}", "session")
        )
        if self._rng.random() < 0.3:
            self._insist(started.heartbeat)
        self._begin((started.invocation_id,))
        self._insist(started.complete)
        return (started.invocation_id,)

    def _reaped(self, store: MetricsStore) -> Sequence[str]:
        ids = [self._insist(lambda: store.track_invocation("left")).invocation_id for _ in "ab"]
        self._begin(ids)
        self._insist(lambda: store.reap(older_than=1e-6))
        return ids

    @staticmethod
    def _insist(write: Callable[[], T]) -> T:
        """As the errors' hints say: the same under the same id, once more."""
        for _ in range(2):
            with suppress(WriteError):
                return write()
        return write()

    def _begin(self, ids: Sequence[str]) -> None:
        self._events.append(Event("begin", ids=tuple(ids)))

    def _ids(self, count: int) -> list[str]:
        self._n += count
        return [f"{self._n - n}" for n in range(count)]

    def _fields(self, id_: str) -> dict[str, Any]:
        return {
            "invocation_id": id_,
            "invoked_at": "2026-03-10T12:00:00Z",
            "workflow_path": f"way {len(id_)}",
            "attributes": {"note": "x" * self._rng.randrange(300)},
        }
