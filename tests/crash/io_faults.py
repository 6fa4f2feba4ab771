"""Every I/O of every public write fails once, for ever, torn, or kills the process.

After each, a clean process looks: a write is there wholly or not at all, what was acknowledged is
there, an error was one of ours and true, writing the same again makes no duplicate, and the store
is sound.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from checking import problems
from fault_client import Done, Server, engines, swift_folder
from faulty_vfs import Fault, Io, Kind
from lines import Line
from public_write import BEFORE, DATABASE, Outcome, Write, ids_of
from public_writes import WRITES

from metrics_store import errors, sqlite

_FAILING: tuple[Kind, ...] = ("once", "ever")
#: What can happen at a call, by its method.
_KINDS: dict[str, tuple[Kind, ...]] = {
    "write": (*_FAILING, "full", "stays full", "torn", "kill", "kill torn"),
    "sync": (*_FAILING, "kill", "kill after"),
    "truncate": (*_FAILING, "kill"),
    "delete": (*_FAILING, "kill"),
    "open": (*_FAILING, "kill"),
    "map": (*_FAILING, "stays full"),
}
#: What the process does after an error: ends without closing, closes, or goes on with its store.
_THEN: tuple[str, ...] = ("die", "close", "go on")
#: Up to so many calls, each is tried with everything that can come after it.
_FEW = 120
#: Cases of a write that can be tried with the product's own binding too.
_SAMPLE = 100


class Case(NamedTuple):
    """A write, what is injected into it, and what the process does then."""

    write: Write
    io: Io
    fault: Fault
    then: str

    def __str__(self) -> str:
        io = self.io
        part = f" ({self.fault.part:.2f} of it)" if "torn" in self.fault.kind else ""
        where = f"{io.method} of {io.file} at {io.offset} + {io.size}"
        return f"{self.write.name}: call {io.number}, {where}: {self.fault.kind}{part}, {self.then}"


@dataclass(slots=True)
class Found:
    """What a clean process found after a case."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)


def cases_of(
    write: Write, calls: Iterable[Io], rng: random.Random, *, every: bool, sparing: bool = False
) -> list[Case]:
    """Every call with the faults that can strike it.

    Args:
        every: all that can come after an error; else one of them for each, by chance.
        sparing: one fault only, by chance, for each call that changes nothing on the disk.
    """
    cases = []
    for io in calls:
        kinds = _KINDS.get(io.method, _FAILING)
        for kind in [rng.choice(kinds)] if sparing and kinds == _FAILING else kinds:
            fault = Fault(kind, io.number, rng.choice((0.0, rng.random(), 0.999)))
            thens = ("die",) if "kill" in kind else _THEN if every else (rng.choice(_THEN),)
            cases += [Case(write, io, fault, then) for then in thens]
    return cases


def judged(case: Case, done: Done) -> Found:
    """Look at what a case left."""
    found = Found()
    try:
        look(case, done, found)
        if not found.wrong:
            _again(case, done, found)
    except Exception as error:
        found.wrong.append(f"looking: {type(error).__name__}: {error}")
    if found.wrong or found.lost or found.doubled:
        found.wrong = [f"{case} (in {done.folder.name}): {wrong}" for wrong in found.wrong]
        found.wrong.append(f"{case}: said {done.said}"[:1500])
    else:
        shutil.rmtree(done.folder)
    return found


def look(case: Case, done: Done, found: Found) -> None:
    """What can be told before anybody of ours has opened the store."""
    kills = "kill" in case.fault.kind
    if not (done.ending == 0 or (kills and done.ending == -9)):
        found.wrong.append(f"the process ended with {done.ending}: {done.stderr[-1500:]}")
    elif done.stderr:
        found.wrong.append(f"it said on stderr: {done.stderr[-1500:]}")
    found.wrong += [f"{bug}" for bug in done.words("bug")]
    for ids, total in done.words("read"):
        assert isinstance(ids, list)
        if len({*ids, *case.write.deletes}) != total:
            found.wrong.append(f"a failing store told {len(ids)} rows and {total} in all")
        found.wrong += _whole(case.write, set(ids))
    if case.then == "go on" and done.words("failed again"):
        found.wrong.append(f"the store does not recover: {done.words('failed again')}")
    path = done.folder / DATABASE
    if not case.write.open_before and not _has_log(path):
        return  # opening it failed before anything was there
    found.wrong += problems(path)
    ids = ids_of(path)
    said = {str(word) for (word,) in done.words("kept")}
    kept = {word for word in said if " " not in word}
    found.acknowledged = len(kept) + len(BEFORE) * case.write.has_store
    lost = kept - ids
    found.lost = len(lost)
    found.wrong += [f"lost: {sorted(lost)}"] if lost else []
    found.wrong += _whole(case.write, ids)
    found.wrong += _untrue(case, done, ids)
    failures = [] if case.then == "go on" else done.words("failed")
    failed = str(failures[0][0]) if failures else ""
    found.wrong += case.write.look(Outcome(done.folder, ids, said, failed))


