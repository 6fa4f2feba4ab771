"""One writer behind a lock, one reader per thread, and checkpoints of our own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from metrics_store import MetricsStore, Settings, pragmas, sqlite
from metrics_store.errors import CorruptStore, StoreBusy, StoreClosed

Open = Callable[..., MetricsStore]
Hold = Callable[[object], Callable[[], None]]


def _pragma(connection: sqlite.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_the_writer_has_its_pragmas(open_store: Open, durability: str, level: int) -> None:
    store = open_store(durability=durability)

    def look(connection: sqlite.Connection) -> dict[str, object]:
        names = (
            "journal_mode synchronous foreign_keys trusted_schema cell_size_check mmap_size "
            "wal_autocheckpoint recursive_triggers application_id busy_timeout"
        )
        return {name: _pragma(connection, name) for name in names.split()}

    for _ in range(2):
        assert store.database.write(look) == {
            "journal_mode": "wal",
            "synchronous": level,
            "foreign_keys": 1,
            "trusted_schema": 0 if sqlite.json_works_untrusted() else 1,
            "cell_size_check": 1,
            "mmap_size": 0,
            "wal_autocheckpoint": 0,
            "recursive_triggers": 1,
            "application_id": pragmas.APPLICATION_ID,
            "busy_timeout": 0,
        }
        store.track_invocation("deploy")  # a start relaxes synchronous, and must put it back


def test_a_reader_cannot_write(store: MetricsStore) -> None:
    with store.database.read() as connection:
        assert _pragma(connection, "query_only") == 1
        with pytest.raises(sqlite.OperationalError, match="readonly"):
            connection.execute("DELETE FROM skill_inflight")


def test_each_thread_has_a_reader_of_its_own_and_nested_reads_share_it(store: MetricsStore) -> None:
    seen: list[int] = []

    def look() -> None:
        with store.database.read() as outer, store.database.read() as inner:
            assert inner is outer
            seen.append(id(outer))
            barrier.wait()

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4


def test_a_read_is_one_view_however_long_it_takes(store: MetricsStore) -> None:
    with store.database.read():
        assert store.get_summary().total_invocations == 0
        writer = threading.Thread(target=lambda: store.record_invocation("deploy"))
        writer.start()
        writer.join()
        assert store.get_summary().total_invocations == 0
        assert store.get_all_metrics() == {}
    assert store.get_summary().total_invocations == 1


def test_a_failing_transaction_leaves_nothing(store: MetricsStore) -> None:
    def work(connection: sqlite.Connection) -> None:
        connection.execute("INSERT INTO store_property VALUES ('a', 'b')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.database.write(work)
    assert store.query("SELECT * FROM store_property WHERE name = 'a'") == []
    store.record_invocation("deploy")


@pytest.mark.parametrize(
    "error",
    [IndexError("7"), KeyError("7"), ValueError("noon"), OverflowError("7"), TypeError("None")],
    ids=lambda error: type(error).__name__,
)
def test_what_makes_no_sense_of_the_store_is_damage_and_leaves_nothing(
    store: MetricsStore, error: Exception
) -> None:
    def work(connection: sqlite.Connection) -> None:
        connection.execute("INSERT INTO store_property VALUES ('a', 'b')")
        raise error

    with pytest.raises(CorruptStore, match="makes no sense") as written:
        store.database.write(work)
    assert "check --deep" in written.value.hint
    assert written.value.__cause__ is error
    with pytest.raises(CorruptStore, match="makes no sense"), store.database.read():
        raise error
    assert store.query("SELECT * FROM store_property WHERE name = 'a'") == []


@pytest.mark.parametrize("said", ['{"x"', '[{"name": "x"}]', "[1]"])
def test_a_row_that_makes_no_sense_is_damage_wherever_it_is_read(
    store: MetricsStore, damaged: Callable[[object], None], said: str
) -> None:
    store.record_snapshot({"files_indexed": 1, "projects": {"x": {"files": 1}}})
    damaged(store.path)

    def work(connection: sqlite.Connection) -> None:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?"
        for (name,) in connection.execute(triggers, ("status_snapshots",)).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE status_snapshots SET projects = ?", (said,))

    store.database.write(work)
    for read in (store.snapshots, store.snapshot):
        with pytest.raises(CorruptStore, match="makes no sense"):
            read()


def test_a_locked_database_is_an_error_at_the_time_limit(open_store: Open, hold_lock: Hold) -> None:
    store = MetricsStore(open_store().path, busy_timeout=0.5)
    open_invocation = store.track_invocation("deploy")
    let_go = hold_lock(store.path)
    for write in (
        lambda: store.record_invocation("deploy"),
        lambda: store.record_invocations([{"skill_name": "deploy"}]),
        lambda: store.track_invocation("deploy"),
        open_invocation.complete,
        open_invocation.heartbeat,
        store.reap,
    ):
        started = time.monotonic()
        with pytest.raises(StoreBusy) as caught:
            write()
        # 100 ms are the goal; the rest is for a machine that has other things to do.
        assert 0.5 <= time.monotonic() - started < 0.5 + 1.0
        assert "waited 0.5 s" in str(caught.value)
        assert caught.value.hint
    assert store.get_skill_metrics("deploy").in_flight == 1  # type: ignore[union-attr]
    let_go()
    open_invocation.complete()
    assert store.get_summary().total_invocations == 1


def test_threads_that_wait_together_all_keep_the_time_limit(
    open_store: Open, hold_lock: Hold
) -> None:
    store = MetricsStore(open_store().path, busy_timeout=0.5)
    hold_lock(store.path)
    waits: list[float] = []

    def write() -> None:
        started = time.monotonic()
        with pytest.raises(StoreBusy):
            store.record_invocation("deploy")
        waits.append(time.monotonic() - started)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 8
    assert max(waits) < 0.5 + 1.5  # one after the other they would need 4 s


def test_a_lock_that_is_let_go_in_time_is_had(open_store: Open, hold_lock: Hold) -> None:
    store = MetricsStore(open_store().path, busy_timeout=60)
    let_go = hold_lock(store.path)
    waiting = threading.Thread(target=lambda: store.record_invocation("deploy"))
    waiting.start()
    let_go()
    waiting.join()
    assert store.get_summary().total_invocations == 1


def test_the_wal_is_folded_back_when_it_has_grown(open_store: Open) -> None:
    limit = 1 << 20
    settings = Settings(Path(open_store().path), durability="normal", checkpoint_mb=1)
    store = MetricsStore(settings=settings)
    batch = [{"skill_name": f"s{n}", "attributes": {"x": "y" * 4000}} for n in range(20)]
    for _ in range(200):  # some 16 MiB
        store.record_invocations(batch)
    assert os.path.getsize(store.path) > 10 * limit
    assert os.path.getsize(store.path + "-wal") < 5 * limit


def test_a_checkpoint_comes_once_per_grown_wal_not_at_every_look(open_store: Open) -> None:
    settings = Settings(Path(open_store().path), durability="normal", checkpoint_mb=1)
    store = MetricsStore(settings=settings)
    begun_anew: list[int] = []
    before = _checkpoints(store.path)
    for commit in range(2000):
        store.record_invocation("deploy")
        if (now := _checkpoints(store.path)) != before:
            begun_anew.append(commit)
            before = now
    assert len(begun_anew) > 4
    gaps = [later - earlier for earlier, later in pairwise(begun_anew)]
    assert max(gaps) <= 3 * min(gaps)
    assert min(gaps) > 40  # a commit of one record puts less than 6 pages into the WAL
    assert os.path.getsize(store.path + "-wal") < 3 << 20


def _checkpoints(path: str) -> int:
    """How often the WAL was begun anew: a number in its header (sqlite.org/fileformat2.html)."""
    with open(path + "-wal", "rb") as file:
        return int.from_bytes(file.read(16)[12:16])


def test_a_reader_does_not_keep_the_wal_from_being_written(open_store: Open) -> None:
    settings = Settings(Path(open_store().path), durability="normal", checkpoint_mb=0.1)
    store = MetricsStore(settings=settings)
    with store.database.read():
        before = store.get_summary()
        writer = threading.Thread(
            target=lambda: [store.record_invocation("deploy") for _ in range(300)]
        )
        writer.start()
        writer.join()
        assert store.get_summary() == before
    assert store.get_summary().total_invocations == 300


def test_a_checkpoint_that_cannot_be_had_is_no_error_of_the_record(
    open_store: Open, python: Callable[..., object]
) -> None:
    path = open_store().path
    python(
        """
