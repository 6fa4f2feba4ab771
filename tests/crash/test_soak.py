"""A few seconds of what scripts/faults does for long: writers, readers and an operator at once."""

from __future__ import annotations

from pathlib import Path

from soak import soak


def test_a_short_soak_loses_nothing_and_stays_flat(tmp_path: Path) -> None:
    told: list[str] = []
    done = soak(0.06, 1, writers=4, readers=1, directory=tmp_path, say=told.append)
    assert done.failures == ()
    assert done.unsound == ()
    assert done.busy == 0
    assert done.commits > 10
    assert done.handle_growth <= 4
    assert done.rss_growth_mib < 64
    assert len(told) > 2
