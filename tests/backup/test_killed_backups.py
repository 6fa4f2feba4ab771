"""A backup under writers, killed at any moment, and on a disk that takes no more."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checking import problems, python_path

from metrics_store import MetricsStore, manifest, sqlite
from metrics_store.backup import copying, place
from metrics_store.backup.creating import create
from metrics_store.backup.keeping import Keep
from metrics_store.backup.verifying import verify
from metrics_store.clock import Clock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it kills as POSIX does")

_WRITE = """
import os, sys
from metrics_store import MetricsStore
store = MetricsStore(sys.argv[1])
while True:
    name = store.record_invocation("written", duration_seconds=1, workflow_path="p")
    os.write(1, f"{name}\\n".encode())
"""

#: Backs up again and again, and kills itself when a stage of it is reached for the nth time.
_BACK_UP = """
import os, signal, sys
from pathlib import Path
from metrics_store import Settings, manifest
from metrics_store.backup import creating, place
from metrics_store.backup.keeping import Keep
from metrics_store.clock import Clock
from metrics_store.connection import Database

where, left = sys.argv[2], int(sys.argv[3])

def reached(stage):
    global left
    if stage == where:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def before(module, name):
    function = getattr(module, name)
    def called(*arguments, **named):
        reached(name)
        return function(*arguments, **named)
    setattr(module, name, called)

for module, name in ((manifest, "write"), (os, "rename"), (os, "unlink"), (os, "fsync"),
                     (os, "replace"), (place, "sync_directory")):
    before(module, name)
database = Database(Settings(database=Path(sys.argv[1])), Clock(), create=False)
while True:
    made = creating.create(
        database, keep=Keep(1, 0, 0), progress=lambda stage, done, total: reached(stage)
    )
    print(made.path.name, flush=True)
"""


def _started(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": python_path()},
    )


@contextmanager
def writers(path: Path, count: int) -> Iterator[list[list[str]]]:
    """Processes that write for the length of the block; then gives what each had acknowledged."""
    running = [_started(_WRITE, path) for _ in range(count)]
    acknowledged: list[list[str]] = []
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        yield acknowledged
    finally:
        for process in running:
            process.send_signal(signal.SIGKILL)
        acknowledged += [process.communicate()[0].decode().splitlines() for process in running]


def _rows(path: Path, *, immutable: bool = False) -> list[tuple[int, str, str]]:
    connection = sqlite.connect(str(path), read_only=True, immutable=immutable)
    try:
        return connection.execute(
            "SELECT seq, id, digest FROM skill_invocation ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()


def test_a_backup_under_writers_is_of_one_moment_and_has_what_was_acknowledged_before(
    open_store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a page each: a copy that began anew at a commit of others would not end.
    monkeypatch.setattr(copying, "_STEP", 1)
    store: MetricsStore = open_store(clock=Clock())
    store.record_invocations({"skill_name": "s", "duration_seconds": n} for n in range(300))
    made = []
    with writers(tmp_path / "m.db", 4) as acknowledged:
        for _ in range(3):
            before = {name for _, name, _ in _rows(tmp_path / "m.db")}
            told: list[int] = []
            backup = create(
                store.database,
                progress=lambda stage, done, _, told=told: (
                    told.append(done) if stage == "copying" else None
                ),
            )
            assert len(told) > 40
            assert told == sorted(set(told))
            made.append((before, backup.path))
    everything = _rows(tmp_path / "m.db")
    assert {name for names in acknowledged for name in names} <= {name for _, name, _ in everything}
    for before, path in made:
        copied = _rows(path, immutable=True)
        assert copied == everything[: len(copied)]
        assert before <= {name for _, name, _ in copied}
        assert problems(path) == []


def _whole(directory: Path) -> list[Path]:
    """The backups of a directory, each of which must be whole."""
    entries = manifest.of_directory(directory)
    assert [entry.problem for entry in entries] == [""] * len(entries)
    for entry in entries:
        assert verify(entry.path).ok
    return [entry.path for entry in entries]


@pytest.mark.parametrize(
    "where",
    ["copying", "hashing", "digests: skill_invocation", "write", "rename", "unlink", "fsync",
     "replace", "sync_directory"],
)  # fmt: skip
def test_killed_at_a_step_it_leaves_no_half_backup_and_the_next_run_tidies_up(
    open_store, tmp_path: Path, where: str
) -> None:
    store: MetricsStore = open_store(clock=Clock())
    store.record_invocations({"skill_name": "s", "duration_seconds": n} for n in range(100))
    directory = tmp_path / "m.db.backups"
    create(store.database)
    for nth in (0, 2):
        killed = _started(_BACK_UP, tmp_path / "m.db", where, nth)
        try:
            told = killed.communicate(timeout=60)[0].decode().split()
        finally:
            killed.kill()
        assert killed.returncode == -signal.SIGKILL
        there = [path.name for path in _whole(directory)]
        assert there
        if told and told[-1] not in there:
            # The next one was there already, and the one before it on its way out.
            assert max(there) > told[-1]
    create(store.database, keep=Keep(1, 0, 0))
    left = {name for name in os.listdir(directory) if name != ".backups.lock"}
    [kept] = _whole(directory)
    assert left == {kept.name, f"{kept.name}.json"}


def test_killed_at_random_moments_it_leaves_no_half_backup(open_store, tmp_path: Path) -> None:
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    rng = random.Random(seed)
    store: MetricsStore = open_store(clock=Clock())
    store.record_invocations({"skill_name": "s", "duration_seconds": n} for n in range(2_000))
    directory = tmp_path / "m.db.backups"
    for _ in range(5):
        running = _started(_BACK_UP, tmp_path / "m.db", "never", 0)
        assert running.stdout is not None
        running.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        running.kill()
        running.communicate()
        assert _whole(directory)
    create(store.database, keep=Keep(1, 0, 0))
    assert len(os.listdir(directory)) == 3


_LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from metrics_store import Settings
from metrics_store.backup import creating
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import MetricsStoreError
database = Database(Settings(database=Path(sys.argv[1])), Clock(), create=False)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
said = []
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        creating.create(database)
        said.append("made")
    except MetricsStoreError as error:
        said.append(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
database.close()
print(json.dumps(said))
"""


def test_a_disk_that_takes_no_more_midway_leaves_nothing(
    store: MetricsStore, tmp_path: Path, python
) -> None:
    store.record_invocations({"skill_name": "s", "duration_seconds": n} for n in range(2_000))
    store.close()
    size = (tmp_path / "m.db").stat().st_size
    done = python(_LIMITED, tmp_path / "m.db", 0, 300, 5_000, size // 2, size - 4096, size * 2)
    *failed, last = json.loads(done.stdout)
    assert set(failed) <= {"BackupError", "NoSpace", "DiskFull"}
    assert last == "made"
    [path] = _whole(tmp_path / "m.db.backups")
    assert len(os.listdir(path.parent)) == 3


def test_a_directory_of_somebody_else_is_refused_with_a_hint(
    store: MetricsStore, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    assert place.opened  # loaded while there is the permission for it
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            with place.opened(theirs, 0):
                said = "opened"
        except BaseException as error:
            said = f"{type(error).__name__} {getattr(error, 'hint', error)}"
        os.write(sending, said.encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert said == "BackupError Look at the owner and mode of the directory, and at the disk."
