"""Migration files are parsed once in a process, not once a store.

yoyo splits their text anew for each database, which takes most of the time that making one takes;
a campaign makes thousands. What comes out is the same.
"""

from __future__ import annotations

from functools import cache

import sqlparse
import yoyo.migrations

from metrics_store import schema

_split = cache(lambda text: tuple(sqlparse.split(text)))


class _Parser:
    """What yoyo uses of sqlparse."""

    @staticmethod
    def split(text: str) -> list[str]:
        """The statements of a text."""
        return list(_split(text))


def parse_once() -> None:
    """Do so in this process from now on."""
    yoyo.migrations.sqlparse = _Parser
    for file in schema.migrations_directory().glob("*.sql"):
        with file.open() as text:
            _split(text.read())
