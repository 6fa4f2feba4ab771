"""The public writes that a faulty disk is tried with: what a runner does, what an operator does."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

from checking import problems
from public_write import BEFORE, DATABASE, Outcome, Place, Write, ids_of, record, records
from telemetry_writes import TELEMETRY

from metrics_store import MetricsStore, Settings, manifest, schema, sqlite
from metrics_store.backup import creating, restoring
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.integrity.checking import check_file
from metrics_store.legacy.importing import take_in

# A runner's -----------------------------------------------------------------------------------


def _record(place: Place) -> None:
    place.say(record(place.store, "one"))


_BATCH = tuple(f"batch{n}" for n in range(30))


def _batch(place: Place) -> None:
    place.store.record_invocations(records(_BATCH, 7))
    for name in _BATCH:
        place.say(name)


_BUFFERED = tuple(f"buffered{n}" for n in range(12))


def _buffered(place: Place) -> None:
    buffer = place.store.buffered(max_delay=3600)
    for fields in records(_BUFFERED, 3):
        buffer.record_invocation(**fields)  # type: ignore[arg-type]
    buffer.flush()
    for name in _BUFFERED:
        place.say(name)
    buffer.close()


def _track(place: Place) -> None:
    with place.store.track_invocation("tracked", "way", attributes={"n": 1}) as started:
        place.say(f"started {started.invocation_id}")
        started.heartbeat()
    place.say(started.invocation_id)


def _leave_in_flight(folder: Path) -> None:
    with MetricsStore(folder / DATABASE) as store:
        ids = [store.track_invocation("left", f"way {n}").invocation_id for n in range(3)]
    (folder / "in flight").write_text("\n".join(ids))


def _reap(place: Place) -> None:
    place.store.reap(older_than=1e-6)
    for name in (place.folder / "in flight").read_text().split():
        place.say(name)


_MANY = tuple(f"many{n}" for n in range(40))


def _many(place: Place) -> None:
    """So many that the log is folded back on the way."""
    for id_ in _MANY:
        place.say(record(place.store, id_))


_OLDEN = tuple(f"olden{n}" for n in range(30))


def _record_olden(folder: Path) -> None:
    with MetricsStore(folder / DATABASE) as store:
        olden = [{**r, "invoked_at": "2020-03-10T12:00:00Z"} for r in records(_OLDEN, 4)]
        store.record_invocations(olden)


def _retain(place: Place) -> None:
    place.say(record(place.store, "one"))  # the last row of a log stays
    place.store.retain({"skill": "5 years"}, trust_clock=True)
    place.say("what was old is gone")


def _numbers_stay(outcome: Outcome) -> list[str]:
    wrong = []
    with closing(sqlite.connect(str(outcome.folder / DATABASE))) as connection:
        sql = "SELECT sum(n) FROM rollup WHERE scope = 'skill' AND kind = 'total'"
        (total,) = connection.execute(sql).fetchone()
    if total != (due := len(BEFORE) + len(_OLDEN) + ("one" in outcome.ids)):
        wrong.append(f"{total} are counted, and not {due}")
    if "what was old is gone" in outcome.said and outcome.ids & set(_OLDEN):
        wrong.append("it was told that it had been deleted")
    return wrong


# An operator's --------------------------------------------------------------------------------

_NO_MANIFEST = "no manifest of"
#: The first version that has records.
_OLD = 2


def _make_old(folder: Path) -> None:
    with closing(Database(Settings(folder / DATABASE), Clock())) as database:
        schema.roll_back(database, _OLD)
    for copy in folder.glob(f"{DATABASE}.*before-schema-change*"):
        copy.unlink()
    shutil.rmtree(folder / f"{DATABASE}.backups", ignore_errors=True)


def _backups_are_whole(outcome: Outcome) -> list[str]:
    """Whatever has the name of a backup is one, and whoever was told of one has it."""
    folder = outcome.folder
    copies = list(folder.glob(f"{DATABASE}.before-schema-change-*[0-9]"))
    copies += folder.glob(f"{DATABASE}.backups/*.db")
    wrong = [f"{copy.name}: {found[:3]}" for copy in copies if (found := problems(copy))]
    wrong += [
        f"{entry.path.name}: {entry.problem}"
        for entry in manifest.of_directory(folder / f"{DATABASE}.backups")
        if entry.problem and not _is_excused(entry.path.name, entry.problem, outcome)
    ]
    told = {said.removeprefix("backup ") for said in outcome.said if said.startswith("backup ")}
    names = {copy.name for copy in copies}
    return wrong + [f"{name} is not there" for name in told - names]


def _is_excused(name: str, problem: str, outcome: Outcome) -> bool:
    """A killed restore leaves the manifest of its copy to the next one, and one on a disk that
    fails says that there is none."""
    told = f"{_NO_MANIFEST} {name}" in outcome.said
    return problem == "it has no manifest" and (told or not outcome.again)


_LEGACY = "legacy.json"
_LEGACY_RECORDS = 25


def _write_legacy(folder: Path) -> None:
    invocations: list[dict[str, object]] = [
        {
            "skill_name": f"old {n % 4}",
            "invoked_at": f"2025-11-0{1 + n % 9}T10:00:{n:02d}",
            "workflow_path": None,
            "completed": True,
            "duration_seconds": n / 4,
            "follow_up_actions": [],
            "error_type": None,
        }
        for n in range(_LEGACY_RECORDS)
    ]
    text = json.dumps({"invocations": invocations, "skills": {}, "last_updated": "x"}, indent=2)
    (folder / _LEGACY).write_text(text)


def _import(place: Place) -> None:
    report = take_in(place.store, place.folder / _LEGACY, zone="UTC")
    assert report.read == _LEGACY_RECORDS, report
    assert not report.comparison.unexplained, report
    ids = place.store.query("SELECT id FROM skill_invocation WHERE origin = 'legacy'")
    assert len(ids) == _LEGACY_RECORDS, ids
    for row in ids:
        place.say(str(row["id"]))


def _back_up(place: Place) -> None:
    place.say(f"backup {place.store.back_up().path.name}")


_LATER = tuple(f"later{n}" for n in range(9))


def _make_backup(folder: Path) -> None:
    with MetricsStore(folder / DATABASE) as store:
        creating.create(store.database, folder / "elsewhere")
        store.record_invocations(records(_LATER, 2))


def _restore(place: Place) -> None:
    (file,) = (place.folder / "elsewhere").glob("*.db")
    restored = restoring.restore(file, place.settings, Clock())
    place.say("it was restored")
    if restored.safety and any("got no manifest" in problem for problem in restored.problems):
        place.say(f"{_NO_MANIFEST} {Path(restored.safety).name}")


def _is_old_or_restored(outcome: Outcome) -> list[str]:
    wrong = _backups_are_whole(outcome)
    there = outcome.ids & set(_LATER)
    if there and len(there) < len(_LATER):
        wrong.append(f"half restored: {sorted(there)}")
    if there and "it was restored" in outcome.said:
        wrong.append("it was told that it had been restored")
    if not there and outcome.failed and outcome.failed != "OutcomeUnknown":
        wrong.append(f"{outcome.failed} was raised, and it is restored")
    copies = (outcome.folder / f"{DATABASE}.backups").glob("*.db")
    if not there and not any(set(_LATER) <= ids_of(copy) for copy in copies):
        wrong.append("it is restored, and there is no copy of what was there")
    return wrong


def _spoil(folder: Path) -> None:
    """Take away what can be made anew."""
    with closing(sqlite.connect(str(folder / DATABASE))) as connection:
        connection.execute("DROP VIEW skill_metrics_summary")
        connection.execute("CREATE VIEW of_nobody AS SELECT 1")


def _repair(place: Place) -> None:
    if not place.store.repair().left:
        place.say("it was repaired")


def _is_repaired(outcome: Outcome) -> list[str]:
    wrong = _backups_are_whole(outcome)
    errors = check_file(outcome.folder / DATABASE, level="deep").errors
    if errors and "it was repaired" in outcome.said:
        wrong.append(f"it was told that it had been repaired: {errors}")
    return wrong


def _grow(folder: Path) -> None:
    with closing(sqlite.connect(str(folder / DATABASE))) as connection:
        connection.execute("CREATE TABLE big AS SELECT randomblob(40000) AS x")
        connection.execute("INSERT INTO big SELECT randomblob(40000)")
        connection.execute("DROP TABLE big")


def _vacuum(place: Place) -> None:
    place.store.vacuum(full=True)
    place.say("it was vacuumed")


_ONE = (frozenset({"one"}),)
WRITES = {
    write.name: write
    for write in (
        Write("record", _record, groups=_ONE, write_errors=True),
        Write("batch", _batch, groups=(frozenset(_BATCH),), write_errors=True),
        Write(
            "buffered",
            _buffered,
            groups=(frozenset(_BUFFERED),),
            write_errors=True,
            tries_at_close=True,
        ),
        Write("track", _track, write_errors=True),
        Write("reap", _reap, _leave_in_flight, write_errors=True),
        Write("many", _many, write_errors=True, changes={"checkpoint_mb": 0.1}),
        Write("new file", _record, groups=_ONE, open_before=False, has_store=False),
        Write("upgrade", _record, _make_old, _backups_are_whole, _ONE, open_before=False),
        Write("import", _import, _write_legacy),
        Write("backup", _back_up, look=_backups_are_whole),
        Write(
            "restore",
            _restore,
            _make_backup,
            _is_old_or_restored,
            open_before=False,
            needs_apsw=True,
        ),
        Write("repair", _repair, _spoil, _is_repaired),
        Write("vacuum", _vacuum, _grow),
        Write(
            "retain",
            _retain,
            _record_olden,
            _numbers_stay,
            deletes=frozenset(_OLDEN),
        ),
        *TELEMETRY,
    )
}
