"""Many writers, readers and an operator on one store for as long as one likes; it has to stay flat.

``python tests/crash/soak.py --minutes 10`` prints a line every few seconds and a verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from checking import problems, python_path
from lines import Line

from metrics_store import MetricsStore

_WORKER = Path(__file__).with_name("soak_worker.py")
_MIB = 1 << 20
#: Parts of a run: what the processes have at the end of the first is what they may keep.
_WARM = 0.25


@dataclass(frozen=True, slots=True)
class Soak:
    """What a soak came to.

    Args:
        seconds: how long it took.
        commits: transactions that were acknowledged, each on the disk.
        p99_ms, worst_ms: how long a writing call took.
        cpu_us: processor time of all processes for each commit.
        wal_mib: the largest write-ahead log that was seen.
        rss_mib, rss_growth_mib: of the largest process, and the most that one grew once warm.
        handles, handle_growth: likewise, open files.
        busy: calls that ended as busy.
        failures: what else went wrong.
        unsound: what is wrong with the store at the end.
    """

    seconds: float
    commits: int
    p99_ms: float
    worst_ms: float
    cpu_us: float
    wal_mib: float
    rss_mib: float
    rss_growth_mib: float
    handles: int
    handle_growth: int
    busy: int
    failures: tuple[str, ...]
    unsound: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Commits a second, of all writers together."""
        return self.commits / self.seconds


@dataclass
class _Second:
    """What was told since the last line."""

    commits: int = 0
    worst: float = 0.0
    cpu: float = 0.0
    waits: Counter[int] = field(default_factory=Counter)

    def p99_ms(self) -> float:
        """Milliseconds; the waits are counted by steps of 2 %."""
        left = sum(self.waits.values()) * 0.01
        for step, count in sorted(self.waits.items(), reverse=True):
            left -= count
            if left < 0:
                return float(1.02**step / 1000)
        return 0.0