import resource, sys
from pathlib import Path
from metrics_store import MetricsStore, Settings
settings = Settings(Path(sys.argv[1]), durability="normal", checkpoint_mb=0.1)
store = MetricsStore(settings=settings)
store.record_invocation("deploy")
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no file can be opened any more
for _ in range(100):
    store.record_invocation("deploy")
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
assert store.get_summary().total_invocations == 101
""",
        path,
    )


def test_a_closed_store_says_so_and_closing_twice_does_nothing(store: MetricsStore) -> None:
    open_invocation = store.track_invocation("deploy")
    store.close()
    store.close()
    assert store.database.closed
    for use in (
        lambda: store.record_invocation("deploy"),
        lambda: store.track_invocation("deploy"),
        open_invocation.complete,
        store.get_summary,
        lambda: store.query("SELECT 1"),
        store.reap,
    ):
        with pytest.raises(StoreClosed):
            use()
    assert not os.path.exists(store.path + "-wal")


def test_closing_while_other_threads_read_and_write_ends_them_with_an_error_only(
    open_store: Open, python: Callable[..., object]
) -> None:
    path = open_store().path
    python(  # in a process of its own: a crash of the library would take the tests with it
        """
import sys, threading
from metrics_store import MetricsStore
from metrics_store.errors import StoreClosed
unexpected = []
def until_closed(use, began):
    try:
        while True:
            use()
            began.release()
    except StoreClosed:
        pass
    except BaseException as error:
        unexpected.append(error)
