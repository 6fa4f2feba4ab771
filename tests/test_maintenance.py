"""Keeping the file in shape: space given back beside writers, statistics, the log, what it is."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems, python_path

from metrics_store import MetricsStore, maintenance, schema, sqlite
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import StoreNotWritable
from metrics_store.settings import Settings

Open = Callable[..., MetricsStore]


def grow(store: MetricsStore, pages: int = 3000) -> None:
    """Fill pages, and free them again."""

    def fill(connection: sqlite.Connection) -> None:
        connection.execute("CREATE TABLE junk (a BLOB)")
        connection.execute(
            "INSERT INTO junk WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
            "WHERE i < ?) SELECT zeroblob(4000) FROM n",
            (pages,),
        )

    store.database.write(fill)
    store.record_invocations([{"skill_name": "lint", "duration_seconds": n} for n in range(500)])
    store.database.write(lambda connection: connection.execute("DROP TABLE junk"))


def make_old(path: Path) -> None:
    """Make a store as it was before space could be given back piece by piece."""
    connection = sqlite.connect(str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    MetricsStore(path).close()
    connection = sqlite.connect(str(path))
    connection.execute("PRAGMA auto_vacuum = NONE")
    connection.execute("VACUUM")
    connection.close()


def test_free_pages_are_given_back_in_steps(store: MetricsStore) -> None:
    grow(store)
    before = store.get_all_metrics()
    done = store.vacuum()
    assert done.kind == "incremental"
    assert done.free_before > 2500
    assert done.free_after == 0
    assert done.steps > 3
    assert done.bytes_before - done.bytes_after > 10_000_000
    assert store.get_all_metrics() == before
    again = store.vacuum()
    assert (again.steps, again.bytes_before) == (0, again.bytes_after)


def test_giving_back_ends_at_its_time_and_goes_on_the_next_time(store: MetricsStore) -> None:
    grow(store)
    assert store.vacuum(seconds=0).steps == 0
    done = store.vacuum(seconds=1e-9)
    assert done.steps == 0
    assert done.free_after == done.free_before
    assert store.vacuum().free_after == 0


def test_others_write_while_space_is_given_back(store: MetricsStore) -> None:
    grow(store, 6000)
    code = """
import sys
from metrics_store import MetricsStore
with MetricsStore(sys.argv[1], durability="normal") as store:
    print("ready", flush=True)
    for n in range(200):
        store.record_invocation("other", invocation_id=f"run-{n}")
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code, store.path],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": python_path()},
    )
    assert other.stdout is not None
    other.stdout.readline()
    assert store.vacuum().free_after == 0
    other.communicate()
    assert other.returncode == 0
    metrics = store.get_skill_metrics("other")
    assert metrics is not None
    assert metrics.total_invocations == 200


def test_an_old_file_says_so_and_is_rewritten_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_old(path)
    with MetricsStore(path) as store:
        grow(store)
        size = path.stat().st_size
        assert store.vacuum().kind == "none"
        assert not store.info().gives_space_back
        done = store.vacuum(full=True)
        assert done.kind == "full"
        assert path.stat().st_size < size / 2
        assert store.info().gives_space_back
        grow(store)
        assert store.vacuum().kind == "incremental"


