"""The errors of the DB-API, as pysqlite3 has them, and what apsw's are called among them."""

from __future__ import annotations

import apsw


class Warning(Exception):
    """As the DB-API has it."""


class Error(Exception):
    """Has the extended result code and its name."""

    sqlite_errorcode: int
    sqlite_errorname: str


class InterfaceError(Error):
    """The binding was used wrongly."""


class DatabaseError(Error):
    """The database is at fault."""


class OperationalError(DatabaseError):
    """Its surroundings are."""


class IntegrityError(DatabaseError):
    """A constraint is."""


class InternalError(DatabaseError):
    """SQLite is."""


class DataError(DatabaseError):
    """The data is."""


class NotSupportedError(DatabaseError):
    """It cannot do that."""


class ProgrammingError(DatabaseError):
    """It was asked wrongly."""


#: Primary result code to class, as pysqlite3 has it; all others are a DatabaseError.
_CLASSES: dict[int, type[Error]] = {
    **dict.fromkeys((2, 12), InternalError),
    **dict.fromkeys((1, 3, 4, 5, 6, 8, 9, 10, 13, 14, 15, 16, 17), OperationalError),
    **dict.fromkeys((19, 20), IntegrityError),
    **dict.fromkeys((21, 25), InterfaceError),
    18: DataError,
}


def translated(error: apsw.Error) -> Exception:
    """The error that pysqlite3 would have raised."""
    code = int(getattr(error, "extendedresult", 0) or getattr(error, "result", 0))
    if code & 0xFF == 7:
        return MemoryError()
    if isinstance(error, (apsw.ConnectionClosedError, apsw.CursorClosedError)):
        return ProgrammingError("Cannot operate on a closed database.")
    if isinstance(error, apsw.BindingsError):
        return ProgrammingError(str(error))
    same = _CLASSES.get(code & 0xFF, DatabaseError)(str(error))
    same.sqlite_errorcode = code
    names = {**apsw.mapping_result_codes, **apsw.mapping_extended_result_codes}
    same.sqlite_errorname = str(names.get(code, code))
    return same
