"""Who of other processes holds a view of the store, and for how long at least.

SQLite keeps its locks of a write-ahead log on bytes of the ``-shm`` file (unix: 120 writing, 121
checkpoint, 122 recovery, 123 to 127 one of five read marks, 128 attached; see "WAL locks" at
sqlite.org/walformat.html §2.3.4). Linux tells in ``/proc/locks`` who holds them, so nothing has to
be opened: closing a descriptor of ``-shm`` would drop the locks of this process.

How long a lock has been held the system does not say. So it is looked at again and again, and a
lock that was there each time is taken for one view: its age is the time from the first look to the
last, and the view is at least that old.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from metrics_store.clock import MICROSECONDS, Clock

_WRITE, _FIRST_MARK, _LAST_MARK, _ATTACHED = 120, 123, 127, 128
_LOOKS, _BETWEEN_S = 10, 0.01


@dataclass(frozen=True, slots=True)
class Process:
    """A process that holds a lock.

    Args:
        pid: its number.
        name: what it calls itself: any text, not to be trusted.
        held_s: seconds for which it was seen to hold a view.
    """

    pid: int
    name: str
    held_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.name else f"pid {self.pid}"


@dataclass(frozen=True, slots=True)
class Holders:
    """The other processes at a store.

    Args:
        attached: how many have it open.
        readers: those with a view, the one seen longest first.
        writer: the one that holds the write lock.
    """

    attached: int
    readers: tuple[Process, ...]
    writer: Process | None


@dataclass(slots=True)
class LogReaders:
    """Looks at the locks on a store's log; kept, it knows views from one look to the next.

    Args:
        path: the database.
        clock: source of time.
        locks: the system's table of locks.
    """

    path: str
    clock: Clock
    locks: str = "/proc/locks"
    _since: dict[tuple[int, int], int] = field(default_factory=dict)
    _inode: int = 0

    def look(self) -> Holders | None:
        """Look some times within a tenth of a second; once if nobody else has a view.

        This process has a connection on the store: its own lock shows that the system tells. None
        if it does not, as outside Linux or in some containers.
        """
        held = self._held()
        for _ in range(_LOOKS - 1):
            if held is None or not self._since:
                break
            self.clock.sleep(_BETWEEN_S)
            held = self._held()
        if held is None:
            self._since.clear()
            return None
        now = self.clock.monotonic_us()
        oldest: dict[int, float] = {}
        for (pid, _), since in self._since.items():
            oldest[pid] = max(oldest.get(pid, 0.0), (now - since) / MICROSECONDS)
        readers = [Process(pid, _name(pid), age) for pid, age in oldest.items()]
        writers = [pid for pid, byte in held if byte == _WRITE]
        return Holders(
            len({pid for pid, byte in held if byte == _ATTACHED}),
            tuple(sorted(readers, key=lambda reader: (-reader.held_s, reader.pid))),
            Process(writers[0], _name(writers[0])) if writers else None,
        )

    def _held(self) -> set[tuple[int, int]] | None:
        """The locks of other processes, as (pid, byte)."""
        held = self._now()
        if held is None:
            return None
        now = self.clock.monotonic_us()
        views = {(pid, byte) for pid, byte in held if _FIRST_MARK <= byte <= _LAST_MARK}
        self._since = {view: self._since.get(view, now) for view in views}
        return held

    def _now(self) -> set[tuple[int, int]] | None:
        try:
            inode = os.stat(f"{self.path}-shm").st_ino
            with open(self.locks, encoding="ascii", errors="replace") as file:
                lines = [line.split() for line in file if f":{inode} " in line]
        except OSError:
            return None
        if inode != self._inode:
            self._inode = inode
            self._since.clear()
        found = [lock for words in lines if (lock := _lock(words, inode)) is not None]
        # The device is the one that our own lock is listed with: stat gives another one on btrfs.
        own = os.getpid()
        devices = {
            device for device, pid, _, first, last in found if pid == own and last >= _ATTACHED
        }
        if not devices:
            return None
        return {
            (pid, byte)
            for device, pid, kind, first, last in found
            if device in devices and pid != own
            for byte in range(first, last + 1)
            # A checkpoint takes read marks too, for writing; that is no view.
            if (kind == "WRITE") is (byte == _WRITE)
        }


def _lock(words: list[str], inode: int) -> tuple[str, int, str, int, int] | None:
    """A line such as ``7: POSIX ADVISORY READ 4711 fe:00:2564194 124 124``; None if another."""
    if len(words) != 8 or words[1] != "POSIX":
        return None  # "->": somebody who waits for it
    _, _, _, kind, pid, where, first, last = words
    device, _, number = where.rpartition(":")
    if number != str(inode) or not pid.isdigit() or not first.isdigit():
        return None
    start = max(int(first), _WRITE)
    end = _ATTACHED if not last.isdigit() else min(int(last), _ATTACHED)
    return device, int(pid), kind, start, end


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read(64).removesuffix("\n")
    except OSError:
        return ""
