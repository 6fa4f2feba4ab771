"""A store whose write-ahead log is gone, cut off or damaged is not served as if it were whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

from metrics_store import MetricsStore, opening, sqlite, write_ahead_log
from metrics_store.errors import LogLost, StoreBusy

_CRASH = """
import os, signal, sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
for n in range(int(sys.argv[2])):
    store.record_invocation("lint", invocation_id=f"run-{n}")
os.kill(os.getpid(), signal.SIGKILL)
"""
Damaged = Callable[[str | os.PathLike[str]], None]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process with 12 commits leaves: the store, its -wal and its -shm."""
    path = tmp_path_factory.mktemp("image") / "m.db"
    MetricsStore(path).close()
    crash = [sys.executable, "-c", _CRASH, str(path), "12"]
    subprocess.run(crash, env={**os.environ, "PYTHONPATH": python_path()}, check=False)
    assert os.path.getsize(f"{path}-wal") > 90_000
    return path


@pytest.fixture
def crashed(image: Path, tmp_path: Path) -> Path:
    """A copy of the image of one's own."""
    for end in ("", "-wal", "-shm"):
        shutil.copyfile(f"{image}{end}", tmp_path / f"m.db{end}")
    return tmp_path / "m.db"


def wal(path: Path) -> Path:
    return Path(f"{path}-wal")


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)


def frame(path: Path, n: int) -> int:
    """Where the n-th frame begins; from the end if it is negative."""
    frames = (wal(path).stat().st_size - 32) // 4120
    return 32 + 4120 * (n if n >= 0 else frames + n)


def cut_to_half(path: Path) -> None:
    os.truncate(wal(path), frame(path, 20) + 17)


def of_another(path: Path) -> None:
    other = path.with_name("other.db")
    with MetricsStore(other) as store:
        store.record_invocations([{"skill_name": "lint"}] * 500)
        shutil.copyfile(wal(other), wal(path))


HARMS: dict[str, Callable[[Path], None]] = {
    "missing": lambda path: wal(path).unlink(),
    "truncated": cut_to_half,
    "truncated to nothing": lambda path: os.truncate(wal(path), 0),
    "damaged in the midst": lambda path: flip(wal(path), frame(path, 12) + 1000),
    "damaged in a frame's head": lambda path: flip(wal(path), frame(path, 12) + 9),
    "damaged in the last commit": lambda path: flip(wal(path), frame(path, -1) + 1000),
    "damaged in its header": lambda path: flip(wal(path), 17),
    "other": of_another,
}


def test_a_log_that_a_killed_process_left_is_whole_and_nothing_is_lost(crashed: Path) -> None:
    state = opening.log_state(str(crashed))
    assert (state.kind, state.expected) == ("whole", state.found)
    with MetricsStore(crashed) as store:
        assert store.get_summary().total_invocations == 12
        assert opening.log_state(store.path).kind == "unknown"
    assert opening.log_state(str(crashed)).kind == "none"


@pytest.mark.parametrize("harm", HARMS)
def test_a_store_whose_log_is_lost_is_refused_until_the_loss_is_accepted(
    harm: str, crashed: Path
) -> None:
    HARMS[harm](crashed)
    state = opening.log_state(str(crashed))
    assert state.is_lost
    assert state.certain
    assert state.kind == harm.split()[0]
    for _ in range(2):  # SQLite's own traces are gone after the first time
        with pytest.raises(LogLost, match=r"m\.db"):
            MetricsStore(crashed)
    with pytest.raises(LogLost):
        MetricsStore(crashed, read_only=True)
    done = opening.accept_loss(str(crashed), 0)
    assert any("log-lost" in line for line in done)
    with MetricsStore(crashed) as store:
        left = store.get_summary().total_invocations
        assert left < 12
        store.record_invocation("lint")
        assert store.get_summary().total_invocations == left + 1
    kept = list(crashed.parent.glob("m.db-wal.damaged-*"))
    assert bool(kept) == (harm != "missing")


def test_a_log_that_is_put_back_before_anybody_went_on_brings_everything_back(
    crashed: Path,
) -> None:
    log = wal(crashed).read_bytes()
    wal(crashed).unlink()
    with pytest.raises(LogLost):
        MetricsStore(crashed)
    with pytest.raises(LogLost):
        MetricsStore(crashed)
    wal(crashed).write_bytes(log)
    with MetricsStore(crashed) as store:
        assert store.get_summary().total_invocations == 12


def test_without_an_index_a_damaged_frame_is_told_by_the_commits_after_it(crashed: Path) -> None:
    Path(f"{crashed}-shm").unlink()
    flip(wal(crashed), frame(crashed, 12) + 1000)
    state = opening.log_state(str(crashed))
    assert (state.kind, state.certain) == ("damaged", False)
    assert state.found <= 12
    assert "commits cannot be read" in state.detail


def test_a_last_write_that_a_crash_tore_is_no_loss(crashed: Path) -> None:
    whole = opening.log_state(str(crashed))
    with wal(crashed).open("ab") as log:
        start = frame(crashed, -1)
        log.write(wal(crashed).read_bytes()[start : start + 2000])
    assert opening.log_state(str(crashed)) == whole
    with MetricsStore(crashed) as store:
        assert store.get_summary().total_invocations == 12


def test_an_index_of_an_earlier_boot_says_nothing(crashed: Path) -> None:
    wal(crashed).unlink()
    os.utime(f"{crashed}-shm", (1_000_000, 1_000_000))
    with MetricsStore(crashed) as store:
        assert store.get_summary().total_invocations == 0


def test_a_loss_is_not_accepted_while_a_process_has_the_store_open(
    crashed: Path, hold_lock: Callable[[str], Callable[[], None]]
) -> None:
    let_go = hold_lock(str(crashed))
    with pytest.raises(StoreBusy):
        opening.accept_loss(str(crashed), 0)
    let_go()
    with MetricsStore(crashed), pytest.raises(StoreBusy):
        opening.accept_loss(str(crashed), 0)


def test_a_store_in_use_by_others_is_never_taken_for_one_that_lost_its_log(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    MetricsStore(path).close()
    busy = """
import sys, time
from metrics_store import MetricsStore
from metrics_store.settings import Settings
from pathlib import Path
settings = Settings(Path(sys.argv[1]), durability="normal", checkpoint_mb=0.1)
end = time.monotonic() + 3
while time.monotonic() < end:
    with MetricsStore(settings=settings) as store:
        for _ in range(40):
            store.record_invocation("lint")
"""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    others = [
        subprocess.Popen([sys.executable, "-c", busy, str(path)], env=environment) for _ in "ab"
    ]
    looks = 0
    while any(other.poll() is None for other in others):
        with sqlite.without_connection(str(path)) as alone:
            assert alone
            assert write_ahead_log.evidence(str(path))[1] is None
            assert not write_ahead_log.examine(str(path)).is_lost
        with MetricsStore(path, durability="normal") as store:
            store.get_summary()
        looks += 1
    assert [other.wait() for other in others] == [0, 0]
    assert looks > 10
