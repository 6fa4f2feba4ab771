"""The steps of each command, by name, and a place to be killed at after each of them.

A test sets ``METRICS_STORE_FAILPOINT=cutover.commit`` and the process ends there as by kill -9.
"""

from __future__ import annotations

import os
import signal

#: What each command does, in its order.
STEPS: dict[str, tuple[str, ...]] = {
    "start": ("store", "control", "mirror"),
    "backfill": ("spill", "first_pass", "second_pass"),
    "advance": ("spill", "gate", "commit", "mirror"),
    "cutover": (
        "intend",
        "spill",
        "copy",
        "sync",
        "verify",
        "backup",
        "test_restore",
        "lock",
        "sync_rest",
        "commit",
        "mirror",
        "harvest",
        "done",
    ),
    "rollback": (
        "intend",
        "spill",
        "harvest",
        "name",
        "export",
        "lock",
        "export_rest",
        "load",
        "replace",
        "commit",
        "mirror",
        "backup",
        "done",
    ),
    "back": ("commit", "mirror"),
    "cancel": ("done",),
    "harvest": ("take_in", "done"),
    "reconcile": ("spill", "take_in", "export", "replace"),
    "complete": ("gate", "archive", "commit", "mirror"),
}

_VARIABLE = "METRICS_STORE_FAILPOINT"


def names() -> tuple[str, ...]:
    """Every failpoint: ``command.step``."""
    return tuple(f"{command}.{step}" for command, steps in STEPS.items() for step in steps)


def reached(command: str, step: str) -> None:
    """A step is done; a test may want the process to die right here."""
    if step not in STEPS[command]:
        raise ValueError(f"{command} has no step {step}")
    if os.environ.get(_VARIABLE) == f"{command}.{step}":
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
