"""The files of a killed process, damaged: it is noticed and named, and never served as whole."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from damaged_images import DAMAGES, FRAME, WAL_HEADER, Damage, content, make_image, tried

from metrics_store import MetricsStore
from metrics_store.errors import LogLost
from metrics_store.integrity.checking import check_file

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the images' makers are forked")


@pytest.fixture
def seed() -> int:
    """Decides what is damaged, the same each time; METRICS_TEST_SEED gives another."""
    seed = int(os.environ.get("METRICS_TEST_SEED", "1"))
    print(f"METRICS_TEST_SEED={seed}")
    return seed


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_a_damaged_image_is_noticed_and_named(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    damage: Damage,
    damaged: Callable[[Path], None],
) -> None:
    # Not in the test's own folder, where every store has to be sound afterwards.
    folder = tmp_path_factory.mktemp("damaged")
    for n in range(2):
        image = make_image(folder / f"image {n}", random.Random(f"{seed} {n}"))
        for m in range(2):
            damaged(folder / f"{n} {m}" / image.name)
            line = tried(image, damage, f"{seed} {n} {m}", folder / f"{n} {m}")
            assert line.fine, "\n".join(line.wrong)


def test_an_image_as_it_is_is_whole(tmp_path: Path, seed: int) -> None:
    image = make_image(tmp_path / "image", random.Random(seed))
    before = content(image)
    report = check_file(image, level="deep")
    assert report.findings == ()
    assert content(image) == before
    with MetricsStore(image) as store:
        assert store.get_summary().total_invocations == report.rows
    assert content(image) == before


def test_the_content_tells_one_altered_value(
    tmp_path: Path, seed: int, damaged: Callable[[Path], None]
) -> None:
    image = make_image(tmp_path / "image", random.Random(seed))
    damaged(image)
    before = content(image)
    with MetricsStore(image) as store:
        store.database.write(
            lambda connection: connection.execute("UPDATE store_property SET value = 'x'")
        )
    assert content(image) != before


def test_a_lost_log_is_refused_until_the_loss_is_accepted(tmp_path: Path, seed: int) -> None:
    image = make_image(tmp_path / "image", random.Random(seed))
    image.with_name("m.db-wal").unlink()
    for _ in range(2):
        with pytest.raises(LogLost) as caught:
            MetricsStore(image)
        assert "check" in (caught.value.hint or "")


def test_an_index_of_an_earlier_boot_is_not_believed(tmp_path: Path, seed: int) -> None:
    # What a power cut leaves in NORMAL: an index that knows of frames that were never written.
    image = make_image(tmp_path / "image", random.Random(seed))
    os.utime(image.with_name("m.db-shm"), (1, 1))
    os.truncate(image.with_name("m.db-wal"), WAL_HEADER + FRAME)
    assert check_file(image, level="deep").errors == ()
    with MetricsStore(image) as store:
        store.record_invocation("after")
