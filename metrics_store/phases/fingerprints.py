"""Whether somebody wrote to a legacy file that nobody should write to."""

from __future__ import annotations

import hashlib
import os

from metrics_store.legacy.control import Fingerprint


def of_file(path: str) -> Fingerprint | None:
    """What a file is now; None if it is not there.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    return Fingerprint(status.st_size, status.st_mtime_ns, digest)


def has_changed(path: str, seen: Fingerprint | None) -> bool:
    """Whether a file's content is another than it was when it was last seen."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False  # gone is not written to
    if seen is None:
        return True
    if (status.st_size, status.st_mtime_ns) == (seen.size, seen.mtime_ns):
        return False
    now = of_file(path)
    return now is not None and now.sha256 != seen.sha256
