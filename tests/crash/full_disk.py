"""A process on a disk that is full and then has space again; :mod:`test_no_space` starts it.

``python full_disk.py (tmpfs | limit) FOLDER CASE``: with ``tmpfs`` the folder is a small file
system of its own; with ``limit`` no file may grow (RLIMIT_FSIZE).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from checking import problems
from disks import Disk, Limit, Small
from forked import load_program

from metrics_store import MetricsStore, Settings, schema
from metrics_store.backup import creating, verifying
from metrics_store.cli import main
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import (
    BackupError,
    DiskFull,
    MetricsStoreError,
    MigrationFailed,
    NoSpace,
    OpenError,
    OutcomeUnknown,
    ReadError,
    StoreNotWritable,
    WriteError,
)
from metrics_store.legacy.importing import take_in

#: What a disk that takes no more may be called. A limit on files is no full disk to SQLite, which
#: calls it an I/O error.
FULL = (DiskFull, OutcomeUnknown, WriteError)
_TOO_MANY = 20_000


def _fields(name: str) -> dict[str, object]:
    return {
        "skill_name": "deploy",
        "invocation_id": name,
        "invoked_at": "2026-03-10T12:00:00Z",
        "workflow_path": "p",
        "attributes": {"note": "x" * 500},
    }


def _ids(store: MetricsStore) -> set[str]:
    return {str(row["id"]) for row in store.query("SELECT id FROM skill_invocation")}


def _refused(
    work: Callable[[], object], *kinds: type[MetricsStoreError]
) -> MetricsStoreError | None:
    """The error of ours that some work ends with; it says what to do."""
    try:
        work()
    except MetricsStoreError as raised:
        error = raised
    else:
        return None
    assert isinstance(error, kinds or FULL), repr(error)
    assert error.hint, repr(error)
    print(type(error).__name__)
    return error


def _record(store: MetricsStore, ids: Sequence[str]) -> None:
    for name in ids:
        store.record_invocation(**_fields(name))  # type: ignore[arg-type]


def _batch(store: MetricsStore, ids: Sequence[str]) -> None:
    store.record_invocations(map(_fields, ids))


def _buffered(store: MetricsStore, ids: Sequence[str]) -> None:
    buffer = store.buffered(max_delay=3600)
    try:
        for name in ids:
            buffer.record_invocation(**_fields(name))  # type: ignore[arg-type]
        buffer.flush()
    finally:
        with suppress(*FULL):
            buffer.close()


def recording(path: Path, disk: Disk, how: Callable[[MetricsStore, Sequence[str]], None]) -> None:
    """Record until it is full, go on a little, make room, go on."""
    store = MetricsStore(settings=Settings(path, checkpoint_mb=0.2))
    kept: set[str] = set()
    asked: list[list[str]] = []

    def more(size: int = 20) -> None:
        asked.append([f"{len(asked)}-{n}" for n in range(size)])
        how(store, asked[-1])
        kept.update(asked[-1])

    more()
    for leave in (60_000, 0):
        disk.fill(path, leave)
        refused = 0
        while refused < 4:
            assert len(asked) < _TOO_MANY / 20, "the disk never got full"
            refused += _refused(more) is not None
            # Reading goes on, and knows all that was acknowledged.
            there = _ids(store)
            assert kept <= there
            assert store.get_summary().total_invocations == len(there)
            assert store.get_all_metrics()["deploy"].total_invocations == len(there)
        _another_reads(path, there)
        disk.free()
        # Everything once more, under the same ids.
        for ids in asked:
            how(store, ids)
            kept.update(ids)
        more()
        assert _ids(store) == kept
    store.close()
    assert problems(path) == []


def _another_reads(path: Path, expected: set[str]) -> None:
    """A process that opens the store only now sees the same, or says that there is no room."""
    child = os.fork()
    if child == 0:
        try:
            with MetricsStore(path, read_only=True) as store:
                os._exit(0 if _ids(store) == expected else 1)
        except MetricsStoreError as error:
            print("another reads:", type(error).__name__, error, error.hint, flush=True)
            os._exit(3)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def opening(path: Path, disk: Disk) -> None:
    """Make a new store where there is no room for it; then there is."""
    # A limit on files is called an I/O error; a disk can be asked whether there is room.
    limited = (*FULL, OpenError, ReadError)
    kinds = (DiskFull,) if isinstance(disk, Small) else limited
    for leave in (0, 4096, 30_000, 100_000, 200_000):
        disk.fill(path, leave)
        error = _refused(lambda: MetricsStore(path).close(), *kinds)
        disk.free()
        if error is None:
            break
    assert leave > 4096
    with MetricsStore(path) as store:
        store.record_invocation("deploy")
    assert problems(path) == []


def applying(path: Path, disk: Disk) -> None:
    """Change the schema where there is no room for it: all of it or nothing."""
    with MetricsStore(path) as store:
        _batch(store, [str(n) for n in range(300)])
    database = Database(Settings(path), Clock())
    newest = schema.version(database)
    schema.roll_back(database, newest - 2)
    for copies in [*path.parent.glob("*before*"), *path.parent.rglob("*.backups/*")]:
        if copies.is_file():
            copies.unlink()
    for leave in (0, 8192, 100_000, 400_000):
        disk.fill(path, leave)
        error = _refused(
            lambda: schema.apply(database), *FULL, NoSpace, BackupError, MigrationFailed,
            StoreNotWritable,
        )  # fmt: skip
        disk.free()
        if error is None:
            break
        assert schema.version(database) == newest - 2
    schema.apply(database)
    assert schema.version(database) == newest
    database.close()
    with MetricsStore(path) as store:
        assert store.get_summary().total_invocations == 300
    assert problems(path) == []
    assert not list(path.parent.rglob("*.tmp"))


def importing(path: Path, disk: Disk) -> None:
    """Take a legacy file in where there is no room for it; then there is."""
    json_file = path.with_name("legacy.json")
    records = [
        {
            "skill_name": f"skill {n % 5}",
            "invoked_at": f"2025-11-01T10:{n // 60 % 60:02d}:{n % 60:02d}.{n:06d}",
            "workflow_path": "x" * 300,
            "completed": True,
            "duration_seconds": 1.5,
            "follow_up_actions": [],
            "error_type": None,
        }
        for n in range(1500)
    ]
    json_file.write_text(json.dumps({"invocations": records, "skills": {}, "last_updated": "x"}))
    store = MetricsStore(settings=Settings(path, checkpoint_mb=0.2))
    _batch(store, ["before"])
    for leave in (0, 50_000, 300_000, 900_000):
        disk.fill(path, leave)
        error = _refused(lambda: take_in(store, json_file, zone="UTC"), *FULL, NoSpace)
        assert "before" in _ids(store)
        disk.free()
        if error is None:
            break
    report = take_in(store, json_file, zone="UTC")
    assert report.fine, report
    assert len(_ids(store)) == 1501
    assert take_in(store, json_file, zone="UTC").inserted == 0
    store.close()
    assert problems(path) == []


def backing_up(path: Path, disk: Disk) -> None:
    """Back up where there is no room for it; the backups that are there stay as they are."""
    store = MetricsStore(path)
    _batch(store, [str(n) for n in range(300)])
    first = creating.create(store.database).path
    for leave in (0, 4096, 200_000):
        disk.fill(path, leave)
        error = _refused(
            lambda: creating.create(store.database), *FULL, NoSpace, BackupError, StoreNotWritable
        )
        _batch_or_refused(store)
        disk.free()
        if error is None:
            break
        assert [file for file in first.parent.iterdir() if file.suffix == ".db"] == [first]
        assert not [file for file in first.parent.iterdir() if file.name.endswith(".tmp")]
    for made in (first, creating.create(store.database).path):
        verifying.verify(made)
        assert problems(made) == []
    store.close()
    assert problems(path) == []


def _batch_or_refused(store: MetricsStore) -> None:
    with suppress(*FULL):
        _batch(store, ["meanwhile"])


def commands(path: Path, disk: Disk) -> None:
    """The commands of an operator on a full disk, in a new process each: they read, or say why."""
    with MetricsStore(path) as store:
        _batch(store, [str(n) for n in range(300)])
    os.environ["METRICS_STORE_DB"] = str(path)
    looks = (
        ("skills", "list"),
        ("invocations", "--limit", "3"),
        ("check", "--quick"),
        ("check",),
        ("check", "--deep"),
        ("health",),
        ("health", "--stats"),
        ("info",),
        ("backup", "list"),
        ("schema", "status"),
    )
    changes = (("record", "x"), ("backup", "create"), ("vacuum",), ("analyze",), ("checkpoint",))
    for temporary in ("here", "elsewhere"):
        disk.fill(path)
        if temporary == "here":
            os.environ["TMPDIR"] = str(path.parent)
        said = {words: _run(words) for words in (*looks, *changes)}
        disk.free()
        os.environ.pop("TMPDIR", None)
        for words, code in said.items():
            # Health may well find that there is no space left; what changes may be refused. And
            # where no file at all may be written, a check has nowhere to put what it compares.
            limited = isinstance(disk, Limit) and words[0] == "check"
            fine = (0,) if words in looks and words[0] != "health" else (0, 1, 2, 3)
            fine = (0, 3) if limited else fine
            assert code in fine, (words, code, temporary)
        assert {words: code for words in (*looks[:5], *changes) if (code := _run(words))} == {}
    assert problems(path) == []


def _run(words: tuple[str, ...]) -> int:
    load_program()  # here once, and not in each child
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(2, 1)
            print("$", *words, file=sys.stderr, flush=True)
            code = main(words)
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


CASES: dict[str, Callable[[Path, Disk], None]] = {
    "record": lambda path, disk: recording(path, disk, _record),
    "batch": lambda path, disk: recording(path, disk, _batch),
    "buffered": lambda path, disk: recording(path, disk, _buffered),
    "opening": opening,
    "applying": applying,
    "importing": importing,
    "backing up": backing_up,
    "commands": commands,
}

if __name__ == "__main__":
    kind, folder, case = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    CASES[case](folder / "m.db", Small(folder) if kind == "tmpfs" else Limit(folder))