class _Crew:
    """The processes, and what they told."""

    def __init__(self, path: str, writers: int, readers: int, seconds: float, seed: int) -> None:
        roles = ["writer"] * writers + ["reader"] * readers + ["operator"]
        self.lock = threading.Lock()
        self.now, self.all = _Second(), _Second()
        self.rows = 0
        self.busy = 0
        self.failures: list[str] = []
        self.processes = [
            subprocess.Popen(
                [sys.executable, str(_WORKER), role, path, str(seconds), str(seed * 1000 + n)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": python_path()},
                text=True,
            )
            for n, role in enumerate(roles)
        ]
        self._listeners = [
            threading.Thread(target=self._listen, args=(role, process), daemon=True)
            for role, process in zip(roles, self.processes, strict=True)
        ]

    def start(self) -> None:
        """Let all of them go at once."""
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process, listener in zip(self.processes, self._listeners, strict=True):
            listener.start()
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def _listen(self, role: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            with self.lock:
                self.rows += told["rows"]
                self.busy += told["busy"]
                self.failures += [f"{role}: {failure}" for failure in told["failures"]]
                for sums in (self.now, self.all):
                    sums.commits += told["commits"]
                    sums.cpu += told["cpu"]
                    sums.worst = max(sums.worst, told["worst"])
                    sums.waits.update({int(step): n for step, n in told["waits"].items()})

    def taken(self) -> _Second:
        """What was told since this was last asked."""
        with self.lock:
            now, self.now = self.now, _Second()
        return now

    def end(self) -> None:
        """Wait for all of them; whoever is stuck is ended."""
        for process in self.processes:
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.failures.append("a process did not end")
            assert process.stdin is not None
            process.stdin.close()
            if process.returncode:
                self.failures.append(f"a process ended with {process.returncode}")
        for listener in self._listeners:
            listener.join(60)
        for process in self.processes:
            assert process.stdout is not None
            process.stdout.close()


@dataclass
class _Watch:
    """Memory and open files of the processes, where the system tells."""

    warm: dict[int, tuple[int, int]] = field(default_factory=dict)
    rss: int = 0
    handles: int = 0
    rss_growth: int = 0
    handle_growth: int = 0

    def look(self, pids: list[int], *, warm: bool) -> None:
        """Look at each; from when it is warm on, what it has more is growth."""
        for pid in pids:
            found = _resources(pid)
            if found is None:
                continue
            self.rss, self.handles = max(self.rss, found[0]), max(self.handles, found[1])
            if warm:
                first = self.warm.setdefault(pid, found)
                self.rss_growth = max(self.rss_growth, found[0] - first[0])
                self.handle_growth = max(self.handle_growth, found[1] - first[1])


def _resources(pid: int) -> tuple[int, int] | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, IndexError):
        return None  # it has ended, or this system does not tell


def soak(
    minutes: float,
    seed: int,
    *,
    writers: int = 16,
    readers: int = 2,
    directory: Path | None = None,
    say: Callable[[str], None] = print,
) -> Soak:
    """Let writers, readers and an operator work on a new store, and look at it at the end.

    Args:
        minutes: how long.
        seed: of what they do.
        writers: processes that write at FULL, as fast as they can.
        readers: processes that read.
        directory: where the store is made; by default a temporary one.
        say: is given a line every few seconds.
    """
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        path = str((directory or Path(temporary)) / "soak.db")
        MetricsStore(path).close()
        seconds = minutes * 60
        crew = _Crew(path, writers, readers, seconds, seed)
        watch, wal = _Watch(), 0
        crew.start()
        started = last = time.monotonic()
        every = min(10.0, max(0.5, seconds / 10))
        say("  time  commits/s  p99 ms  worst ms  WAL MiB  RSS MiB  handles  busy  failures")
        while (now := time.monotonic()) < started + seconds:
            time.sleep(max(0.0, min(0.2, last + every - now)))
            wal = max(wal, _size(f"{path}-wal"))
            if time.monotonic() < last + every:
                continue
            watch.look(
                [process.pid for process in crew.processes],
                warm=time.monotonic() - started > seconds * _WARM,
            )
            took, last = time.monotonic() - last, time.monotonic()
            told = crew.taken()
            say(
                f"{last - started:5.0f}s {told.commits / took:10,.0f} {told.p99_ms():7.1f} "
                f"{told.worst / 1000:9.1f} {_size(f'{path}-wal') / _MIB:8.1f} "
                f"{watch.rss / _MIB:8.1f} {watch.handles:8} {crew.busy:5} {len(crew.failures):9}"
            )
        crew.end()
        took = time.monotonic() - started
        wal = max(wal, _size(f"{path}-wal"))
        unsound = _unsound(path, crew.rows)
    done = crew.all
    return Soak(
        seconds=took,
        commits=done.commits,
        p99_ms=done.p99_ms(),
        worst_ms=done.worst / 1000,
        cpu_us=done.cpu / max(1, done.commits) * 1e6,
        wal_mib=wal / _MIB,
        rss_mib=watch.rss / _MIB,
        rss_growth_mib=watch.rss_growth / _MIB,
        handles=watch.handles,
        handle_growth=watch.handle_growth,
        busy=crew.busy,
        failures=tuple(crew.failures),
        unsound=unsound,
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _unsound(path: str, rows: int) -> tuple[str, ...]:
    found = problems(path)
    with MetricsStore(path, create=False) as store:
        logged = store.query("SELECT count(*) AS n FROM skill_invocation")[0]["n"]
        counted = store.get_summary().total_invocations
        left = len(store.in_flight())
    if not rows == logged == counted:
        found.append(f"{rows} acknowledged, {logged} in the log, {counted} counted")
    if left:
        found.append(f"{left} in flight")
    return tuple(found)


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """A soak of so many minutes, as scripts/faults runs it."""
    done = soak(rounds, seed, say=lambda line: print(f"  {line}", flush=True))
    wrong = [*done.failures, *done.unsound]
    limits = (
        (done.busy, 0, "busy calls"),
        (done.wal_mib, 64, "MiB of log"),
        (done.p99_ms, 50, "ms at the 99th percentile"),
        (done.rss_growth_mib, 16, "MiB of memory more"),
        (done.handle_growth, 4, "open files more"),
    )
    wrong += [
        f"{value:,.0f} {what}, at most {most}" for value, most, what in limits if value > most
    ]
    yield Line(
        f"{rounds} minutes, p99 {done.p99_ms:.0f} ms, log {done.wal_mib:.0f} MiB",
        cases=done.commits,
        passed=done.commits - done.busy,
        acknowledged=done.commits,
        figure=done.rate,
        unit="commits/s",
        wrong=tuple(wrong),
    )


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--readers", type=int, default=2)
    given = parser.parse_args()
    done = soak(given.minutes, given.seed, writers=given.writers, readers=given.readers)
    print(f"rate {done.rate:,.0f} commits/s")
    for member in fields(done):
        print(f"{member.name} {getattr(done, member.name)}")
    return 1 if done.busy or done.failures or done.unsound else 0


if __name__ == "__main__":
    sys.exit(main())