for _ in range(15):
    store = MetricsStore(sys.argv[1], durability="normal")
    batch = [{"skill_name": f"s{n % 50}", "duration_seconds": n} for n in range(500)]
    store.record_invocations(batch)
    uses = [
        store.get_all_metrics,
        store.get_summary,
        lambda: store.invocations(limit=500),
        lambda: store.query("SELECT sum(seq * duration_us) FROM skill_invocation"),
        lambda: store.record_invocation("deploy"),
    ]
    began = threading.Semaphore(0)
    threads = [threading.Thread(target=until_closed, args=(use, began)) for use in uses]
    for thread in threads:
        thread.start()
    for _ in range(20):
        began.acquire()
    store.close()
    for thread in threads:
        thread.join()
assert not unexpected, unexpected
""",
        path,
    )


@pytest.mark.parametrize(
    "change", ["CREATE INDEX harmless ON skill_invocation (project_path)", "VACUUM", "ANALYZE"]
)
def test_a_schema_that_another_one_touched_loses_no_write(open_store: Open, change: str) -> None:
    first = open_store()
    first.record_invocation("deploy")
    first.close()
    store = open_store()
    started = store.track_invocation("deploy")
    other = sqlite.connect(store.path)
    other.execute(change)
    other.close()
    # SQLite reads the schema anew in the midst of preparing this: "no such table" once.
    store.record_invocation("deploy", workflow_path="daily")
    started.complete()
    summary = store.get_summary()
    assert (summary.total_invocations, summary.in_flight) == (3, 0)
