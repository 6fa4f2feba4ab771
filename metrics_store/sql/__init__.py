"""Named queries: SQL lives in the ``.sql`` files here, one sentence above each query.

A query is found by grepping its name: ``-- name: start_invocation``. Nothing else of the package
holds DML, and DDL lives in ``migrations/`` alone.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from metrics_store.errors import InvalidQuery

_HEAD = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries(file: str) -> dict[str, str]:
    """Every named query of ``<file>.sql``."""
    text = Path(__file__).with_name(f"{file}.sql").read_text(encoding="utf-8")
    parts = _HEAD.split(text)[1:]
    return {
        name: _without_comments(body) for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


@cache
def query(name: str) -> str:
    """The query ``file.name``.

    Raises:
        InvalidQuery: there is none of that name.
    """
    file, _, short = name.partition(".")
    try:
        return queries(file)[short]
    except (KeyError, FileNotFoundError):
        raise InvalidQuery(name) from None


def _without_comments(body: str) -> str:
    lines = [line for line in body.strip().splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip().removesuffix(";")
