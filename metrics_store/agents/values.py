"""What callers say of agents, checked and in the units that are stored."""

from __future__ import annotations

from collections.abc import Collection

from metrics_store import clock, rows
from metrics_store.errors import InvalidValue
from metrics_store.rows import Moment

#: Thousandths and millionths: what a number is multiplied by to be stored whole.
MILLI = 1000
MICRO = 1_000_000
#: Largest number that is stored of anything.
MOST = 1_000_000_000_000
#: Longest commit message, in characters.
MAX_MESSAGE = 1_000_000


def scaled(name: str, value: float | None, by: int, most: float) -> int | None:
    """A number as a whole one of its thousandths or millionths.

    Args:
        by: how many of them make one.
        most: the largest that is believed.

    Raises:
        InvalidValue: it is negative, not finite, too large or no number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} is {type(value).__name__}, not a number")
    if not 0 <= value <= most:  # NaN neither
        raise InvalidValue(f"{name} is {value!s:.40}", hint=f"It is 0 to {most:,}.")
    return round(value * by)


def percent(name: str, value: float | None) -> int | None:
    """Thousandths of a percent of 0 to 100 percent."""
    return scaled(name, value, MILLI, 100)


def count(name: str, value: int | None) -> int | None:
    """A count.

    Raises:
        InvalidValue: it is no whole number of 0 or more.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(f"{name} is {type(value).__name__}, not a whole number")
    if not 0 <= value <= MOST:
        raise InvalidValue(f"{name} is {value!s:.40}", hint=f"It is 0 to {MOST:,}.")
    return int(value)


def one_of(name: str, value: str, allowed: Collection[str]) -> str:
    """One of a few words.

    Raises:
        InvalidValue: it is another one.
    """
    if value not in allowed:
        *others, last = allowed
        raise InvalidValue(f"{name} is {value!r:.80}", hint=f"It is {', '.join(others)} or {last}.")
    return str.__str__(value)


def moment(name: str, value: Moment, default: int | None = None) -> str | None:
    """A moment as UTC text; by default the one given in microseconds since 1970, or None.

    Raises:
        InvalidValue: it is none.
    """
    if value is None:
        return None if default is None else clock.text(default)
    return clock.text(rows.moment_us(name, value))


def message(value: object) -> str:
    """A commit's message, which may be empty and long.

    Raises:
        InvalidValue: it cannot be stored.
    """
    if not isinstance(value, str):
        raise InvalidValue(f"message is {type(value).__name__}, not text")
    if len(value) > MAX_MESSAGE:
        raise InvalidValue(
            f"message has {len(value):,} characters", hint=f"At most {MAX_MESSAGE:,}."
        )
    # Its characters alone: the object it would stand in has a limit of its own.
    rows.object_text("message", {"": value})
    return str.__str__(value)


def json_text(name: str, value: object) -> str | None:
    """Any value that JSON can hold, as JSON; None stays None.

    Raises:
        InvalidValue: JSON cannot hold it.
    """
    if value is None:
        return None
    # Checked as the only member of an object: {"":...}
    text = rows.object_text(name, {"": value})
    assert text is not None
    return text[4:-1]
