"""Where a command writes a file that somebody names."""

from __future__ import annotations

import os

from metrics_store.cli.options import NothingDone


def refuse(file: str, store: str, *, force: bool) -> None:
    """Refuse a file that is not to be written: a directory, the store itself, what is there.

    Args:
        file: where to; ``-`` is standard output.
        store: the store's path, symlinks resolved.
        force: replace what is there.

    Raises:
        NothingDone: it is not to be written.
    """
    if file == "-":
        return
    try:
        target = os.path.realpath(file)
    except ValueError as error:  # half a character, or NUL
        raise NothingDone(f"{file!r} can be no file's name", hint="Name another file.") from error
    if os.path.isdir(target):
        raise NothingDone(f"{file} is a directory", hint="Name a file.")
    if target in (store, f"{store}-wal", f"{store}-shm"):
        raise NothingDone(f"{file} is the store itself", hint="Name another file.")
    if os.path.exists(target) and not force:
        raise NothingDone(f"{file} is there already", hint="Use --force to replace it.")
