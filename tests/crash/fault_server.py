"""A process that does public writes on a faulty disk, each in a child forked for it.

It imports the product once, with the disk under its SQLite, and opens nothing itself. It is told
what to do by JSON lines, and says how each child ended; what a child has to say itself it adds to
a file, so that it is there also when the child was killed.

``python tests/crash/fault_server.py [apsw]``
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faulty_vfs import Disk
    from public_write import Write

#: Files that the child's words and its tracebacks go to.
SAID, STDERR = "said", "stderr"
#: Seconds until a child counts as stuck.
_PATIENCE = 30


def main() -> None:
    """Serve until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is served ends it
    if "apsw" in sys.argv[1:]:
        import apsw_binding

        apsw_binding.put_on()
    import public_writes  # noqa: F401, all of the product that is needed
    from faulty_vfs import install

    from metrics_store import sqlite

    try:
        disk = install(sqlite.binding)
    except LookupError as error:
        print(json.dumps({"unusable": str(error)}), flush=True)
        return
    print(json.dumps({"sqlite": sqlite.version}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_ending(json.loads(line), disk)), flush=True)


def _ending(order: dict[str, Any], disk: Disk) -> int:
    child = os.fork()
    if child == 0:
        status = 98
        try:
            status = _child(order, disk)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _frames(error: Exception) -> str:
    """The innermost places that an error came through, in a line."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return ", ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in frames)


class Teller:
    """Writes words to a file, each a line, at once."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / SAID, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def say(self, word: str, *more: object) -> None:
        """Say a word, with what belongs to it."""
        os.write(self._handle, json.dumps([word, *more]).encode() + b"\n")


def _child(order: dict[str, Any], disk: Disk) -> int:
    from public_writes import WRITES

    folder = Path(str(order["folder"]))
    stderr = os.open(folder / STDERR, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    # Its standard output is the server's, which says other things there.
    os.dup2(stderr, 1)
    os.dup2(stderr, 2)
    if "day" in order:
        from recorded_work import Day

        seed, *day = order["day"]
        Day(folder, random.Random(seed), *day).run(disk)
        return 0
    signal.alarm(_PATIENCE)
    _Doing(WRITES[str(order["write"])], folder, disk, order).do()
    sys.stdout.flush()
    sys.stderr.flush()
    return 0


class _Doing:
    """One child: the write, with a fault, and what comes after it."""

    def __init__(self, write: Write, folder: Path, disk: Disk, order: dict[str, Any]) -> None:
        from faulty_vfs import Fault

        self._write, self._disk = write, disk
        fault = order.get("fault")
        self._fault = Fault(*fault) if isinstance(fault, list) else None
        self._then = str(order.get("then", "close"))
        self._tell = Teller(folder)
        self._place = write.place(folder, lambda said: self._tell.say("kept", said))

    def do(self) -> None:
        """Open, arm, write; then die, close, or go on with the same store."""
        if self._write.open_before:
            self._place.store.query("SELECT 1")
        self._disk.arm(self._fault)
        self._tell.say("begin")
        done = self._try("failed", lambda: self._write.run(self._place))
        if self._then == "go on" and self._fault is not None:
            done = self._go_on() or done
        if self._then == "die":
            self._tell.say("struck", self._disk.struck)
            os._exit(0)
        if self._place.opened is not None:
            self._try("not closed", self._place.opened.close)
        self._tell.say("struck", self._disk.struck)
        if self._fault is None:
            self._tell.say("calls", self._disk.calls)
        self._tell.say("done" if done else "not done")

    def _try(self, word: str, do: Callable[[], object]) -> bool:
        from metrics_store.errors import MetricsStoreError

        try:
            do()
        except MetricsStoreError as error:
            self._tell.say(word, type(error).__name__, str(error))
            return False
        except Exception as error:
            self._tell.say("bug", word, type(error).__name__, str(error), _frames(error))
            return False
        return True

    def _go_on(self) -> bool:
        """What the same store does while the fault lasts, and when it has gone."""
        if self._place.opened is not None:
            self._try("not read", self._read)
        self._disk.disarm()
        return self._try("failed again", lambda: self._write.run(self._place))

    def _read(self) -> None:
        store = self._place.store
        ids = [row["id"] for row in store.query("SELECT id FROM skill_invocation")]
        self._tell.say("read", ids, store.get_summary().total_invocations)


if __name__ == "__main__":
    main()
