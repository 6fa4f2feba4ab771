"""Samples of a process and of this machine, by psutil, and of a working tree, by git."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from metrics_store import clock
from metrics_store.agents import git
from metrics_store.agents.fields import SampleFields, SystemFields
from metrics_store.errors import MissingExtra, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

_MB = 1 << 20
#: Seconds over which the first sample measures; the ones after it measure since the one before.
FIRST = 0.2
#: Percent of memory or disk from which on the machine is not healthy; a busy processor is.
DEGRADED, UNHEALTHY = 90.0, 98.0
#: What a process does, as the kernel says it; one that sleeps may still be busy.
_BLOCKED = ("stopped", "tracing-stop", "disk-sleep")
_GONE = ("zombie", "dead")
#: Percent of a core below which a sleeping process is idle.
_IDLE = 1.0


def library() -> Any:
    """The package psutil.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import psutil
    except ImportError as error:
        raise MissingExtra("psutil", hint="pip install 'metrics-store[agents]'") from error
    return psutil


@dataclass(slots=True)
class Process:
    """A process that is sampled again and again.

    Args:
        pid: its id.
        process: psutil's own; None before the first sample, and once it has ended.
        ended: whether it has ended: another process of that id later is not it.
    """

    pid: int
    process: psutil.Process | None = None
    ended: bool = False
    _seen: bool = field(default=False)

    def sample(self, now_us: int) -> tuple[str, SampleFields]:
        """Its status and its numbers; of one that has ended only that it is offline.

        Args:
            now_us: microseconds since 1970.

        Raises:
            MissingExtra: psutil is not installed.
            SourceError: it may not be looked at.
        """
        module = library()
        try:
            if self.process is None and not self.ended:
                self.process = module.Process(self.pid)
            if self.process is None or not self.process.is_running():
                raise module.NoSuchProcess(self.pid)
            return self._numbers(self.process, now_us)
        except module.NoSuchProcess:
            self.ended, self.process = True, None
            return "offline", {}
        except module.AccessDenied as error:
            raise SourceError(f"process {self.pid} may not be looked at: {error}") from error

    def _numbers(self, process: psutil.Process, now_us: int) -> tuple[str, SampleFields]:
        state = str(process.status())
        if state in _GONE:
            self.ended, self.process = True, None
            return "offline", {}
        cpu = process.cpu_percent(None if self._seen else FIRST)
        self._seen = True
        with process.oneshot():
            memory = process.memory_info().rss
            share = process.memory_percent()
            started = process.create_time()
        fields: SampleFields = {
            "cpu_usage": max(0.0, cpu),
            "memory_usage": memory / _MB,
            "memory_percent": min(100.0, share),
            "uptime_seconds": max(0.0, now_us / clock.MICROSECONDS - started),
        }
        if state in _BLOCKED:
            return "blocked", fields
        return "active" if state == "running" or cpu >= _IDLE else "idle", fields


def of_tree(repository: Path) -> SampleFields:
    """The branch and the uncommitted changes of a working tree.

    Raises:
        SourceError, CommandFailed: git cannot tell.
    """
    tree = git.working_tree(repository)
    return {"branch": tree.branch, "uncommitted_changes": tree.uncommitted_changes}


@dataclass(slots=True)
class Machine:
    """This machine, sampled again and again.

    Args:
        path: whose disk is looked at.
    """

    path: Path
    _seen: bool = field(default=False)

    def sample(self, now_us: int) -> tuple[str, SystemFields]:
        """Its overall status, by :data:`DEGRADED` and :data:`UNHEALTHY`, and its numbers.

        Args:
            now_us: microseconds since 1970.

        Raises:
            MissingExtra: psutil is not installed.
            SourceError: the disk cannot be looked at.
        """
        module = library()
        cpu = min(100.0, max(0.0, module.cpu_percent(None if self._seen else FIRST)))
        self._seen = True
        memory = module.virtual_memory()
        try:
            disk = module.disk_usage(str(self.path))
        except OSError as error:
            raise SourceError(f"{self.path}: {error}") from error
        fields: SystemFields = {
            "cpu": cpu,
            "memory": memory.percent,
            "disk": disk.percent,
            "details": {
                "host": _host(),
                "cpus": module.cpu_count() or 1,
                "memory_mb": memory.total // _MB,
                "disk_free_mb": disk.free // _MB,
                "uptime_seconds": max(0, round(now_us / clock.MICROSECONDS - module.boot_time())),
            },
        }
        worst = max(memory.percent, disk.percent)
        if worst >= UNHEALTHY:
            return "unhealthy", fields
        return "degraded" if worst >= DEGRADED else "healthy", fields


def _host() -> str:
    return socket.gethostname()


def repeat(
    take: Callable[[], bool], sleep: Callable[[float], bool], *, every: float, count: int | None
) -> int:
    """Take samples one after the other, and give how many were taken.

    Args:
        take: takes one, and says whether to go on.
        sleep: waits so many seconds, and says whether to go on.
        every: seconds from one to the next.
        count: how many; None until one of them says no.
    """
    taken, due = 0, monotonic()
    while True:
        more = take()
        taken += 1
        if not more or (count is not None and taken >= count):
            return taken
        # From one due moment to the next, so that what a sample takes does not add up.
        due = max(due + every, monotonic())
        if not sleep(due - monotonic()):
            return taken


def path_of_disk(database: str) -> Path:
    """The directory whose disk a store lies on."""
    return Path(os.path.dirname(database) or ".")
