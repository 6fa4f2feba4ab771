"""Percentiles from log-spaced duration buckets (DDSketch, Masson, Rim and Lee, VLDB 2019).

Bucket bounds are whole microseconds, each at most 2 % above the one before, so that the middle of a
bucket is within 1 % of anything in it. Migration 0001 fills ``bucket_bound`` by the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

_LIMIT = 1_000_000_000_000_000


def _bounds() -> tuple[int, ...]:
    bounds = [0]
    while bounds[-1] < _LIMIT:
        bounds.append(max(bounds[-1] + 1, bounds[-1] * 51 // 50))
    return tuple(bounds)


#: Lower bound of each bucket, in microseconds.
BOUNDS = _bounds()


def representative_us(bucket: int) -> float:
    """The duration that stands for a bucket, in microseconds: within 1 % of all that fall in it.

    2ab/(a+b) for a bucket from a to b, where the relative error at both ends is the same.
    """
    low = BOUNDS[bucket]
    high = BOUNDS[bucket + 1] - 1 if bucket + 1 < len(BOUNDS) else low
    return 2.0 * low * high / (low + high) if low else 0.0


def rank(quantile: float, n: int) -> int:
    """The nearest rank, from 1 to n, of a quantile from 0 to 1."""
    return min(n, max(1, ceil(quantile * n)))


def locate(counts: Sequence[tuple[int, int]], wanted: int) -> tuple[int, int]:
    """Where the value of a rank lies.

    Args:
        counts: pairs of bucket and count, in the order of buckets.
        wanted: the rank, from 1 on.

    Returns:
        The bucket, and the rank within it.
    """
    for bucket, n in counts:
        if wanted <= n:
            return bucket, wanted
        wanted -= n
    raise ValueError("the rank is past the end of the counts")


def estimate_us(
    counts: Sequence[tuple[int, int]], quantile: float, least: int | None, most: int | None
) -> float | None:
    """A percentile from bucket counts, in microseconds; None if there are none.

    Args:
        counts: pairs of bucket and count, in the order of buckets.
        quantile: 0 to 1.
        least, most: the exact extremes, in microseconds; the estimate never leaves them.
    """
    n = sum(count for _, count in counts)
    if n == 0:
        return None
    bucket, _ = locate(counts, rank(quantile, n))
    return clamped(representative_us(bucket), least, most)


def clamped(us: float, least: int | None, most: int | None) -> float:
    """An estimate kept within the exact extremes."""
    if least is not None:
        us = max(us, least)
    return us if most is None else min(us, most)
