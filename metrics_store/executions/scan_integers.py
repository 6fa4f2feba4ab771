"""Scanning embeddings with nothing but Python: long integers do it for all of them at once.

Each of the 384 dimensions is one long integer, in which every embedding has 48 bits of its own for
its number in that dimension, made a whole number from 0 on. A long integer times the wanted
vector's whole number is then the products of all embeddings; the sum of the 384 has every scalar
product beside each other, for none reaches 2**48.
"""

from __future__ import annotations

import heapq
import sys
from array import array
from collections.abc import Sequence

from metrics_store.executions.vectors import DIMENSIONS, cosine, norm, numbers_of

#: Bytes that an embedding has in the long integer of a dimension.
_WIDTH = 6
#: An embedding of length 1 has numbers from -1 to 1; they become 0 to twice as much as that.
_HALF = (1 << 16) - 1
#: The same of the vector that is wanted; below 2**30 a product takes one pass of the long integer.
_FINE = (1 << 20) - 1
assert DIMENSIONS * (2 * _HALF + 1) * (2 * _FINE + 1) < 1 << 8 * _WIDTH
#: How far a product may be from the true cosine: half a step in each of both vectors' numbers,
#: which are at most sqrt(384) in all, and half a step in both at once.
_NEAR = DIMENSIONS**0.5 * (0.5 / _HALF + 0.5 / _FINE) + DIMENSIONS * 0.25 / _HALF / _FINE
_WORD = next(code for code in "IL" if array(code).itemsize == 4)


class IntegerScan:
    """Embeddings of length 1 as a long integer for each dimension.

    To make those takes longer than one search without them, so the first one goes without: a
    command that searches once never makes them.
    """

    def __init__(self) -> None:
        self._columns = [0] * DIMENSIONS
        self._sums: list[int] = []
        self._waiting: list[bytes] = []
        self._is_first = True

    def add(self, blobs: Sequence[bytes]) -> None:
        """Take more of them in."""
        self._waiting += blobs

    def candidates(self, wanted: Sequence[float], k: int, among: Sequence[int] | None) -> list[int]:
        """Places among which the nearest ``k`` surely are."""
        if self._is_first:
            self._is_first = False
            return self._nearest_one_by_one(wanted, k, among)
        if self._waiting:
            self._take_in()
        places: Sequence[int] = range(len(self._sums)) if among is None else among
        if len(places) <= k:
            return list(places)
        scale = _FINE / (norm(wanted) or 1.0)
        numbers = [int(number * scale + (_FINE + 0.5)) for number in wanted]
        products = 0
        for number, column in zip(numbers, self._columns, strict=True):
            products += number * column
        # (a - h)(b - f) = ab - f a - h b + h f; the last two are the same for all.
        scores = [
            product - _FINE * total
            for product, total in zip(_unpacked(products, len(self._sums)), self._sums, strict=True)
        ]
        of_these = scores if among is None else [scores[place] for place in among]
        least = heapq.nlargest(k, of_these)[-1] - int(2 * _NEAR * _HALF * _FINE) - 1
        return [place for place, score in zip(places, of_these, strict=True) if score >= least]

    def _nearest_one_by_one(
        self, wanted: Sequence[float], k: int, among: Sequence[int] | None
    ) -> list[int]:
        """The nearest by their full cosines; of the same cosine, the first."""
        length = norm(wanted)
        places: Sequence[int] = range(len(self._waiting)) if among is None else among
        cosines = (
            (cosine(wanted, length, numbers_of(self._waiting[place]).tolist()), -place)
            for place in places
        )
        return [-place for _, place in heapq.nlargest(k, cosines)]

    def _take_in(self) -> None:
        """Make what was added a part of the long integers."""
        rows = []
        shift = 8 * _WIDTH * len(self._sums)
        for blob in self._waiting:
            numbers = numbers_of(blob).tolist()
            scale = _HALF / (norm(numbers) or 1.0)
            row = array(_WORD, [int(number * scale + (_HALF + 0.5)) for number in numbers])
            self._sums.append(sum(row))
            rows.append(row)
        for at, column in enumerate(zip(*rows, strict=True)):
            self._columns[at] |= _packed(column) << shift
        self._waiting = []


def _packed(column: Sequence[int]) -> int:
    """Numbers below 2**32 side by side in one."""
    words = array(_WORD, column)
    if sys.byteorder == "big":
        words.byteswap()
    narrow, wide = words.tobytes(), bytearray(_WIDTH * len(words))
    for at in range(4):
        wide[at::_WIDTH] = narrow[at::4]
    return int.from_bytes(wide, "little")


def _unpacked(products: int, n: int) -> array[int]:
    """The numbers that stand side by side in one."""
    narrow, wide = products.to_bytes(_WIDTH * n, "little"), bytearray(8 * n)
    for at in range(_WIDTH):
        wide[at::8] = narrow[at::_WIDTH]
    words = array("Q")
    words.frombytes(wide)
    if sys.byteorder == "big":
        words.byteswap()
    return words
