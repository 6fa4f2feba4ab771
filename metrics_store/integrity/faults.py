"""What reading a damaged database raises."""

from __future__ import annotations

from metrics_store import sqlite

ERROR, CORRUPT, NOT_A_DATABASE = 1, 11, 26
#: The second: SQLite's own words quote a name of the schema, and that need not be text any more.
#: The third: a damaged length asks for more memory than there is.
FAULTS = (sqlite.Error, UnicodeDecodeError, MemoryError)


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the database is damaged, or is none."""
    return isinstance(error, UnicodeDecodeError) or sqlite.code(error) in (CORRUPT, NOT_A_DATABASE)


def cannot_open(error: BaseException) -> bool:
    """Whether an error at the first look says that what the file begins with is damaged."""
    # SQLITE_ERROR: "unsupported file format".
    return is_damage(error) or sqlite.code(error) == ERROR


def lossless(raw: bytes) -> str:
    """A text of a database, what is no UTF-8 in it as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")
