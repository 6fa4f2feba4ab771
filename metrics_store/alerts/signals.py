"""How an alert follows a value: each level has to be passed for a time, and left for a time.

Nothing here knows of the store or of the clock. What has to be remembered between two evaluations
is, for each level on whose other side the value is, since when it has been there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics_store.alerts.rules import RANKS


@dataclass(frozen=True, slots=True)
class Step:
    """What comes of one evaluation.

    Args:
        rank: of the alert from now on, 0 for none.
        since: by the rank of a level, since when the value has been on its other side.
    """

    rank: int
    since: Mapping[int, int]


def step(
    observed: int, rank: int, since: Mapping[int, int], now_us: int, for_us: int, clear_us: int
) -> Step:
    """Let an alert follow what was observed.

    Args:
        observed: rank of the gravest level that the value passes now.
        rank: of the alert so far, 0 for none.
        since: as the step before gave it; microseconds since 1970.
        now_us: microseconds since 1970; if the clock was set back, what is later began now.
        for_us: for how long a level is passed before the alert rises to it.
        clear_us: for how long it is not before the alert falls below it.
    """
    pending: dict[int, int] = {}
    rising, falling = rank, rank
    for level in RANKS.values():
        passed = observed >= level
        if passed == (rank >= level):
            continue
        began = pending[level] = min(since.get(level, now_us), now_us)
        if now_us - began < (for_us if passed else clear_us):
            continue
        if passed:
            rising = max(rising, level)
        else:
            falling = min(falling, level - 1)
    # Levels are nested: what has risen to one has risen to all below it, and has not fallen.
    after = rising if rising > rank else falling
    left = {level: us for level, us in pending.items() if (observed >= level) != (after >= level)}
    return Step(after, left)
