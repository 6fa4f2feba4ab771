"""Money, exact: whole thousand-millionths of a dollar in the store, ``Decimal`` outside."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from metrics_store.errors import InvalidValue

NANO = 1_000_000_000
#: The most that one execution may have cost: a million dollars.
MAX_NANO = 1_000_000 * NANO

Money = Decimal | int | str | float

_EXACT = Context(prec=60)
_UNIT = Decimal(1).scaleb(-9)


def nano(name: str, value: Money | None) -> int | None:
    """Whole thousand-millionths of an amount.

    A float is taken as the shortest decimal that means it, rounded half to even at the ninth
    decimal: its digits past that are none of its owner's. Any other amount has at most nine.

    Args:
        name: of the field.
        value: dollars.

    Raises:
        InvalidValue: it is no amount from 0 to a million with at most nine decimals.
    """
    if value is None:
        return None
    amount = _decimal(name, value)
    if not amount.is_finite() or not 0 <= amount <= MAX_NANO // NANO:
        raise InvalidValue(f"{name} is {value!s:.40}", hint="It is 0 to 1,000,000 dollars.")
    scaled = amount.scaleb(9, _EXACT)
    whole = scaled.to_integral_value(ROUND_HALF_EVEN, _EXACT)
    if whole != scaled and not isinstance(value, float):
        raise InvalidValue(
            f"{name} is {value!s:.40}", hint="It has at most nine decimals; round it yourself."
        )
    return int(whole)


def _decimal(name: str, value: object) -> Decimal:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue(f"{name} is {value}", hint="It is 0 to 1,000,000 dollars.")
        return Decimal(repr(float(value)))
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise InvalidValue(f"{name} is {type(value).__name__}, not an amount of money")
    if isinstance(value, str) and len(value) > 60:
        raise InvalidValue(f"{name} is {value:.40}…", hint="It is 0 to 1,000,000 dollars.")
    try:
        return Decimal(value)
    except (InvalidOperation, ValueError) as error:
        raise InvalidValue(f"{name} is {value!r:.60}, not an amount of money") from error


def dollars(amount: int | None) -> Decimal | None:
    """The exact amount of so many thousand-millionths, with no more decimals than it needs."""
    if amount is None:
        return None
    exact = Decimal(amount).scaleb(-9, _EXACT).normalize(_EXACT)
    # Not 1E+2.
    return exact if exact.as_tuple().exponent <= 0 else exact.quantize(Decimal(1), context=_EXACT)  # type: ignore[operator]


def average(total: int, n: int) -> Decimal | None:
    """A mean to the ninth decimal; None of nothing."""
    if n == 0:
        return None
    mean = _EXACT.divide(Decimal(total), Decimal(n)).to_integral_value(ROUND_HALF_EVEN, _EXACT)
    return dollars(int(mean))
