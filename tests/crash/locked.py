"""A store whose write lock another process holds: who has to wait does so until the limit.

``campaign`` is the long form: it holds the lock for 30 s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checking import problems, python_path
from lines import Line

from metrics_store import MetricsStore, OpenInvocation, Settings, schema
from metrics_store.backup import creating, restoring
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy.importing import take_in

_HOLD = """
import sys
from metrics_store import sqlite
connection = sqlite.connect(sys.argv[1])
if sys.argv[2] == "everything":
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("UPDATE store_property SET value = value")
else:
    connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
#: Seconds that a call may go past its limit; some make a copy first, and check it.
GRACE = 0.1
COPYING = {"repair": 10.0, "roll back": 10.0, "restore": 10.0}
LONG = 30.0


@contextmanager
def held(path: Path, what: str = "writing") -> Iterator[None]:
    """Let another process hold the write lock for the block, or with ``everything`` all of it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate()


@dataclass(frozen=True)
class Scene:
    """A store with all that calls need, made before the lock was taken."""

    store: MetricsStore
    started: OpenInvocation
    folder: Path
    limit: float

    @classmethod
    def make(cls, path: Path, limit: float) -> Scene:
        """Open a store; files of its own lie beside it."""
        store = MetricsStore(path, busy_timeout=limit)
        store.record_invocations({"skill_name": "deploy"} for _ in range(5))
        return cls(store, store.track_invocation("deploy"), path.parent, limit)

    def opened(self) -> Database:
        """The file once more, its schema not looked at."""
        return Database(Settings(Path(self.store.path), busy_timeout=self.limit), Clock())

    @property
    def legacy(self) -> Path:
        """A legacy file."""
        path = self.folder / "legacy.json"
        record = {
            "skill_name": "old",
            "invoked_at": "2025-11-01T10:00:00",
            "workflow_path": None,
            "completed": True,
            "duration_seconds": 1.0,
            "follow_up_actions": [],
            "error_type": None,
        }
        path.write_text(json.dumps({"invocations": [record], "skills": {}, "last_updated": "x"}))
        return path

    def buffered(self) -> None:
        """Record through a buffer of its own."""
        buffer = self.store.buffered(max_delay=3600)
        buffer.record_invocation("deploy")
        buffer.flush()

    def prepare(self, name: str) -> None:
        """Make what a call needs before the lock is taken."""
        if name == "restore":
            creating.create(self.store.database, self.folder / "backups")
        if name == "repair":
            # Whose repair makes it anew.
            self.store.database.write(lambda connection: connection.execute("DROP VIEW skill_day"))

    def rolled_back(self) -> None:
        """Take the newest migration back."""
        database = self.opened()
        try:
            schema.roll_back(database, schema.version(database) - 1)
        finally:
            database.close()

    def restored(self) -> None:
        """Restore the backup that was made before."""
        (backup,) = (self.folder / "backups").glob("*.db")
        settings = Settings(Path(self.store.path), busy_timeout=self.limit)
        restoring.restore(backup, settings, Clock())


#: Every public write, and what else takes the write lock.
WRITES: dict[str, Callable[[Scene], object]] = {
    "record": lambda scene: scene.store.record_invocation("deploy"),
    "batch": lambda scene: scene.store.record_invocations([{"skill_name": "deploy"}]),
    "start": lambda scene: scene.store.track_invocation("deploy"),
    "heartbeat": lambda scene: scene.started.heartbeat(),
    "end": lambda scene: scene.started.complete(),
    "buffered": Scene.buffered,
    "reap": lambda scene: scene.store.reap(),
    "import": lambda scene: take_in(scene.store, scene.legacy, zone="UTC"),
    "analyze": lambda scene: scene.store.analyze(),
    "checkpoint": lambda scene: scene.store.checkpoint(),
    "vacuum --full": lambda scene: scene.store.vacuum(full=True),
    "repair": lambda scene: scene.store.repair(),
    "roll back": Scene.rolled_back,
    "restore": Scene.restored,
}
#: What only reads, and opening a store that is up to date.
READS: dict[str, Callable[[Scene], object]] = {
    "skills": lambda scene: scene.store.get_all_metrics(),
    "summary": lambda scene: scene.store.get_summary(),
    "log": lambda scene: scene.store.invocations(),
    "query": lambda scene: scene.store.query("SELECT count(*) FROM skill_invocation"),
    "open": lambda scene: MetricsStore(scene.store.path, busy_timeout=scene.limit).close(),
    "info": lambda scene: scene.store.info(),
    "health": lambda scene: scene.store.health(),
    "check": lambda scene: scene.store.check("deep"),
    "back up": lambda scene: scene.store.back_up(scene.folder / "meanwhile"),
    "vacuum": lambda scene: scene.store.vacuum(),
}


def timed(call: Callable[[], object]) -> tuple[float, str]:
    """Seconds a call took, and the error it ended with, or nothing."""
    before = time.monotonic()
    said = ""
    try:
        call()
    except MetricsStoreError as error:
        said = type(error).__name__ if error.hint else f"{type(error).__name__} without a hint"
    return time.monotonic() - before, said


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """Hold the lock for 30 s against every call at once, each with a store of its own."""
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="locked-") as folder:
            yield _round(Path(folder), number)


def _round(folder: Path, number: int) -> Line:
    path = folder / "m.db"
    scenes = {name: Scene.make(path, LONG) for name in WRITES}
    for name in reversed(WRITES):  # the restore's backup before what the repair mends is broken
        scenes[name].prepare(name)
    found: dict[str, tuple[float, str]] = {}

    def run(name: str) -> None:
        found[name] = timed(lambda: WRITES[name](scenes[name]))

    with held(path):
        threads = [threading.Thread(target=run, args=(name,)) for name in WRITES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for scene in scenes.values():
        scene.store.close()
    wrong = [
        f"{name}: {said or 'no error'} after {took:.2f} s"
        for name, (took, said) in found.items()
        # They all run in this one process.
        if said != "StoreBusy" or not LONG <= took <= LONG + COPYING.get(name, GRACE * len(WRITES))
    ]
    wrong += problems(path)
    return Line(
        f"round {number}: held for {LONG:g} s",
        cases=len(WRITES),
        passed=len(WRITES) - len(wrong),
        figure=max(took for took, _ in found.values()) - LONG,
        unit="s late",
        wrong=tuple(wrong),
    )
