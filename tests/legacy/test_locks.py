"""The locks between runners and an operator: shared or not, bounded, and gone with a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from checking import python_path
from leaving import refused

from metrics_store import JsonMetricsTracker, open_tracker
from metrics_store.errors import LegacyLocked, LegacyNotWritable
from metrics_store.legacy import locks

#: Seconds in which a machine under load gets round to something.
SLACK = 2.0
_HOLD = """
import sys
from metrics_store.legacy import locks
with locks.held(sys.argv[1], shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> str:
    return locks.phase_lock(tmp_path / "m.json")


class Holder:
    """Another process that holds a lock."""

    def __init__(self, lock: str, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, lock, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def let_go(self) -> None:
        self.process.communicate()

    def die(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hold(lock: str) -> Iterator[object]:
    holders: list[Holder] = []

    def held(how: str = "exclusive") -> Holder:
        holders.append(Holder(lock, how))
        return holders[-1]

    yield held
    for holder in holders:
        if holder.process.returncode is None:
            holder.die()


def is_free(lock: str, *, shared: bool = False) -> bool:
    try:
        with locks.held(lock, shared=shared, patience=0):
            return True
    except LegacyLocked:
        return False


def test_the_two_locks_of_a_file_are_two_and_a_tracker_by_a_symlink_takes_the_same(
    tmp_path: Path,
) -> None:
    file, link = tmp_path / "m.json", tmp_path / "link.json"
    file.write_text('{"invocations": [], "skills": {}}')
    link.symlink_to(file)
    assert locks.data_lock(file) != locks.phase_lock(file)
    for tracker in (JsonMetricsTracker(link), open_tracker(link, tmp_path / "m.db")):
        tracker.track_invocation("lint")(completed=True)
    assert os.path.exists(locks.data_lock(file))
    assert os.path.exists(locks.phase_lock(file))
    assert not list(tmp_path.glob("link.json.*"))


def test_runners_hold_it_together_and_an_operator_alone(lock: str, hold: object) -> None:
    runner = hold("shared")  # type: ignore[operator]
    assert is_free(lock, shared=True)
    assert not is_free(lock)
    runner.let_go()
    assert is_free(lock)
    operator = hold()  # type: ignore[operator]
    assert not is_free(lock, shared=True)
    operator.let_go()
    assert is_free(lock, shared=True)


def test_within_a_process_threads_exclude_each_other_too(lock: str) -> None:
    inside, most = [0], [0]
    counting = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with locks.held(lock):
                with counting:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.0005)
                with counting:
                    inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_it_is_waited_for_as_long_as_was_said_and_no_longer(lock: str, hold: object) -> None:
    hold()  # type: ignore[operator]
    for patience in (0.0, 0.3):
        began = time.monotonic()
        with (
            pytest.raises(LegacyLocked, match=f"waited {patience:g} s"),
            locks.held(lock, patience=patience),
        ):
            pass
        assert patience <= time.monotonic() - began < patience + SLACK


def test_it_is_had_as_soon_as_it_is_free(lock: str, hold: object) -> None:
    holder = hold()  # type: ignore[operator]
    timer = threading.Timer(0.2, holder.let_go)
    timer.start()
    began = time.monotonic()
    with locks.held(lock, patience=30):
        assert 0.1 < time.monotonic() - began < 0.2 + SLACK
    timer.join()


@pytest.mark.parametrize("how", ["shared", "exclusive"])
def test_a_lock_ends_with_its_process(lock: str, hold: object, how: str) -> None:
    holder = hold(how)  # type: ignore[operator]
    assert not is_free(lock)
    holder.die()
    assert is_free(lock)


def test_an_error_inside_lets_it_go(lock: str) -> None:
    with pytest.raises(ZeroDivisionError), locks.held(lock):
        _ = 1 // 0
    assert is_free(lock)


def test_a_child_forked_while_it_is_held_does_not_keep_it(lock: str) -> None:
    go_on_read, go_on_write = os.pipe()
    with locks.held(lock):
        child = os.fork()
        if child == 0:
            os.close(go_on_write)
            os.read(go_on_read, 1)
            os._exit(0)
    try:
        assert is_free(lock)
    finally:
        os.close(go_on_write)
        os.close(go_on_read)
        os.waitpid(child, 0)


def test_the_lock_file_is_left_for_the_next(lock: str) -> None:
    with locks.held(lock):
        first = os.stat(lock).st_ino
    with locks.held(lock, shared=True):
        assert os.stat(lock).st_ino == first


def test_a_lock_file_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.json.lock").mkdir()
    for path in (str(tmp_path / "m.json.lock"), str(tmp_path / "gone" / "m.json.lock")):
        error = refused(lambda path=path: locks.held(path).__enter__())  # type: ignore[misc]
        assert isinstance(error, LegacyNotWritable)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_somebody_elses_lock_file_can_be_held_by_who_may_only_read_it() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        lock = f"{folder}/m.json.lock"
        with open(lock, "w", encoding="utf-8"):
            os.chmod(lock, 0o644)
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            with ExitStack() as stack:
                stack.callback(os._exit, 1)
                with locks.held(lock, shared=True):
                    os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
