"""Running a command that prints a status, with a time limit for all that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from metrics_store.errors import CommandFailed
from metrics_store.snapshots.payload import MAX_BYTES

#: Seconds between the request to end and the end.
GRACE = 2.0
#: Seconds between two looks at it.
_LOOK = 0.05


def output_of(command: Sequence[str], timeout: float) -> bytes:
    """What a command prints on standard output.

    It runs in a process group of its own, all of which is ended at the time limit, and whenever
    this process is interrupted.

    Args:
        command: the program and its arguments; no shell.
        timeout: seconds.

    Raises:
        CommandFailed: it is not there, fails, takes too long, or prints without end.
    """
    # A file, not a pipe: what it leaves running may hold a pipe open for ever.
    with tempfile.TemporaryFile() as output, _told_to_end() as told:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CommandFailed(
                f"{command[0]}: {reason}", hint="Name the program by its full path."
            ) from error
        try:
            _wait(process, command[0], output.fileno(), timeout, told)
        except BaseException:
            _end(process)
            raise
        code = process.returncode
        if code:
            how = f"exit code {code}" if code > 0 else f"killed by {_signal_name(-code)}"
            raise CommandFailed(f"{command[0]}: {how}", hint="Run it by hand to see what it says.")
        output.seek(0)
        return output.read()


class _Ended(SystemExit):
    """This process was told to end: what it has started ends with it."""


@contextmanager
def _told_to_end() -> Iterator[list[int]]:
    """For the block, signals that would end this process at once are only noted."""
    told: list[int] = []
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # only there can they be
    noted = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in noted:
        signal.signal(number, lambda number, _: told.append(number))
    try:
        yield told
    finally:
        for number in noted:
            signal.signal(number, signal.SIG_DFL)


def _wait(
    process: subprocess.Popen[bytes], name: str, output: int, timeout: float, told: list[int]
) -> None:
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, min(_LOOK, left)))
        if told:
            raise _Ended(128 + told[0])
        if os.fstat(output).st_size > MAX_BYTES:
            raise CommandFailed(f"{name}: it printed more than {MAX_BYTES:,} bytes")
        if process.returncode is not None:
            return
        if left <= 0:
            raise CommandFailed(
                f"{name}: it was not done after {timeout:g} s",
                hint="Give it longer: --timeout SECONDS.",
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: ask first, then insist."""
    if sys.platform == "win32":
        process.kill()
        process.wait()
        return
    _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while _is_there(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    _signal(process, signal.SIGKILL)
    process.wait()


def _is_there(process: subprocess.Popen[bytes]) -> bool:
    """Whether any process of its group is left."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # none of it is left
        os.killpg(process.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
