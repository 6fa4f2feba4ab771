"""Old code on a newer schema, new code on an old one, both at once: refused, or right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import problems
from versions import NEWEST, Process, Version

from metrics_store import MetricsStore, sqlite

Start = Callable[[Version], Process]
_OLD, _FUTURE = NEWEST - 1, NEWEST + 1


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """The version before this one: our code, one migration fewer."""
    return Version(tmp_path_factory.mktemp("old"), _OLD)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """This version."""
    return Version(tmp_path_factory.mktemp("new"), NEWEST)


@pytest.fixture(scope="module")
def future(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version to come: our code, one migration more, which is made up."""
    return Version(tmp_path_factory.mktemp("future"), _FUTURE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store will be; not named *.db, for its newer schema is not ours to check."""
    return tmp_path / "store" / "m.db"


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Start processes of versions at the store."""
    started: list[Process] = []

    def begin(version: Version) -> Process:
        started.append(version.process(path))
        assert started[-1].wait() == "ready"
        return started[-1]

    yield begin
    for process in started:
        process.end()


def _schema(path: Path) -> tuple[int, list[int]]:
    connection = sqlite.connect(str(path), read_only=True)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        ledger = connection.execute("SELECT version FROM schema_migrations ORDER BY version")
        return version, [row[0] for row in ledger]
    finally:
        connection.close()


def _rows(path: Path) -> set[str]:
    connection = sqlite.connect(str(path), read_only=True)
    try:
        return {row[0] for row in connection.execute("SELECT id FROM skill_invocation")}
    finally:
        connection.close()


def _made(start: Start, version: Version) -> Process:
    process = start(version)
    assert process("open") == "ok done"
    assert process("batch", "a", "b", "c") == "ok 3"
    return process


def test_old_code_refuses_a_store_of_a_newer_schema_and_leaves_it(
    start: Start, path: Path, old: Version, future: Version, new: Version
) -> None:
    assert _made(start, future)("close") == "ok done"
    before = path.read_bytes()
    for version in (old, new):
        process = start(version)
        assert process("open") == "SchemaNewer"
        assert process("read only") == "SchemaNewer"
        for words in (("skills", "list"), ("record", "x"), ("reap",), ("export",)):
            done = version.command(*words, "--db", path)
            assert done.returncode == 3, (words, done.stderr)
            assert done.stdout == ""
            assert f"has schema {_FUTURE}" in done.stderr
            assert "hint: Upgrade" in done.stderr
        assert version.command("check", "--db", path).returncode == 1
        assert "schema_newer" in version.command("check", "--json", "--db", path).stdout
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["m.db"]


def test_new_code_brings_an_old_store_up_and_keeps_a_copy_of_it(
    start: Start, path: Path, old: Version, new: Version
) -> None:
    assert _made(start, old)("close") == "ok done"
    assert _schema(path) == (_OLD, list(range(1, _OLD + 1)))
    process = start(new)
    assert process("open") == "ok done"
    assert process("count") == "ok 3"
    assert _schema(path) == (NEWEST, list(range(1, NEWEST + 1)))
    copies = [
        file
        for file in path.parent.rglob("*")
        if file.is_file() and file.read_bytes()[:16] == b"SQLite format 3\0" and file != path
    ]
    (copy,) = copies
    assert _schema(copy)[0] == _OLD
    assert _rows(copy) == {"a", "b", "c"}
    # The old code works with the copy, should somebody have to go back.
    there = old.command("invocations", "--json", "--db", copy)
    assert there.returncode == 0
    assert '"b"' in there.stdout
    assert process("close") == "ok done"
    assert problems(path) == []


def test_an_old_process_is_refused_from_the_moment_the_schema_is_newer(
    start: Start, path: Path, old: Version, new: Version
) -> None:
    before = _made(start, old)
    assert before("start").startswith("ok ")
    assert before("buffer", "buffered") == "ok buffered"
    after = start(new)
    assert after("open") == "ok done"
    for words in (
        ("record", "r"),
        ("batch", "d", "e"),
        ("heartbeat",),
        ("end",),
        ("start",),
        ("flush",),
        ("reap",),
    ):
        assert before(*words) == "SchemaNewer", words
        assert before(*words) == "SchemaNewer", words
    # Reading is refused too, or right.
    for words in (("count",), ("summary",)):
        assert before(*words) in ("SchemaNewer", "ok 3")
    # Nothing is lost, nothing half: what was in flight is, and its process can be seen to run.
    assert _rows(path) == {"a", "b", "c"}
    assert after("summary") == "ok 3"
    assert after("record", "r") == "ok r"
    with MetricsStore(path) as store:
        assert [flying.skill_name for flying in store.in_flight()] == ["flying"]
        assert store.reap() == ()
    # What the old process could not write, another takes over when it has ended.
    assert before("close") == "SchemaNewer", "its buffer has a record that cannot be kept"
    before.end()
    with MetricsStore(path) as store:
        assert [reaped.skill_name for reaped in store.reap()] == ["flying"]
    assert problems(path) == []


def test_processes_of_both_write_while_one_brings_the_schema_up(
    start: Start, path: Path, old: Version, new: Version
) -> None:
    _made(start, old)
    writers = [start(old) for _ in range(3)]
    for writer in writers:
        assert writer("open") == "ok done"
    for n, writer in enumerate(writers):
        writer.tell("many", n, 20_000)
    newer = start(new)
    assert newer("open") == "ok done"
    assert newer("many", "new", 200) == "ok 200 all"
    kept = {"a", "b", "c"} | {f"new-{n}" for n in range(200)}
    for n, writer in enumerate(writers):
        word, done, why = writer.wait().split()
        assert (word, why) == ("ok", "SchemaNewer")
        kept |= {f"{n}-{m}" for m in range(int(done))}
    assert _rows(path) == kept
    assert _schema(path)[0] == NEWEST
    assert problems(path) == []


def test_old_and_new_open_a_new_file_at_once(
    start: Start, path: Path, old: Version, new: Version, future: Version
) -> None:
    crowd = [start(version) for version in (old, new, future, old, new, future)]
    path.parent.mkdir()
    for number in range(6):
        for process in crowd[number:] + crowd[:number]:
            process.tell("open")
        answers = [process.wait() for process in crowd[number:] + crowd[:number]]
        assert set(answers) <= {"ok done", "SchemaNewer"}
        for n, process in enumerate(crowd):
            said = process("record", f"{number}-{n}")
            # A store that could not be opened was not made at all.
            assert said.startswith(("SchemaNewer", "ok ", "not ours: AttributeError"))
            assert (n in (2, 5)) == said.startswith("ok ")
        assert _schema(path) == (_FUTURE, list(range(1, _FUTURE + 1)))
        assert len(_rows(path)) == 2
        for process in crowd[2::3]:
            assert process("close") == "ok done"
        for file in path.parent.iterdir():
            if file.is_file():
                file.unlink()


def test_a_schema_that_is_taken_back_stops_who_has_the_newer_one_open(
    start: Start, path: Path, new: Version, future: Version
) -> None:
    process = _made(start, future)
    back = future.command("schema", "rollback", "--to", NEWEST, "--execute", "--db", path)
    assert back.returncode == 0, back.stderr
    assert _schema(path)[0] == NEWEST
    for words in (("record", "r"), ("batch", "d"), ("start",), ("reap",)):
        assert process(*words) == "SchemaError"
    older = start(new)
    assert older("open") == "ok done"
    assert older("record", "r") == "ok r"
    # Opened again, the newer code brings it up again, and the other one is refused.
    assert process("open") == "ok done"
    assert process("record", "s") == "ok s"
    assert older("record", "t") == "SchemaNewer"
    assert _rows(path) == {"a", "b", "c", "r", "s"}


def test_backups_of_a_newer_schema_are_made_and_not_restored_by_old_code(
    start: Start, path: Path, tmp_path: Path, new: Version, future: Version
) -> None:
    process = _made(start, future)
    folder = tmp_path / "backups"
    made = new.command("backup", "create", folder, "--db", path)
    assert made.returncode == 0, made.stderr
    assert future.command("backup", "create", folder, "--db", path).returncode == 0
    other = tmp_path / "other.db"
    with MetricsStore(other) as store:
        store.record_invocation("deploy")
    before = _rows(other)
    for backup in folder.glob("*.db"):
        assert _schema(backup)[0] == _FUTURE
        refused = new.command("restore", backup, "--execute", "--db", other)
        assert refused.returncode == 2, refused.stderr
        assert "newer" in refused.stderr
        assert _rows(other) == before
        assert future.command("backup", "verify", backup).returncode == 0
    assert process("record", "d") == "ok d"
