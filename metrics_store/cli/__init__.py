"""The command line. Exit codes: 0 fine, 1 found a problem, 2 usage or gate not met, 3 error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

#: What a shell reports for a program that SIGINT or SIGPIPE ended.
INTERRUPTED = 130
PIPE_CLOSED = 141
ERROR = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: by default those of this process.

    Returns:
        The exit code.
    """
    _prepare_streams()
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        # Here, not at exit, so that a pipe or disk that takes no more is met while we can say so.
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has gone, as in `… | head`: the rest goes nowhere, and nobody complains.
        _discard(sys.stdout)
        return PIPE_CLOSED
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the exit code says so
        return _explain(error)
    return code


def _run(arguments: list[str]) -> int:
    from metrics_store.cli.application import run

    return run(arguments)


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller: `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            # A name that the terminal's encoding has not got must not end the command.
            stream.reconfigure(errors="backslashreplace")


def _discard(stream: TextIO) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return  # not a real stream: there is nothing left to flush


def _explain(error: Exception) -> int:
    from metrics_store.errors import MetricsStoreError

    if os.environ.get("METRICS_STORE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, MetricsStoreError):
        _tell(f"error: {error}", f"hint: {error.hint}" if error.hint else "")
        return error.exit_code
    if isinstance(error, OSError):
        where = f": {os.fsdecode(error.filename)}" if error.filename is not None else ""
        _tell(f"error: {error.strerror or error}{where}")
        if getattr(sys.stdout, "closed", False) is False:
            _forget_unwritten(sys.stdout)
        return ERROR
    if isinstance(error, MemoryError):
        _tell("error: there is not enough memory")
        return ERROR
    _tell(
        f"error: this is a bug in metrics-store: {type(error).__name__}: {error}",
        "hint: set METRICS_STORE_DEBUG=1 and run it again to see where; please report it.",
    )
    return ERROR


def _forget_unwritten(stream: TextIO) -> None:
    # What a full disk did not take would be tried again at exit, and end in a traceback.
    try:
        stream.flush()
    except OSError:
        _discard(stream)


def _tell(*lines: str) -> None:
    from metrics_store.render.text import visible

    try:
        for line in filter(None, lines):
            sys.stderr.write(visible(line) + "\n")
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)
