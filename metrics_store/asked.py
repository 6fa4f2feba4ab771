"""What readers ask for: texts to look for, and how many of what; checked in one way."""

from __future__ import annotations

from collections.abc import Sequence

from metrics_store.errors import InvalidQuery

#: No store has as many rows: a limit past it is this one.
MANY = 1 << 31


def text(name: str, value: object) -> str | bytes:
    """A text to look for.

    Half a character is in no store, and SQLite cannot be asked for one. A text that has it stands
    for itself as bytes: no text is equal to those, so that a query finds nothing.

    Args:
        name: what errors call it.

    Raises:
        InvalidQuery: it is no text.
    """
    if not isinstance(value, str):
        raise InvalidQuery(f"{name} is {type(value).__name__}, not text")
    if value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value):
        return value
    return value.encode("utf-8", "surrogatepass")


def text_or_none(name: str, value: object) -> str | bytes | None:
    """A text to look for, or None, which means any; see :func:`text`."""
    return None if value is None else text(name, value)


def count(name: str, value: object, most: int | None = None) -> int:
    """How many of something.

    Args:
        name: what errors call it.
        most: more are refused; by default more than :data:`MANY` are as many.

    Raises:
        InvalidQuery: it is no whole number from 1 on.
    """
    # type(), for True is an int too.
    if type(value) is not int or value < 1 or (most is not None and value > most):
        upto = ", 1 or more" if most is None else f", 1 to {most:,}"
        raise InvalidQuery(f"{name} {value!r:.60}", hint=f"It is a whole number{upto}.")
    return min(value, MANY)


def count_or_all(name: str, value: object) -> int:
    """How many of something; None means all."""
    return MANY if value is None else count(name, value)


def seconds_or_ever(name: str, value: object) -> float | None:
    """For how long something may go on; None is as long as it takes.

    Raises:
        InvalidQuery: it is no number from 0 on.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise InvalidQuery(f"{name} {value!r:.60}", hint="It is a number of seconds.")
    return float(min(value, MANY))


def word(name: str, value: object, known: Sequence[str]) -> str:
    """One of the words there are.

    Raises:
        InvalidQuery: it is none of them.
    """
    if not isinstance(value, str) or value not in known:
        raise InvalidQuery(f"{name} {value!r:.60}", hint=f"It is {', '.join(known)}.")
    return value


def flag(name: str, value: object) -> int | None:
    """True or false as the store has it, 1 or 0; None means either.

    Raises:
        InvalidQuery: it is something else.
    """
    if value not in (None, True, False):
        raise InvalidQuery(f"{name} {value!r:.60}", hint="It is true or false.")
    return None if value is None else int(bool(value))
