"""Embeddings: 384 numbers of 4 bytes (IEEE 754), the lowest byte first."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from operator import mul

from metrics_store.errors import InvalidValue

DIMENSIONS = 384
BYTES = 4 * DIMENSIONS


def as_blob(name: str, value: object) -> bytes:
    """The bytes of an embedding.

    Args:
        name: of the field.
        value: 384 finite numbers, or their bytes.

    Raises:
        InvalidValue: it is something else.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        blob = bytes(value)
        if len(blob) != BYTES:
            raise InvalidValue(f"{name} has {len(blob):,} bytes, not {BYTES:,}")
        numbers = numbers_of(blob)
    else:
        numbers = _floats(name, value)
        blob = _swapped(numbers).tobytes()
    # A number that float32 cannot hold became infinite.
    if not all(map(math.isfinite, numbers)):
        raise InvalidValue(f"{name} holds what is no finite float32 number")
    return blob


def numbers_of(blob: bytes) -> array[float]:
    """The numbers of an embedding's bytes."""
    numbers = array("f")
    numbers.frombytes(blob)
    return _swapped(numbers)


def norm(numbers: Sequence[float]) -> float:
    """The length of a vector."""
    return math.sqrt(sum(map(mul, numbers, numbers)))


def cosine(one: Sequence[float], one_norm: float, other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors, 0 where one of them is null."""
    norms = one_norm * norm(other)
    return max(-1.0, min(1.0, sum(map(mul, one, other)) / norms)) if norms else 0.0


def _floats(name: str, value: object) -> array[float]:
    if isinstance(value, str) or not hasattr(value, "__len__") or not hasattr(value, "__iter__"):
        raise InvalidValue(f"{name} is {type(value).__name__}, not {DIMENSIONS} numbers")
    if len(value) != DIMENSIONS:
        raise InvalidValue(f"{name} has {len(value):,} numbers, not {DIMENSIONS}")
    try:
        return array("f", value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"{name} holds what is no float32 number: {error}") from error


def _swapped(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
