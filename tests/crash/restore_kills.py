"""A restore is killed at random moments while others write: the store is wholly old or wholly new.

Whatever a writer was told is kept is in the store, or in the copy that the restore took of what it
replaced; and the next run clears away what was left.
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contents import ids, properties
from lines import Line

from metrics_store import MetricsStore, Settings, manifest
from metrics_store.backup import restoring
from metrics_store.clock import Clock
from metrics_store.integrity import check_file

_WRITERS = 2
_OLD, _SINCE = 300, 200
#: How long a restore of the template takes at most, from its lock to its commit, and in all.
_COPYING, _WHOLE = 0.1, 0.8


class Template:
    """A store, a backup of it, and what was recorded since; made once and copied for each round."""

    def __init__(self, base: Path) -> None:
        self._saved = base / "template"
        self.folder = base / "here"
        self.path = self.folder / "m.db"
        self.folder.mkdir()
        with MetricsStore(self.path, durability="normal") as store:
            _fill(store, "old", _OLD)
            made = store.back_up()
            _fill(store, "since", _SINCE)
        self.backup = made.path
        self.old, self.new = ids(self.path), ids(self.backup)
        self.generation = properties(self.path)["generation"]
        shutil.copytree(self.folder, self._saved)

    @property
    def settings(self) -> Settings:
        return Settings(database=self.path)

    def anew(self) -> None:
        """Put everything back to where it was; at the same place, for its files name it."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._saved, self.folder)


def _fill(store: MetricsStore, prefix: str, n: int) -> None:
    # Each some pages long, so that copying takes a while.
    store.record_invocations(
        {
            "skill_name": f"skill-{i % 7}",
            "invocation_id": f"{prefix}-{i}",
            "workflow_path": f"path {i % 50}",
            "attributes": {"text": f"{i:08d}" * 1500},
        }
        for i in range(n)
    )


@dataclass
class Writer:
    """A process that records, and writes down what it was told is kept."""

    path: Path
    name: str
    notes: Path
    pid: int = field(init=False)

    def __post_init__(self) -> None:
        self.notes.unlink(missing_ok=True)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._work()
            finally:
                os._exit(1)

    def _work(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        notes = os.open(self.notes, flags, 0o600)
        try:
            store = MetricsStore(self.path)
            for n in range(1_000_000):
                name = f"{self.name}-{n}"
                store.record_invocation("written", invocation_id=name)
                os.write(notes, f"{name}\n".encode())
        except BaseException as error:
            os.write(notes, f"error {type(error).__name__}: {error!s}\n".encode())

    def lines(self) -> list[str]:
        """What it wrote down."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def goes_on(self, calls: int) -> None:
        """Wait until it has recorded some more, or has failed."""
        wanted = len(self.lines()) + calls
        deadline = time.monotonic() + 60
        while len(self.lines()) < wanted and not self.errors():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} does not go on")
            time.sleep(0.002)

    def errors(self) -> list[str]:
        """What went wrong in it."""
        return [line for line in self.lines() if line.startswith("error ")]

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def killed(template: Template, after: Callable[[int], None], failpoint: str = "") -> bool:
    """Restore in a process of its own, which is killed; False if it was through before.

    Args:
        after: gets a pipe that ends a line when the lock is had, and waits until the kill is due.
        failpoint: where it kills itself.
    """
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(receiving)
            os.environ["METRICS_STORE_FAILPOINT"] = failpoint
            _restore(template, sending)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(sending)
    try:
        after(receiving)
        os.kill(pid, signal.SIGKILL)
    finally:
        os.close(receiving)
        status = os.waitpid(pid, 0)[1]
    return os.WIFSIGNALED(status)


def _restore(template: Template, pipe: int) -> None:
    told = False

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal told
        if stage == "restoring" and not told:
            told = True
            os.write(pipe, b"\n")

    restoring.restore(template.backup, template.settings, Clock(), progress=progress)


def found_wrong(template: Template, acknowledged: set[str]) -> tuple[list[str], int]:
    """What is not as it should be after a kill, and how many records are lost."""
    there = ids(template.path)
    known = properties(template.path)
    wrong = []
    if known["generation"] == template.generation:
        missing = (template.old | acknowledged) - there
        if "restored" in known:
            wrong.append("it is half new: the old generation says that it was restored")
    else:
        safety = json.loads(known["restored"])["safety"]
        missing = (template.old | acknowledged) - there - ids(safety)
        if template.new - there:
            wrong.append(f"it is not wholly new: {len(template.new - there)} of the backup lack")
        if there - template.new - acknowledged - _unacknowledged(there):
            wrong.append("it is half old: records from before are in it")
    if missing:
        wrong.append(f"lost: {sorted(missing)[:5]}")
    report = check_file(template.path, level="deep")
    wrong += [f"{finding.kind}: {finding.detail}" for finding in report.errors]
    return wrong, len(missing)


def _unacknowledged(there: set[str]) -> set[str]:
    """What writers had recorded and not written down yet when they were killed."""
    return {name for name in there if name.startswith("w")}


def left_overs(template: Template) -> list[str]:
    """What the next run leaves of a killed one; it should be nothing."""
    restoring.plan(template.backup, template.settings, Clock())
    with MetricsStore(template.path) as store:
        store.back_up()
    wrong = [str(path) for path in template.folder.glob("*.restore*")]
    backups = template.folder / "m.db.backups"
    wrong += [str(path) for path in backups.iterdir() if path.name.endswith(".tmp")]
    for entry in manifest.of_directory(backups):
        if entry.manifest is None or entry.problem or entry.manifest.findings:
            wrong.append(f"{entry.path.name}: {entry.problem or 'it is not whole'}")
    return [f"left: {item}" for item in wrong]


def one_round(template: Template, rng: random.Random, what: str) -> Line:
    """Kill a restore once, at a random moment."""
    template.anew()
    writers = [
        Writer(template.path, f"w{n}", template.folder / f"notes-{n}") for n in range(_WRITERS)
    ]
    while_copying = rng.random() < 0.7
    delay = rng.uniform(0, _COPYING if while_copying else _WHOLE)

    def wait(pipe: int) -> None:
        if while_copying:
            waiting = select.poll()  # select() knows no more than 1,024 files
            waiting.register(pipe, select.POLLIN)
            waiting.poll(60_000)
        time.sleep(delay)

    try:
        for writer in writers:
            writer.goes_on(2)
        was_killed = killed(template, wait)
        for writer in writers:
            writer.goes_on(3)
    finally:
        for writer in writers:
            writer.kill()
    acknowledged = {line for writer in writers for line in writer.lines() if line[0] == "w"}
    wrong, lost = found_wrong(template, acknowledged)
    wrong += [error for writer in writers for error in writer.errors()]
    restored = properties(template.path)["generation"] != template.generation
    wrong += left_overs(template)
    moment = f"{delay * 1e3:.0f} ms after its {'lock' if while_copying else 'start'}"
    state = ("restored" if restored else "as before") + ("" if was_killed else ", it was through")
    return Line(
        f"{what}, killed {moment}: {state}",
        acknowledged=len(acknowledged),
        passed=int(not wrong),
        lost=lost,
        wrong=tuple(wrong),
    )


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """Rounds of it.

    Args:
        seed: decides every choice but the timing.
    """
    rng = random.Random(seed)
    # A look at what a crash left keeps its files open until the process ends: seven a round.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="restore-kills-") as base:
        template = Template(Path(base))
        for n in range(rounds):
            yield one_round(template, rng, f"round {n + 1}")
