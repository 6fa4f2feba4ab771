"""Who holds a view of a store: other processes, seen by the locks that the system tells of."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.clock import Clock
from metrics_store.health.log_readers import LogReaders

told = pytest.mark.skipif(
    not Path("/proc/locks").exists() or sys.platform != "linux",
    reason="the system does not tell of locks",
)


@pytest.fixture
def quick() -> Callable[..., LogReaders]:
    """Readers looked for on the real clock, or on another."""
    return lambda store, clock=None, **more: LogReaders(store.path, clock or Clock(), **more)


def told_by(readers: LogReaders, store: MetricsStore):
    with store.database.read():
        found = readers.look()
    if found is None:
        pytest.skip("this container does not tell of locks")
    return found


@told
def test_a_view_of_another_process_is_seen_with_its_name(
    store: MetricsStore, hold_view, quick
) -> None:
    readers = quick(store)
    assert told_by(readers, store).readers == ()
    pid = hold_view(store.path)
    found = told_by(readers, store)
    assert [(reader.pid, found.attached) for reader in found.readers] == [(pid, 1)]
    assert found.readers[0].name.startswith("python")
    assert found.writer is None


@told
def test_a_view_is_as_old_as_the_first_look_that_saw_it(
    store: MetricsStore, look, hold_view, clock: SettableClock
) -> None:
    readers = LogReaders(store.path, clock)
    pid = hold_view(store.path)
    first = told_by(readers, store).readers[0].held_s
    assert first == pytest.approx(0.09)  # looked at ten times
    clock.advance(61)
    report = look(store, log_readers=readers)
    [finding] = report.findings
    assert (finding.level, finding.kind, finding.threshold) == ("WARNING", "readers", 60.0)
    assert f"(pid {pid})" in finding.hint
    assert report.metrics.oldest_reader_s >= 61
    clock.advance(600)
    assert look(store, log_readers=readers).status == "ERROR"


@told
def test_one_that_reads_again_and_again_holds_no_view_for_long(
    store: MetricsStore, beside, quick
) -> None:
    beside(
        "import sys, threading\nfrom metrics_store import sqlite\n"
        "connection = sqlite.connect(sys.argv[1], read_only=True)\n"
        "def read():\n"
        "    while running:\n"
        "        connection.execute('SELECT count(*) FROM sqlite_schema').fetchone()\n"
        "running = True\nthread = threading.Thread(target=read)\nthread.start()\n"
        "print('ready', flush=True)\nsys.stdin.read()\nrunning = False\nthread.join()",
        store.path,
    )
    readers, began = quick(store), time.monotonic()
    # Each of its views is over in microseconds: some look of three hundred finds none.
    found = [told_by(readers, store) for _ in range(30)]
    elapsed = time.monotonic() - began
    assert all(reader.held_s < elapsed / 2 for reader in found[-1].readers)
    assert {holders.attached for holders in found} == {1}


@told
def test_who_writes_is_told_from_who_reads(store: MetricsStore, hold_lock, look, clock) -> None:
    let_go = hold_lock(store.path)
    readers = LogReaders(store.path, clock)
    found = told_by(readers, store)
    assert found.writer is not None
    assert [reader.pid for reader in found.readers] == [found.writer.pid]
    assert look(store).metrics.writing_process == str(found.writer)
    let_go()
    assert told_by(readers, store).writer is None


@told
def test_a_process_may_call_itself_anything(store: MetricsStore, hold_view, quick) -> None:
    hold_view(store.path, "\x1b[31m(x) \n1:")
    found = told_by(quick(store), store)
    assert found.readers[0].name == "\x1b[31m(x) \n1:"


def test_where_the_system_does_not_tell_nothing_is_known(
    store: MetricsStore, look, hold_view, clock, tmp_path: Path
) -> None:
    hold_view(store.path)
    (tmp_path / "locks").write_text("")
    for locks in ("missing", "locks"):
        readers = LogReaders(store.path, clock, str(tmp_path / locks))
        m = look(store, log_readers=readers).metrics
        assert (m.attached_processes, m.readers, m.oldest_reader, m.oldest_reader_s) == (None,) * 4


@told
@pytest.mark.parametrize(
    "line",
    [
        "",
        "1:",
        "1: POSIX ADVISORY READ x fe:00:{inode} 124 124",
        "1: POSIX ADVISORY READ 1 fe:00:{inode} x 124",
        "1: -> POSIX ADVISORY READ 1 fe:00:{inode} 124 124",
        "1: FLOCK ADVISORY READ 1 fe:00:{inode} 124 124",
        "1: OFDLCK ADVISORY READ -1 fe:00:{inode} 124 124",
        "1: POSIX ADVISORY READ 1 fe:00:1{inode} 124 124",
        "1: POSIX ADVISORY READ 1 00:77:{inode} 124 124",
        "1: POSIX ADVISORY WRITE 1 fe:00:{inode} 124 127",
        "1: POSIX ADVISORY READ 1 fe:00:{inode} 0 119",
        "1: POSIX ADVISORY READ 99999999999999999999 fe:00:{inode} 0 EOF",
    ],
)
def test_only_a_lock_on_the_stores_own_log_is_a_view(
    store: MetricsStore, clock, tmp_path: Path, line: str
) -> None:
    inode = os.stat(f"{store.path}-shm").st_ino
    own = f"9: POSIX ADVISORY READ {os.getpid()} fe:00:{inode} 128 128"
    table = tmp_path / "locks"
    table.write_text(f"{line.format(inode=inode)}\n{own}\n")
    with store.database.read():
        found = LogReaders(store.path, clock, str(table)).look()
    assert found is not None
    expected = 1 if "EOF" in line else 0
    assert len(found.readers) == expected
    table.write_text(f"7: POSIX ADVISORY READ 7 fe:00:{inode} 120 EOF\n{own}\n")
    with store.database.read():
        found = LogReaders(store.path, clock, str(table)).look()
    assert found is not None
    assert [reader.pid for reader in found.readers] == [7]
