"""Where the store's file cannot be opened at all, or is not there: another one is put in its place.

Never by renaming over it: a process that has it open would go on with the log of the one and the
pages of the other. So nobody may have it open; what is there gets further names, which say what it
is, before its own are taken away; and the new file gets its name only if that is free.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from metrics_store import clock, sqlite
from metrics_store.backup.restoring_steps import reached
from metrics_store.errors import RestoreFailed, StoreBusy
from metrics_store.integrity import access
from metrics_store.replacing import sync_directory

#: The log first: without it nobody takes the file for a store that only lacks its tail.
_SIDES = ("-wal", "-shm", "-journal", "")


def names(database: str, us: int) -> dict[str, str]:
    """What is there, and what it would be called aside.

    Args:
        us: the present, microseconds since 1970.
    """
    there = [f"{database}{side}" for side in _SIDES if os.path.lexists(f"{database}{side}")]
    stem = f"{database}.unreadable-{clock.stamp(us)}"
    taken, n = stem, 1
    while any(os.path.lexists(f"{taken}{side}") for side in _SIDES):
        n += 1
        taken = f"{stem}-{n}"
    return {name: f"{taken}{name.removeprefix(database)}" for name in there}


def require_unused(database: str) -> None:
    """Refuse while a process has the store open: it would go on in files without a name.

    Raises:
        StoreBusy: one has.
    """
    with sqlite.without_connection(database) as alone:
        # The former also where the file itself has been removed under whoever has it open.
        users = _holders(database)
        if users or not alone or access.is_attached(database):
            told = ", ".join(map(str, sorted(users)))
            raise StoreBusy(
                f"{database} is open in {f'process {told}' if told else 'a process'}",
                hint="It cannot be restored under it: end what has it open, then try again.",
            )


def _holders(database: str) -> set[int]:
    """Processes that have a lock on the store's files, this one too, as far as the system tells."""
    files = set()
    for side in ("", "-shm"):
        try:
            there = os.stat(f"{database}{side}")
        except OSError:
            continue
        device = there.st_dev
        files.add(f"{os.major(device):02x}:{os.minor(device):02x}:{there.st_ino}")
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            found = [line.split() for line in locks]
    except OSError:
        return set()
    # Such as: 1: POSIX ADVISORY READ 4711 fe:00:2566361 128 128
    return {int(words[4]) for words in found if len(words) == 8 and words[5] in files}


def put_new(content: Path, database: str, aside: dict[str, str]) -> None:
    """Put a private copy where the store's file was, and what was there aside.

    Args:
        content: synced; on the same file system.
        aside: of :func:`names`.

    Raises:
        RestoreFailed: a store has been made there meanwhile, or the disk does not do it.
    """
    parent = os.path.dirname(database)
    try:
        # Further names for the very files: killed here, nothing has changed.
        for name, other in aside.items():
            os.link(name, other)
        sync_directory(parent)
        reached("linked")
        for name in aside:
            os.unlink(name)
        reached("cleared")
        _dress(content, aside.get(database, parent))
        os.link(content, database)
        reached("put")
        content.unlink()
        sync_directory(parent)
    except FileExistsError as error:
        raise RestoreFailed(
            f"{database} was made by somebody meanwhile; what had been there is kept as "
            f"{', '.join(aside.values()) or 'nothing'}",
            hint="Stop what uses the store, then restore again.",
        ) from error
    except OSError as error:
        raise RestoreFailed(
            f"{database}: {error.strerror}; what had been there is kept as "
            f"{', '.join(aside.values()) or 'nothing'}",
            hint="Look at the owner and mode of the directory, and at the disk.",
        ) from error


def _dress(content: Path, like: str) -> None:
    """Give a new file the owner and mode of the one it replaces, or the owner of its directory."""
    there = os.stat(like)
    if hasattr(os, "chown"):
        with suppress(PermissionError):  # only root gives files away
            os.chown(content, there.st_uid, there.st_gid)
    # After the owner: a change of owner drops some bits of the mode.
    os.chmod(content, stat.S_IMODE(there.st_mode) if stat.S_ISREG(there.st_mode) else 0o600)
    with content.open("rb+") as file:
        os.fsync(file.fileno())