def _untrue(case: Case, done: Done, ids: set[str]) -> list[str]:
    """An error that does not say that a write failed, or says it where it did not."""
    for name, text in done.words("failed"):
        kind = getattr(errors, str(name))
        if case.write.write_errors and not issubclass(kind, errors.WriteError):
            return [f"{name} was raised by a write: {text}"]
        if kind is errors.OutcomeUnknown or case.then == "go on":
            return []
        if case.then == "close" and case.write.tries_at_close:
            return []
        if there := ids & frozenset().union(*case.write.groups):
            return [f"{name} was raised, and {sorted(there)} are there"]
    return []


def _has_log(path: Path) -> bool:
    connection = sqlite.connect(str(path))
    with closing(connection):
        sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'skill_invocation'"
        return bool(connection.execute(sql).fetchone()[0])


def _whole(write: Write, ids: set[str]) -> list[str]:
    wrong = []
    if write.has_store and (missing := set(BEFORE) - ids):
        wrong.append(f"lost of what was there before: {sorted(missing)}")
    return wrong + [
        f"{len(ids & group)} of a group of {len(group)} are there"
        for group in write.groups
        if ids & group and not group <= ids
    ]


def _again(case: Case, done: Done, found: Found) -> None:
    """Do the same once more, on a disk that works."""
    path, said = done.folder / DATABASE, set[str]()
    place = case.write.place(done.folder, said.add)
    case.write.run(place)
    with place.store as store:
        store.reap(older_than=1e-6)
        assert store.in_flight() == []
        total = store.get_summary().total_invocations
    found.wrong += problems(path)
    ids = ids_of(path)
    earlier = {str(word) for (word,) in done.words("kept")}
    found.wrong += case.write.look(Outcome(done.folder, ids, said | earlier, "", again=True))
    due = len({*_settled(case, done), *(word for word in said if " " not in word)})
    if len(ids | case.write.deletes) != total:
        found.wrong.append(f"{len(ids)} rows, {total} in all")
    if len(ids) > due:
        found.doubled = len(ids) - due
        found.wrong.append(f"{len(ids)} rows where {due} were due")
    elif len(ids) < due:
        found.wrong.append(f"{len(ids)} rows where {due} were due, once it was done again")


def _settled(case: Case, done: Done) -> set[str]:
    """What is due beside what doing it again has said."""
    said = {str(word).removeprefix("started ") for (word,) in done.words("kept")}
    return {*(BEFORE if case.write.has_store else ()), *(id_ for id_ in said if " " not in id_)}


# The campaign ------------------------------------------------------------------------------------


def tried(
    server: Server,
    write: Write,
    rng: random.Random,
    *,
    sparing: bool = False,
    most: int | None = None,
) -> Line:
    """A write with every fault, or with so many of them by chance.

    Args:
        sparing: as :func:`cases_of`.
        most: how many.
    """
    calls = server.calls(write)
    every = most is None and not sparing and len(calls) <= _FEW
    cases = cases_of(write, calls, rng, every=every, sparing=sparing)
    if most is not None and most < len(cases):
        cases = sorted(rng.sample(cases, most), key=lambda case: case.io.number)
    found = list(_found(server, cases))
    return Line(
        f"{write.name}: {len(calls)} calls of the disk, SQLite {server.sqlite}",
        len(cases),
        sum(not each.wrong for each in found),
        sum(each.acknowledged for each in found),
        sum(each.lost for each in found),
        sum(each.doubled for each in found),
        wrong=tuple(wrong for each in found for wrong in each.wrong),
    )


def _found(server: Server, cases: Iterable[Case]) -> Iterator[Found]:
    """What was found after each case; the next one is run meanwhile, in the server's process."""
    with ThreadPoolExecutor(1) as looking:
        looked: Future[Found] | None = None
        for case in cases:
            done = server.do(case.write, case.fault, case.then)
            if looked is not None:
                yield looked.result()
            looked = looking.submit(judged, case, done)
        if looked is not None:
            yield looked.result()


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """Every call of every write with every fault, once a round; with apsw a sample of them."""
    for round_ in range(rounds):
        for engine in engines():
            with swift_folder("io-faults") as folder:
                try:
                    server = Server(folder, engine)
                except LookupError as error:
                    yield Line(engine or "the product's own SQLite", skipped=str(error))
                    continue
                with server:
                    for write in writes_for(server):
                        rng = random.Random(f"{seed} {round_} {write.name}")
                        whole = not engine or write.needs_apsw
                        yield tried(server, write, rng, most=None if whole else _SAMPLE)


def writes_for(server: Server) -> list[Write]:
    """The writes that can be tried with a server."""
    return [write for write in WRITES.values() if server.engine == "apsw" or not write.needs_apsw]
