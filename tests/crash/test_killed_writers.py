"""Three writers, killed at random moments; by the thousand with ``scripts/faults --only kills``."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from killed_writers import WRITERS, Crew, work

from metrics_store import MetricsStore
from metrics_store.settings import Durability

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its writers are forked")

ROUNDS = 26


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_three_writers_killed_at_random_moments_lose_and_double_nothing(
    tmp_path: Path, durability: Durability
) -> None:
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    rng = random.Random(seed)
    crew = Crew(tmp_path / "m.db", durability)
    for _ in range(ROUNDS):
        line = crew.round(rng, rng.choice((0.01, 0.03, 0.1)))
        assert line.fine, "\n".join([line.what, *line.wrong])
    assert crew.kills == WRITERS * ROUNDS
    assert len(crew.kept) > ROUNDS


def test_a_round_notices_what_is_lost(tmp_path: Path) -> None:
    crew = Crew(tmp_path / "m.db", "normal")
    assert crew.round(random.Random(1), 0.0).fine
    crew.kept.add("never")
    line = crew.round(random.Random(2), 0.0)
    assert (line.lost, line.fine) == (1, False)
    with MetricsStore(crew.path) as store:
        store.record_invocation("half", invocation_id="batch 0 1 2 0")
    assert any("1 of 2 of batch" in wrong for wrong in crew.round(random.Random(3), 0.0).wrong)


def test_a_writer_writes_in_every_way(tmp_path: Path) -> None:
    path, note = tmp_path / "m.db", tmp_path / "said"
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            work(path, "me", "normal", os.open(note, os.O_CREAT | os.O_WRONLY), random.Random(3))
        finally:
            os._exit(7)
    ways = {"one", "batch", "buffered", "tracked"}
    while not ways <= _ways(path, note):
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def _ways(path: Path, note: Path) -> set[str]:
    if not note.exists() or not note.read_bytes():
        return set()
    with MetricsStore(path) as store:
        return set(store.get_all_metrics())
