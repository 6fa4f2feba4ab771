"""Whatever call of the disk fails, tears or kills: all or nothing, and what was told is true.

All calls of all writes are tried by ``scripts/faults --only io``.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from checking import problems
from fault_client import Done, Server, engines, swift_folder
from fault_server import SAID
from faulty_vfs import Fault
from io_faults import Case, Found, cases_of, look, tried
from public_write import BEFORE, DATABASE, Write, ids_of
from public_writes import WRITES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its writers are forked")


@pytest.fixture(scope="module", params=engines(), ids=lambda engine: engine or "own")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Writes on a faulty disk: with the product's own binding, and with apsw."""
    with swift_folder("faults") as folder:
        try:
            server = Server(folder, request.param)
        except LookupError as error:
            pytest.skip(str(error))
        with server:
            yield server


@pytest.fixture
def rng() -> random.Random:
    """Chance that is the same each time; METRICS_TEST_SEED gives another."""
    seed = int(os.environ.get("METRICS_TEST_SEED", "1"))
    print(f"METRICS_TEST_SEED={seed}")
    return random.Random(seed)


def test_every_fault_at_every_call_of_a_record(server: Server, rng: random.Random) -> None:
    if server.engine:
        pytest.skip("once is enough")
    line = tried(server, WRITES["record"], rng, sparing=True)
    assert line.fine, "\n".join(line.wrong)
    assert line.cases > len(server.calls(WRITES["record"])) > 50


@pytest.mark.parametrize("name", WRITES)
def test_some_faults_at_any_call_of_every_write(
    server: Server, rng: random.Random, name: str
) -> None:
    write = WRITES[name]
    if write.needs_apsw and not server.engine:
        pytest.skip("it needs apsw, and is tried with it")
    if server.engine and not write.needs_apsw and name != "record":
        pytest.skip("it is tried with the product's own binding")
    line = tried(server, write, rng, most=10)
    assert line.fine, "\n".join(line.wrong)
    assert line.cases == 10


# The faults themselves, and those who look for what they did ----------------------------------


def _first(server: Server, write: Write, method: str, file: str = "m.db-wal") -> int:
    calls = server.calls(write)
    return next(io.number for io in calls if (io.method, io.file) == (method, file))


def test_a_killed_write_is_killed_where_it_was_told(server: Server) -> None:
    write = WRITES["record"]
    number = _first(server, write, "sync")
    done = server.do(write, Fault("kill", number), "die")
    assert done.ending == -9
    assert done.said == [["begin"]]
    survived = server.do(write, Fault("kill", 1_000_000), "close")
    assert survived.ending == 0
    assert survived.words("kept") == [["one"]]


def test_a_torn_write_leaves_a_part(server: Server) -> None:
    write = WRITES["record"]
    calls = server.calls(write)
    number = next(io.number for io in calls if io.method == "write" and io.size == 4096)
    done = server.do(write, Fault("kill torn", number, 0.25), "die")
    whole = server.do(write, Fault("kill", number + 1), "die")
    sizes = [(each.folder / f"{DATABASE}-wal").stat().st_size for each in (done, whole)]
    assert sizes[1] - sizes[0] == 4096 * 3 // 4


def test_one_failure_is_over_and_lasting_ones_go_on(server: Server) -> None:
    write = WRITES["record"]
    number = _first(server, write, "write")
    once = server.do(write, Fault("once", number), "close")
    # Looked up by its id and written again, which is what a record does after an error.
    assert once.words("kept") == [["one"]]
    ever = server.do(write, Fault("ever", number), "close")
    assert ever.words("kept") == []
    assert ever.words("failed")[0][0] == "OutcomeUnknown"
    full = server.do(write, Fault("stays full", number), "go on")
    assert full.words("failed")[0][0] == "DiskFull"
    assert full.words("read")[0][1] == len(BEFORE), "a full disk can be read"
    assert full.words("kept") == [["one"]], "and written to when it has space again"


def test_every_method_of_the_disk_is_tried(server: Server) -> None:
    methods = {io.method for name in ("new file", "batch") for io in server.calls(WRITES[name])}
    assert methods == {
        "open", "delete", "access", "read", "write", "truncate", "sync", "size", "lock", "map",
        "shlock",
    }  # fmt: skip


def test_the_look_notices_what_is_lost_and_what_is_half_there(server: Server) -> None:
    write = WRITES["batch"]
    (case, *_) = cases_of(write, server.calls(write), random.Random(1), every=False)
    done = server.do(write)
    assert done.ending == 0
    assert ids_of(done.folder / DATABASE) >= set(BEFORE)

    def found(*words: list[object], ending: int = 0, case: Case = case) -> Found:
        found = Found()
        look(case, Done(done.folder, ending, [*done.said, *words], ""), found)
        return found

    assert found().wrong == []
    assert found(["kept", "never"]).lost == 1
    assert found(["bug", "failed", "KeyError"]).wrong
    assert found(["failed again", "WriteError"], case=case._replace(then="go on")).wrong
    assert found(["failed", "DiskFull", ""], case=case._replace(then="die")).wrong
    assert found(["failed", "ReadError", ""], case=case._replace(then="die")).wrong
    assert found(["read", [*BEFORE[:-1]], len(BEFORE) - 1]).wrong
    assert found(["read", [*BEFORE], 0]).wrong
    assert found(ending=-11).wrong
    assert Found().wrong == []


def test_what_children_say_survives_them(server: Server, tmp_path: Path) -> None:
    done = server.do(WRITES["many"], Fault("kill", 200), "die")
    lines = (done.folder / SAID).read_text().splitlines()
    assert [json.loads(line) for line in lines] == done.said
    kept = {word for (word,) in done.words("kept")}
    assert 0 < len(kept) < 40
    assert problems(done.folder / DATABASE) == []
    assert kept <= ids_of(done.folder / DATABASE)
