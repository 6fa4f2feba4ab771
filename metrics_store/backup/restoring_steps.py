"""The steps of a restore, by name, and a place to be killed at after each of them.

A test sets ``METRICS_STORE_FAILPOINT=restore.locked`` and the process ends there as by kill -9.
"""

from __future__ import annotations

import os
import signal

#: Into a file that can be opened, in its order.
IN_PLACE = (
    "copied",
    "verified",
    "fitted",
    "intended",
    "locked",
    "saved",
    "copying",
    "committed",
    "folded",
    "noted",
    "done",
)
#: Where what is there cannot be opened, or nothing is.
ASIDE = ("copied", "verified", "fitted", "linked", "cleared", "put", "done")
STEPS = tuple(dict.fromkeys((*IN_PLACE, *ASIDE)))

_VARIABLE = "METRICS_STORE_FAILPOINT"


def reached(step: str) -> None:
    """A step is done; a test may want the process to die right here."""
    if step not in STEPS:
        raise ValueError(f"a restore has no step {step}")
    if os.environ.get(_VARIABLE) == f"restore.{step}":
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
