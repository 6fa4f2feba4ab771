"""A single bit that flips in the log is found by a deep check, wherever in it."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))

from flips import LOG, Image

from metrics_store.integrity import check_file

FLIPS = 40


@pytest.fixture
def rng() -> random.Random:
    """Chance, whose seed is shown with a failure; METRICS_TEST_SEED repeats it."""
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A closed store to flip bits of."""
    return Image(tmp_path)


def test_every_flip_in_the_log_is_found_unless_nothing_that_is_read_changes(
    image: Image, rng: random.Random
) -> None:
    outcomes = {flip: image.tried(flip) for flip in (image.of_log(rng) for _ in range(FLIPS))}
    assert all(image.owner(flip) == LOG for flip in outcomes)
    assert [it for it in outcomes.items() if it[1][0] in ("MISSED", "cannot be told")] == []
    assert sum(outcome in ("found", "not opened") for outcome, _ in outcomes.values()) > FLIPS / 3


def test_flips_anywhere_else_are_found_or_change_nothing_that_anything_else_tells(
    image: Image, rng: random.Random
) -> None:
    outcomes = {flip: image.tried(flip) for flip in (image.elsewhere(rng) for _ in range(FLIPS))}
    assert [it for it in outcomes.items() if it[1][0] == "MISSED"] == []


def test_whatever_happens_to_its_bytes_a_check_ends_with_a_report(
    made_once: Path, tmp_path: Path, rng: random.Random
) -> None:
    data = made_once.read_bytes()
    path = tmp_path / "noise.sqlite"
    for _ in range(60):
        noisy = bytearray(data)
        for _ in range(rng.choice((1, 3, 20))):
            at, length = rng.randrange(len(data)), rng.choice((1, 4, 100, 4096))
            other = rng.randrange(len(data))
            replacement = rng.choice((bytes(length), rng.randbytes(length), data[other:][:length]))
            noisy[at : at + len(replacement)] = replacement
        path.write_bytes(noisy[: rng.randrange(len(noisy))] if rng.random() < 0.1 else noisy)
        report = check_file(path, level="deep")
        assert all(finding.detail and finding.action for finding in report.findings)
