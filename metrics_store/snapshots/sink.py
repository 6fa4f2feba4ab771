"""A file of JSON lines that takes snapshots while the store cannot: now the sink, later the import.

Each line has an id, so that importing it twice, or after a rotation, counts it once.
"""

from __future__ import annotations

import logging
import os
import stat

from metrics_store import appending, clock
from metrics_store.clock import Clock
from metrics_store.errors import InvalidSetting, WriteError
from metrics_store.replacing import sync_directory
from metrics_store.rows import Moment
from metrics_store.snapshots import locking, payload, rotation
from metrics_store.snapshots.lines import appended_at
from metrics_store.snapshots.payload import Payload, Zones
from metrics_store.snapshots.recording import moment_us
from metrics_store.snapshots.results import Sunk

_LOG = logging.getLogger("metrics_store")
#: Seconds to wait for the others who write the same sink.
PATIENCE = 10.0
#: So much of a file is read to learn of which day its first line is.
_HEAD = 256


class SnapshotSink:
    """Appends whole lines to a file, whoever else does too.

    Args:
        path: the file; its directory is there. Symlinks are resolved once.
        fsync: a line is on the disk when ``append`` returns. Without it a power cut, but no crash
            of a process, may take the last lines.
        daily: begin a new file with the first line of each UTC day.
        max_mb: begin a new file before this one gets larger, in MB.
        patience: seconds to wait for others who append.
        clock: source of time; tests give their own.

    Raises:
        InvalidSetting: ``max_mb`` is not a positive number.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fsync: bool = True,
        daily: bool = False,
        max_mb: float | None = None,
        patience: float = PATIENCE,
        clock: Clock | None = None,
    ) -> None:
        if max_mb is not None and not 0 < max_mb < 1e9:
            raise InvalidSetting(f"max_mb = {max_mb!r:.40}", hint="It is a number above 0.")
        self.path = os.path.realpath(path)
        self._fsync = fsync
        self._daily = daily
        self._max_bytes = None if max_mb is None else max(1, round(max_mb * 1e6))
        self._patience = patience
        self._clock = clock or Clock()

    def append(
        self, said: Payload | str | bytes, at: Moment = None, *, zone: str | None = None
    ) -> Sunk:
        """Append a snapshot as one line.

        Args:
            said: what a status tool says: a mapping, or JSON text.
            at: its moment; by default what it says itself, else now.
            zone: whose local time a moment without an offset is; by default this machine's.

        Raises:
            InvalidValue: it is no JSON object, or its moment is none. Whether its numbers make
                sense is looked at when it is imported.
            WriteError: it was not appended.
        """
        document = payload.document(said)
        now_us = self._clock.now_us()
        us = moment_us(document, at, Zones(zone), now_us)
        name, recorded_at = clock.new_id(us), clock.text(us)
        # In JSON a line can only be broken between two words.
        text = document.text.replace("\r", " ").replace("\n", " ")
        head = f'{{"id":"{name}","recorded_at":"{recorded_at}","appended_at":"{clock.text(now_us)}"'
        line = f'{head},"payload":{text}}}\n'.encode()
        with locking.held(f"{self.path}.lock", self._patience):
            try:
                aside = self._rotate_if_due(len(line), now_us)
                self._write(line)
            except OSError as error:
                hint = "Look at the disk, and at the owner and mode of the file."
                raise WriteError(f"{self.path}: {error.strerror}", hint=hint) from error
            failure = self._compress()
        if aside is not None and not os.path.lexists(aside):
            aside = f"{aside}.gz"
        return Sunk(name, recorded_at, self.path, aside, failure)

    def files(self) -> list[str]:
        """Every file that has lines of this sink, oldest first."""
        try:
            found = rotation.rotated(self.path)
        except FileNotFoundError:
            return []
        return [*found, *([self.path] if os.path.exists(self.path) else [])]

    def _compress(self) -> str:
        """The line is written: that the old ones are still large is no reason to say it is not."""
        try:
            rotation.compress(self.path)
        except OSError as error:
            _LOG.warning("%s: a rotated file is not compressed yet: %s", self.path, error.strerror)
            return f"{error.filename or self.path}: {error.strerror}"
        return ""

    def _rotate_if_due(self, more: int, now_us: int) -> str | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise OSError(22, "it is not a regular file", self.path)
        too_large = self._max_bytes is not None and found.st_size + more > self._max_bytes
        if found.st_size and (too_large or (self._daily and self._is_of_before(found, now_us))):
            return rotation.rotate(self.path, now_us)
        return None

    def _is_of_before(self, found: os.stat_result, now_us: int) -> bool:
        """Whether the file begins on a day before today."""
        with open(self.path, "rb") as file:
            began = appended_at(file.read(_HEAD))
        if began is None:  # not a line of ours
            began = clock.text(found.st_mtime_ns // 1000)
        return began[:10] < clock.text(now_us)[:10]

    def _write(self, line: bytes) -> None:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            is_first = appending.append(handle, line, sync=self._fsync)
        finally:
            os.close(handle)
        if self._fsync and is_first:
            sync_directory(os.path.dirname(self.path))
