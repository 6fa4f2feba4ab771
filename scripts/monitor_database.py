#!/usr/bin/env python3
"""Looks after a store: `metrics-store health` with the same options, from a checkout or installed.

scripts/monitor_database.py --db metrics.db --alert --fail-on error
scripts/monitor_database.py --db metrics.db --watch --interval 1
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PYTHON = _ROOT / ".venv" / "bin" / "python"
_TRIED = "METRICS_STORE_MONITOR_TRIED"


def main() -> int:
    """Run the command; in the checkout's own environment if this Python lacks what it needs."""
    if (_ROOT / "metrics_store" / "__init__.py").is_file():
        # The package beside this file, whatever is installed.
        sys.path.insert(0, str(_ROOT))
    try:
        from metrics_store.cli import application, main
    except ImportError as error:
        return _elsewhere(error)
    del application  # imported to see that all it needs is there
    return main(["health", *sys.argv[1:]])


def _elsewhere(error: ImportError) -> int:
    if _PYTHON.is_file() and _TRIED not in os.environ:
        os.environ[_TRIED] = "1"
        os.execv(_PYTHON, [str(_PYTHON), str(Path(__file__).resolve()), *sys.argv[1:]])
    sys.stderr.write(
        f"error: {error}\n"
        "hint: pip install metrics-store, or run scripts/test once in a checkout.\n"
    )
    return 3


if __name__ == "__main__":
    sys.exit(main())
