"""The power goes at any moment: what was synced is there, and of the rest anything that may be.

Whole days, at every moment of theirs, are tried by ``scripts/faults --only power``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_client import Server, engines, swift_folder
from power_cuts import Plan, tried
from recorded_work import Event
from unsynced import Disk

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its writers are forked")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Writes on a disk that keeps a record."""
    with swift_folder("power") as folder:
        for engine in engines():
            try:
                server = Server(folder, engine)
            except LookupError:
                continue
            with server:
                yield server
            return
    pytest.skip("no SQLite here tells where its VFS is, and apsw is missing")


@pytest.fixture
def place() -> Iterator[Path]:
    """Where images are made, and looked at."""
    with swift_folder("power") as folder:
        yield folder


@pytest.fixture
def seed() -> int:
    """Decides what is done and tried, the same each time; METRICS_TEST_SEED gives another."""
    seed = int(os.environ.get("METRICS_TEST_SEED", "1"))
    print(f"METRICS_TEST_SEED={seed}")
    return seed


@pytest.mark.parametrize(
    "plan",
    [
        Plan("full", steps=18, stride=41, each=False),
        Plan("normal", steps=18, stride=41, each=False),
        Plan("full", old=True, steps=6, stride=41, each=False),
    ],
    ids=str,
)
def test_a_power_cut_at_any_moment(server: Server, place: Path, seed: int, plan: Plan) -> None:
    line = tried(server, place, seed, plan)
    assert line.fine, "\n".join(line.wrong)
    assert line.cases > 20


def test_a_sync_that_failed_costs_nothing_that_was_acknowledged(
    server: Server, place: Path, seed: int
) -> None:
    line = tried(server, place, seed, Plan("full", failing=0.4, steps=18, stride=41, each=False))
    assert line.fine, "\n".join(line.wrong)


def test_the_images_tell_full_from_normal(server: Server, place: Path) -> None:
    # That FULL keeps everything means something only if the same images take from NORMAL.
    line = tried(server, place, 5, Plan("normal", steps=9, stride=41, each=False, must_keep=True))
    assert line.lost > 0


def test_a_day_with_failing_syncs_has_some(server: Server, place: Path) -> None:
    line = tried(server, place, 5, Plan("full", failing=1.0, steps=9, stride=1000, each=False))
    assert not line.what.endswith(" 0 failed")


# What a disk may have, by itself ----------------------------------------------------------------


def _disk(*events: Event) -> Disk:
    disk = Disk()
    for event in events:
        disk.do(event)
    return disk


def _write(offset: int, data: bytes, name: str = "a") -> Event:
    return Event("write", name, offset, data)


MADE = (Event("open", "a", 1), _write(0, b"x" * 1024), Event("sync", "a"))


def test_what_was_synced_is_there_and_what_was_not_may_be() -> None:
    disk = _disk(*MADE, _write(1024, b"y" * 1024))
    assert disk.least() == {"a": b"x" * 1024}
    assert disk.most() == {"a": b"x" * 1024 + b"y" * 1024}
    images = {disk.some(random.Random(n))["a"] for n in range(200)}
    assert b"x" * 1024 in images
    assert b"x" * 1024 + b"\0" * 512 + b"y" * 512 in images, "the second half only"
    assert b"x" * 1024 + b"y" * 512 in images, "the first half only"
    assert disk.without_one(random.Random(1)) == {"a": b"x" * 1024}


def test_a_sector_is_old_or_new() -> None:
    disk = _disk(*MADE, _write(100, b"z" * 600))
    whole = {b"x" * 512, b"x" * 100 + b"z" * 412, b"z" * 188 + b"x" * 324}
    for n in range(100):
        image = disk.some(random.Random(n))["a"]
        assert {image[:512], image[512:]} <= whole


def test_a_truncation_may_be_lost_and_may_come_before_what_preceded_it() -> None:
    disk = _disk(*MADE, _write(0, b"n" * 512), Event("truncate", "a", 512))
    images = {disk.some(random.Random(n))["a"] for n in range(200)}
    assert {b"x" * 1024, b"x" * 512, b"n" * 512, b"n" * 512 + b"x" * 512} <= images


def test_a_name_lasts_with_the_first_sync_of_its_file() -> None:
    disk = _disk(Event("open", "a", 1), _write(0, b"1"))
    assert disk.least() == {}
    disk.do(Event("sync", "a"))
    assert disk.least() == {"a": b"1"}
    for event in (Event("open", "b", 1), Event("delete", "a")):
        disk.do(event)
    assert disk.least() == {"a": b"1"}, "neither is certain"
    assert disk.most() == {"b": b""}
    images = [disk.some(random.Random(n)) for n in range(50)]
    assert {"a": b"1"} in images
    assert {"a": b"1", "b": b""} in images
    assert {"b": b""} in images
    assert {} not in images, "names last in their order"
    disk.do(Event("sync", "b"))
    assert disk.least() == {"b": b""}, "a new file's sync writes the journal, all names before too"


def test_a_deletion_that_reaches_the_directory_is_certain() -> None:
    assert _disk(*MADE, Event("delete", "a", 1)).least() == {}


def test_what_a_failed_sync_dropped_is_read_but_never_written() -> None:
    disk = _disk(*MADE, _write(1024, b"y" * 512), Event("sync failed", "a"))
    disk.do(_write(1536, b"z" * 512))
    disk.do(Event("sync", "a"))
    assert disk.least() == {"a": b"x" * 1024 + b"\0" * 512 + b"z" * 512}
