"""What a command of the program came to."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Done(NamedTuple):
    """A command that has ended.

    Args:
        code: its exit code.
        out, err: what it wrote.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it wrote, read as JSON."""
        return json.loads(self.out)
