"""A legacy file on its way into a store, by commands alone, in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from metrics_store import open_tracker
from metrics_store.legacy import control

FILES = Path(__file__).parent / "legacy" / "files"
#: What leads from each phase to the next, without what runners have to do in it.
ONWARD: dict[str, tuple[tuple[str, ...], ...]] = {
    "legacy": (("advance",),),
    "dual_write": (("backfill",), ("advance",)),
    "shadow": (("advance",),),
    "dual_read": (("verify",), ("rollback", "--rehearse"), ("cutover",)),
    "database": (("complete",),),
}
#: They run at once and only add.
_ADDING = {"backfill", "verify", "rollback --rehearse"}


class Done(Protocol):
    """What a command came to."""

    code: int
    out: str
    err: str


class Migration:
    """A legacy file and the commands on it.

    Args:
        call: runs a command in this process.
        json_file: the legacy file.
        options: given to every command.
    """

    def __init__(
        self, call: Callable[..., Done], json_file: Path, options: Sequence[object] = ()
    ) -> None:
        self._call = call
        self.json_file = json_file
        self._options = options

    def __call__(self, *arguments: object) -> Done:
        """Run ``metrics-store legacy`` with arguments."""
        return self._call("legacy", *arguments, *self._options)

    def told(self, *arguments: object, code: int = 0) -> dict[str, object]:
        """Run a command with ``--json``; its document."""
        done = self(*arguments, "--json")
        assert done.code == code, (arguments, done.out, done.err)
        value: dict[str, object] = json.loads(done.out)
        return value

    def begin(self, *options: object) -> None:
        """Start, with gates that ask for little."""
        small = ("--zone", "UTC", "--shadow-reads", "2", "--soak", "0")
        assert self("start", *small, *options, "--execute").code == 0

    def record(self, *names: str) -> None:
        """Let a runner record an invocation of each skill, and read its numbers."""
        with open_tracker(self.json_file, on_error="raise") as tracker:
            for name in names or ("deploy",):
                tracker.track_invocation(name, "by test")(follow_up_actions=["look"])
                tracker.get_skill_metrics(name)
                tracker.get_all_metrics()

    def until(self, phase: str) -> None:
        """Go on until a phase, as an operator would."""
        while self.phase != phase:
            for command in ONWARD[self.phase]:
                word = () if " ".join(command) in _ADDING else ("--execute",)
                done = self(*command, *word)
                assert done.code == 0, (command, done.out, done.err)
            self.record()

    @property
    def phase(self) -> str:
        """The phase that the control file names."""
        there = control.read(self.json_file)
        assert there is not None
        return there.phase

    def kept(self) -> dict[str, bytes]:
        """What a dry run must not change: the JSON file, the control file and its copy."""
        folder = self.json_file.parent
        name = self.json_file.name
        found = [path for path in folder.glob(f"{name}*") if not path.name.endswith(".lock")]
        return {path.name: path.read_bytes() for path in found}


def legacy_file(folder: Path, name: str = "two_writers.json") -> Path:
    """A legacy file where commands look for it."""
    path = folder / ".session-buddy" / "skill_metrics.json"
    path.parent.mkdir()
    shutil.copyfile(FILES / name, path)
    return path
