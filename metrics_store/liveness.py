"""Whether the process that started something still runs.

A process is named by host, boot, pid namespace, pid and start time, so that a pid used again, or
the same pid in another container, is not taken for it.
"""

from __future__ import annotations

import os
import sys
from functools import cache


def identity() -> str:
    """The name of this process: ``host|boot|namespace|pid|started``."""
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    return "|".join((*_where(), str(pid), _started(pid)))


def is_gone(name: str) -> bool | None:
    """Whether a process of this machine has ended.

    Args:
        name: what :func:`identity` gave there.

    Returns:
        None if it cannot be told from here: another machine or another container.
    """
    parts = name.split("|")
    if len(parts) != 5 or not parts[3].isdigit():
        return None
    host, boot, namespace, pid, started = parts
    here = _where()
    if host != here[0]:
        return None
    if boot and here[1] and boot != here[1]:
        return True  # the machine was started anew since
    if namespace != here[2]:
        return None
    if not _runs(int(pid)):
        return True
    now_started = _started(int(pid))
    return bool(started and now_started and started != now_started)


def _where() -> tuple[str, str, str]:
    return (_host().replace("|", "_"), _boot(), _namespace())


@cache
def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform  # 3 ms, and this is asked for at every start

    return platform.node()


@cache
def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Clock ticks from boot to the start of a process; empty where the system does not tell."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _stat(pid: int) -> list[str]:
    """What /proc tells of a process, from its state on."""
    # The second field is the command in brackets and may hold anything, brackets too.
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _runs(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it; the age limit closes what was left
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Ended, but its parent has not asked for its exit code yet.
    return _stat(pid)[:1] not in (["Z"], ["X"])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
