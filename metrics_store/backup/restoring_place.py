"""The folder beside a store where a restore keeps its private copy, and what it is about to do.

A restore that is killed leaves both behind; the next one finds them, under the lock of the folder.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from metrics_store import file_locks
from metrics_store.errors import RestoreRefused, StoreNotWritable
from metrics_store.replacing import replace_text

COPY = "copy.db"
_INTENT = "intent.json"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a restore is about to do, noted before it does it.

    Args:
        safety: where the copy of what is there will be.
        at_us: the moment of that copy, microseconds since 1970.
        generation: of the store once it is restored: that it bears it tells that it was.
    """

    safety: str
    at_us: int
    generation: str


@contextmanager
def place_of(database: str, *, make: bool) -> Iterator[Path]:
    """The folder ``<database>.restore``, 0700, for one restore at a time; gone in the end.

    Args:
        make: make the store's own directory too, if it is not there. Without it the folder is
            then somewhere else, for a look that changes nothing.

    Raises:
        RestoreRefused: another process is restoring this store.
        StoreNotWritable: it cannot be made.
    """
    parent = Path(database).parent
    if not make and not parent.is_dir():
        with tempfile.TemporaryDirectory(prefix="metrics-store-") as elsewhere:
            yield Path(elsewhere)
        return
    directory = Path(f"{database}.restore")
    lock = _claimed(directory)
    try:
        _clear(directory, f"{COPY}*")
        yield directory
        forget(directory)
    finally:
        _clear(directory, f"{COPY}*")
        with suppress(OSError):  # what was intended stays, or somebody keeps a file there
            directory.rmdir()
        if lock is not None:
            os.close(lock)


def note(place: Path, intent: Intent) -> None:
    """Write down what is about to be done, so that it outlives this process."""
    replace_text(place / _INTENT, json.dumps(asdict(intent)) + "\n")


def noted(place: Path) -> Intent | None:
    """What an earlier restore was about to do when it was cut short; None if there was none."""
    try:
        document = json.loads((place / _INTENT).read_text(encoding="utf-8"))
        return Intent(str(document["safety"]), int(document["at_us"]), str(document["generation"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise RestoreRefused(
            f"{place / _INTENT}, which an earlier restore left, cannot be read",
            hint="Look for a safety copy with `metrics-store backup list`, then remove that file.",
        ) from error


def forget(place: Path) -> None:
    """What was noted is through."""
    _clear(place, f"{_INTENT}*")


def _claimed(directory: Path) -> int | None:
    try:
        while True:
            os.makedirs(directory.parent, mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
            if directory.is_symlink():
                raise StoreNotWritable(f"{directory} is a symlink", hint="Remove it.")
            lock = _locked(directory)
            # Whoever was here before may have removed it between our opening and our locking it.
            if lock is None or _is(lock, directory):
                return lock
            os.close(lock)
    except OSError as error:
        raise StoreNotWritable(f"{directory}: {error.strerror}") from error


def _locked(directory: Path) -> int | None:
    if sys.platform == "win32":
        return None
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not file_locks.try_lock(lock):
            raise RestoreRefused(
                f"another process is restoring the same store ({directory})",
                hint="Wait until it has ended; its lock ends with its process.",
            )
    except BaseException:
        os.close(lock)
        raise
    return lock


def _is(lock: int, directory: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(directory))
    except FileNotFoundError:
        return False


def _clear(directory: Path, pattern: str) -> None:
    # Only what is ours by its name: somebody may keep a file of their own there.
    for left in directory.glob(pattern):
        left.unlink(missing_ok=True)
