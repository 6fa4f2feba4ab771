"""Whatever is killed at whatever moment, what was acknowledged is there, once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems

from metrics_store import MetricsStore, Settings, schema
from metrics_store.clock import Clock
from metrics_store.connection import Database

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its workers are forked")

KILLS = 40
LATEST = schema.latest(schema.migrations_directory())
Work = Callable[[int, random.Random], None]


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Chance, whose seed is shown with a failure; METRICS_TEST_SEED repeats it."""
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    return random.Random(seed)


def _killed(work: Work, rng: random.Random, longest: float, *, wait: bool) -> str:
    """Fork a worker, kill it at a random moment, and return what it had acknowledged.

    Args:
        work: what it does for ever; it acknowledges by writing to the pipe it is given.
        longest: seconds until the kill, at most.
        wait: let it acknowledge something first.
    """
    receiving, sending = os.pipe()
    seed, delay = rng.random(), rng.uniform(0, longest)
    worker = os.fork()
    if worker == 0:
        try:
            os.close(receiving)
            work(sending, random.Random(seed))
        finally:
            os._exit(7)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        said = pipe.readline() if wait else b""
        time.sleep(delay)
        os.kill(worker, signal.SIGKILL)
        said += pipe.read()
    status = os.waitpid(worker, 0)[1]
    assert os.WIFSIGNALED(status), f"the worker ended by itself: {status}"
    return said.decode()


def _recording(path: str, durability: str) -> Work:
    def work(pipe: int, rng: random.Random) -> None:
        store = MetricsStore(path, durability=durability)  # type: ignore[arg-type]
        buffer = store.buffered(max_delay=0.005)
        while True:
            match rng.randrange(4):
                case 0:
                    started = store.track_invocation("tracked", "p", "s", attributes={"n": 1})
                    if rng.random() < 0.3:
                        started.heartbeat()
                    started.complete(rng.random() < 0.5, ["a"], duration_seconds=rng.random())
                    ids = [started.invocation_id]
                case 1:
                    ids = [store.record_invocation("one", workflow_path=f"p{rng.randrange(50)}")]
                case 2:
                    size = rng.randrange(1, 60)
                    batch = [{"skill_name": "batch", "duration_seconds": n} for n in range(size)]
                    ids = list(store.record_invocations(batch).ids)
                case _:
                    ids = [buffer.record_invocation("buffered") for _ in range(rng.randrange(60))]
                    buffer.flush()
            for at in range(0, len(ids), 50):  # short enough to be written whole or not at all
                os.write(pipe, "".join(f"{name}\n" for name in ids[at : at + 50]).encode())

    return work


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_what_was_acknowledged_survives_one_kill_after_the_other(
    tmp_path: Path, rng: random.Random, durability: str
) -> None:
    path = tmp_path / "m.db"
    MetricsStore(path).close()
    acknowledged: list[str] = []
    for kill in range(KILLS):
        work = _recording(str(path), durability)
        said = _killed(work, rng, 0.03, wait=rng.random() < 0.9)
        acknowledged += said.split("\n")[:-1]
        with MetricsStore(path, durability="normal") as store:
            found = {row["id"] for row in store.query("SELECT id FROM skill_invocation")}
            assert set(acknowledged) <= found
            acknowledged.append(store.record_invocation("survivor"))
        if kill % 10 == 0:
            assert problems(path) == []
    store = MetricsStore(path)
    in_flight = len(store.in_flight())
    assert len({*store.reap()}) == in_flight <= KILLS
    assert len(acknowledged) == len(set(acknowledged)) > KILLS
    totals = store.get_all_metrics()
    assert totals["survivor"].total_invocations == KILLS
    # Whole batches only: each is durations of 0, 1, 2, … and so on, from its start.
    durations = store.query(
        "SELECT duration_us / 1000000 AS s, count(*) AS n FROM skill_invocation "
        "WHERE skill_name = 'batch' GROUP BY 1 ORDER BY 1"
    )
    counts = [row["n"] for row in durations]
    assert counts == sorted(counts, reverse=True)


def test_a_first_open_that_is_killed_leaves_a_file_that_can_be_opened(
    tmp_path: Path, rng: random.Random
) -> None:
    for kill in range(25):
        path = tmp_path / f"{kill}.db"

        def work(pipe: int, _: random.Random, path: Path = path) -> None:
            os.write(pipe, b"begin\n")
            store = MetricsStore(path)
            while True:
                store.record_invocation("killed")

        for _ in range(rng.randrange(1, 3)):
            _killed(work, rng, 0.08, wait=True)
        store = MetricsStore(path, durability="normal")
        store.record_invocation("survivor")
        assert store.get_all_metrics()["survivor"].total_invocations == 1
        store.close()


def test_a_schema_change_that_is_killed_is_wholly_there_or_not_at_all(
    tmp_path: Path, rng: random.Random
) -> None:
    folder = Path(shutil.copytree(schema.migrations_directory(), tmp_path / "migrations"))
    for step in (1, 2, 3):
        number = LATEST + step
        (folder / f"{number:04d}_step.sql").write_text(
            f"CREATE TABLE step{number} (x);\n"
            f"INSERT INTO step{number} WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL "
            "SELECT i + 1 FROM n WHERE i < 30000) SELECT i FROM n;\n"
            f"CREATE INDEX step{number}_x ON step{number} (x);\n"
        )
        (folder / f"{number:04d}_step.rollback.sql").write_text(f"DROP TABLE step{number};\n")
    path = tmp_path / "m.db"
    with MetricsStore(path) as store:
        store.record_invocations({"skill_name": f"s{n % 5}"} for n in range(200))
        metrics = store.get_all_metrics()

    def work(pipe: int, _: random.Random) -> None:
        os.write(pipe, b"begin\n")
        while True:
            database = _database(path)
            schema.apply(database, folder)
            schema.roll_back(database, LATEST, folder)
            database.close()

    seen = set()
    for _ in range(25):
        _killed(work, rng, 0.25, wait=True)
        database = _database(path)
        status = schema.status(database, folder)
        seen.add(status.version)
        with database.read(check_schema=False) as connection:
            steps = connection.execute(
                "SELECT name FROM sqlite_schema WHERE name GLOB 'step*' ORDER BY name"
            ).fetchall()
        assert len(steps) == 2 * (status.version - LATEST)
        assert status.version in (LATEST, LATEST + 3)
        database.close()
        assert problems(path) == []
    database = _database(path)
    schema.apply(database, folder)
    schema.roll_back(database, LATEST, folder)
    assert MetricsStore(path).get_all_metrics() == metrics
    assert seen
    for copy in tmp_path.glob("m.db.before*"):
        copy.unlink()


def _database(path: Path) -> Database:
    return Database(Settings(path, durability="normal"), Clock())


def test_processes_that_apply_at_once_apply_once(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(schema.migrations_directory(), tmp_path / "migrations"))
    (folder / f"{LATEST + 1:04d}_more.sql").write_text("CREATE TABLE more (x);\n")
    path = tmp_path / "m.db"
    MetricsStore(path).close()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                schema.apply(_database(path), folder)
                os._exit(0)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    database = _database(path)
    assert schema.status(database, folder).version == LATEST + 1
