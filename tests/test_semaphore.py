"""The semaphore of a store: what lies under its name, who removes it, and a fork."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from semaphores import file_of, needs_semaphores, wakeups_of, without

from metrics_store import MetricsStore, wakeups
from metrics_store.clock import Clock
from metrics_store.errors import StoreBusy
from metrics_store.wakeups import Wakeups

Hold = Callable[[str], Callable[[], None]]
Run = Callable[..., subprocess.CompletedProcess[str]]
#: So many waits that run out have one look, and one more that opens it again.
_ENOUGH = wakeups._LOOK_AFTER + 1


@pytest.fixture
def path(tmp_path: Path, new_file: Path) -> str:
    """The file of a store of its own."""
    copy = tmp_path / "m.db"
    shutil.copyfile(new_file, copy)
    copy.chmod(0o600)
    return without(str(copy))


def _as_a_link(file: Path, folder: Path) -> None:
    target = folder / "victim"
    target.write_bytes(bytes(32))
    file.symlink_to(target)


def _of_another(file: Path, folder: Path) -> None:
    file.write_bytes(bytes(32))
    file.chmod(0o666)
    os.chown(file, 65534, 65534)


def _writable_by_all(file: Path, folder: Path) -> None:
    file.write_bytes(bytes(32))
    file.chmod(0o602)


def _writable_by_the_group(file: Path, folder: Path) -> None:
    file.write_bytes(bytes(32))
    file.chmod(0o620)


_ODD: dict[str, Callable[[Path, Path], object]] = {
    "a link": _as_a_link,
    "a folder": lambda file, folder: file.mkdir(),
    "a pipe": lambda file, folder: os.mkfifo(file, 0o600),
    "cut off": lambda file, folder: file.touch(0o600),
    "too long": lambda file, folder: (file.write_bytes(bytes(4096)), file.chmod(0o600)),
    "of another": _of_another,
    "writable by all": _writable_by_all,
    "writable by the group": _writable_by_the_group,
}


@needs_semaphores
@pytest.mark.parametrize("what", _ODD)
def test_an_odd_file_under_the_name_is_left_alone(
    path: str, tmp_path: Path, hold_lock: Hold, what: str
) -> None:
    if what == "of another" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    file = file_of(path)
    _ODD[what](file, tmp_path)
    try:
        before = os.lstat(file)
        with MetricsStore(path, busy_timeout=0.1) as store:
            assert not wakeups_of(store).wait(1)
            free = hold_lock(path)
            with pytest.raises(StoreBusy):
                store.record_invocation("waiter")
            free()
            store.record_invocation("waiter")
        after = os.lstat(file)
        assert (after.st_ino, after.st_mode, after.st_size, after.st_mtime_ns) == (
            (before.st_ino, before.st_mode, before.st_size, before.st_mtime_ns)
        )
    finally:
        shutil.rmtree(file) if what == "a folder" else file.unlink()


@needs_semaphores
def test_after_an_odd_file_has_gone_the_next_crowd_has_a_semaphore(path: str) -> None:
    file = file_of(path)
    file.touch(0o600)
    waker = Wakeups(path, Clock())
    assert not waker.wait(1)
    assert waker._opening_from > 0  # it is not looked for at every try
    file.unlink()
    waker._opening_from = 0
    assert waker.wait(1)
    assert file.exists()
    waker.close()
    assert not file.exists()


@needs_semaphores
def test_a_name_that_leads_elsewhere_by_now_is_opened_again(path: str, tmp_path: Path) -> None:
    waker, early = Wakeups(path, Clock()), Wakeups(path, Clock())
    assert waker.wait(1)
    assert early.wait(1)
    first = file_of(path)
    early.close()  # which removes the name
    assert not first.exists()
    # These run out, so that it looks, and opens it.
    assert all(waker.wait(1) for _ in range(_ENOUGH))
    assert first.exists()
    # Another file at the store's place, as after it was moved aside.
    shutil.copyfile(path, tmp_path / "new.db")
    os.rename(path, tmp_path / "old.db")
    os.rename(tmp_path / "new.db", path)
    assert all(waker.wait(1) for _ in range(_ENOUGH))
    assert not first.exists()
    assert file_of(path).exists()
    waker.close()
    assert not file_of(path).exists()


@needs_semaphores
@pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about fork")
def test_a_forked_child_goes_on_with_it_and_leaves_it_to_its_parent(path: str, python: Run) -> None:
    python(
        """
import os, sys
from metrics_store import MetricsStore
path, file, enough = sys.argv[1:]
store = MetricsStore(path)
waker = store.database._writer._wakeups
assert waker.wait(1)
inode = os.stat(file).st_ino
child = os.fork()
if child == 0:
    assert waker.wait(1)
    store.record_invocation("child")
    store.close()
    sys.exit(0)  # what is done at the end of a process is done here, too
assert os.waitpid(child, 0)[1] == 0
assert waker.wait(1)
assert os.stat(file).st_ino == inode
waker.done()
child = os.fork()
if child == 0:
    assert not waker._semaphore.is_empty()  # its parent posted
    assert waker.wait(1)
    assert waker._semaphore.is_empty()
    os.unlink(file)
    for _ in range(int(enough)):
        waker.wait(1)  # it looks, and makes one of its own
    assert os.stat(file).st_ino != inode
    store.close()
    assert not os.path.exists(file)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
for _ in range(int(enough)):
    waker.wait(1)
assert os.path.exists(file)
store.record_invocation("parent")
assert store.get_summary().total_invocations == 2
store.close()
assert not os.path.exists(file)
""",
        path,
        file_of(path),
        _ENOUGH,
    )


@needs_semaphores
def test_who_waits_hears_a_signal_and_goes_on_afterwards(path: str, python: Run) -> None:
    python(
        """
import signal, sys, time
from metrics_store import MetricsStore, sqlite, wakeups
wakeups._SHORTEST = wakeups._LONGEST = 120_000_000_000
class Heard(BaseException):
    pass
def alarm(*_):
    if store.database._writer._wakeups._crowded_until:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Heard
signal.signal(signal.SIGALRM, alarm)
holder = sqlite.connect(sys.argv[1])
with MetricsStore(sys.argv[1], busy_timeout=300) as store:
    holder.execute("BEGIN IMMEDIATE")
    # Again and again: the first may come before the wait has begun.
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    start = time.monotonic()
    try:
        store.record_invocation("waiter")
        raise AssertionError("the lock is held")
    except Heard:
        assert time.monotonic() - start < 30
    holder.execute("ROLLBACK")
    holder.close()
    store.record_invocation("waiter")
    assert store.get_summary().total_invocations == 1
""",
        path,
    )