def test_a_process_that_has_an_old_file_open_goes_on_after_it_was_rewritten(
    tmp_path: Path,
) -> None:
    """What the other process knows of the file's layout is read anew."""
    path = tmp_path / "old.db"
    make_old(path)
    code = """
import sys
from metrics_store import MetricsStore
with MetricsStore(sys.argv[1]) as store:
    for _ in sys.stdin:
        store.record_invocations([{"skill_name": "other"}] * 400)
        print("written", flush=True)
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": python_path()},
    )
    assert other.stdin is not None
    assert other.stdout is not None

    def write() -> None:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("go\n")
        other.stdin.flush()
        assert other.stdout.readline() == "written\n"

    with MetricsStore(path) as store:
        grow(store)
        write()
        store.vacuum(full=True)
        for _ in range(3):
            write()
            grow(store, 500)
            store.vacuum()
            assert problems(path) == []
    other.communicate()
    assert other.returncode == 0


def test_statistics_are_renewed(store: MetricsStore) -> None:
    grow(store)
    assert store.analyze() >= 0
    assert store.query("SELECT count(*) AS n FROM sqlite_stat1")[0]["n"] > 0
    assert store.check().ok


def test_a_checkpoint_folds_the_log_and_empties_its_file(store: MetricsStore) -> None:
    store.record_invocations([{"skill_name": "lint", "duration_seconds": n} for n in range(300)])
    done = store.checkpoint()
    assert done.frames == done.folded > 0
    assert done.bytes_after == done.bytes_before
    store.record_invocation("lint")
    emptied = store.checkpoint(truncate=True)
    assert emptied.truncated
    assert emptied.bytes_after == 0


def test_a_checkpoint_says_what_a_reader_keeps_back(open_store: Open) -> None:
    store = open_store(busy_timeout=0.3, clock=Clock())
    store.record_invocation("lint")
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        with store.database.read():
            reading.set()
            done.wait(60)

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait(60)
    store.record_invocation("lint")
    kept = store.checkpoint(truncate=True)
    assert kept.folded < kept.frames
    assert not kept.truncated
    done.set()
    thread.join()
    assert store.checkpoint(truncate=True).truncated


def test_what_a_store_is_can_be_asked_whatever_its_schema(store: MetricsStore) -> None:
    store.record_invocation("lint")
    known = store.info()
    assert known.path == store.path
    assert (known.logs[0].table, known.logs[0].rows) == ("skill_invocation", 1)
    assert len(known.store_id) == len(known.generation) == 32
    database = store.database
    schema.roll_back(database, 1)
    old = maintenance.info(database)
    assert (old.schema_version, old.logs, old.store_id) == (1, (), "")
    schema.apply(database)


def test_two_stores_have_ids_of_their_own(tmp_path: Path) -> None:
    ids = set()
    for name in ("a.db", "b.db"):
        with MetricsStore(tmp_path / name) as store:
            ids |= {store.info().store_id, store.info().generation}
    assert len(ids) == 4


def test_a_store_opened_for_reading_alone_is_read_and_never_written(store: MetricsStore) -> None:
    store.record_invocation("lint")
    with MetricsStore(store.path, read_only=True) as reader:
        assert reader.get_summary().total_invocations == 1
        store.record_invocation("lint")
        assert reader.get_summary().total_invocations == 2
        for write in (
            lambda: reader.record_invocation("lint"),
            reader.vacuum,
            reader.analyze,
            reader.checkpoint,
            reader.reap,
        ):
            with pytest.raises(StoreNotWritable, match="reading only"):
                write()
    assert store.get_summary().total_invocations == 2


def test_slow_calls_are_noted_by_the_name_of_the_public_method(
    store: MetricsStore, caplog: pytest.LogCaptureFixture
) -> None:
    clock = store.database.clock
    store.database.write(lambda connection: clock.sleep(1.5))
    store.record_invocation("lint")
    [noted] = store.query("SELECT * FROM slow_call")
    assert noted["duration_us"] == 1_500_000
    assert noted["waited_us"] == 0
    assert "took 1.500 s" in caplog.text

    def slow(connection: sqlite.Connection) -> None:
        clock.sleep(2)

    store.record_rows([], also=slow)
    names = [row["name"] for row in store.query("SELECT name FROM slow_call ORDER BY id")]
    assert names[1] == "MetricsStore.record_rows"


def test_slow_calls_do_not_grow_without_end(open_store: Open) -> None:
    store = open_store()
    for _ in range(1100):
        store.database.write(lambda connection: store.database.clock.sleep(1))
    assert store.query("SELECT count(*) AS n FROM slow_call")[0]["n"] <= 1000


def test_waiting_for_the_lock_is_told_apart(
    open_store: Open, hold_lock: Callable[[str], Callable[[], None]]
) -> None:
    settings = Settings(Path(open_store().path), slow_ms=200)
    with MetricsStore(settings=settings) as store:
        let_go = hold_lock(store.path)
        timer = threading.Timer(0.4, let_go)
        timer.start()
        store.record_invocation("lint")
        timer.join()
    with Database(settings, Clock()).read(check_schema=False) as connection:
        [(duration, waited)] = connection.execute("SELECT duration_us, waited_us FROM slow_call")
    assert 200_000 < waited <= duration
