"""Repairing: what follows from the logs and the migrations is made anew; the logs are not touched.

All of it is one transaction: killed in the midst of it, the store is as it was. Others that write
wait meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from metrics_store import families, sqlite
from metrics_store.connection import Database
from metrics_store.errors import MetricsStoreError
from metrics_store.families import Family
from metrics_store.integrity import expected, mending, objects
from metrics_store.integrity.checking import check_file
from metrics_store.integrity.findings import CheckReport, Finding
from metrics_store.integrity.looking import RESTORE, Progress
from metrics_store.integrity.mending import Mended, Mending
from metrics_store.results import Result
from metrics_store.sqlite import Connection

#: What says that rows of a log are not what they were: its rollups may still be, and are kept.
_LOG_DAMAGE = ("row_digest", "rows_unreadable", "page_damage")
_ROLLUPS = ("rollup_missing", "rollup_extra", "rollup_differs", "bucket_bound", "left_over")
#: Those that say of which family they are.
_OF_ONE = frozenset({"rollup_missing", "rollup_extra", "rollup_differs"})
#: What only writing the file anew puts right.
_OF_THE_FILE = ("page_damage", "pointer_map")
#: Busy, locked, out of memory, an I/O error, a full disk.
_NOT_THE_DATABASE = (5, 6, 7, 10, 13)
_LEDGER = "the ledger"
_KEPT = ("rollup_missing", "rollup_extra", "rollup_differs", "search_paths")

Step = tuple[str, Iterator[Mended]]


@dataclass(frozen=True, slots=True)
class RepairReport(Result):
    """What a repair came to.

    Args:
        path: the database.
        before: what the check before it found.
        done: what was made anew, in the order of doing.
        left: findings that it could do nothing about.
    """

    path: str
    before: CheckReport
    done: tuple[Mended, ...]
    left: tuple[Finding, ...]


def repair(
    database: Database,
    report: CheckReport | None = None,
    *,
    progress: Progress | None = None,
) -> RepairReport:
    """Make anew what follows from the logs, in one transaction. The caller has made a copy.

    The rollups of a log that is damaged are left as they are: they may be the only trace of what
    was in it.

    Args:
        database: open for writing.
        report: of a deep check just before; by default one is made.
        progress: called with what is done, how far it is, and how far it goes.

    Raises:
        WriteError: nothing was changed.
    """
    database.require_writable()
    if report is None or report.level != "deep":
        report = check_file(
            database.path, level="deep", now_us=database.clock.now_us(), progress=progress
        )
    found = report
    damaged = _damaged_logs(found)
    left = [finding for finding in found.findings if not finding.repairable]
    if damaged:
        action = f"Its log is damaged, so it was left as it is. {RESTORE}"
        left += [replace(f, action=action) for f in found.findings if f.kind in _KEPT]
    if not any(finding.repairable for finding in found.findings):
        return RepairReport(database.path, found, (), tuple(left))
    done, failed = _mended(database, found, damaged, progress or _silence)
    if any(f.repairable and f.kind in _OF_THE_FILE for f in found.findings) and not failed:
        failed = _written_anew(database, done, progress or _silence)
    return RepairReport(database.path, found, tuple(done), (*left, *failed))


def _silence(what: str, done: int, total: int) -> None:
    pass


class _StepFailed(Exception):
    """A step of the repair cannot be done, and nothing of the repair was kept."""

    def __init__(self, about: str, why: str) -> None:
        super().__init__(about)
        self.about, self.why = about, why


def _mended(
    database: Database, found: CheckReport, damaged: frozenset[str], tell: Progress
) -> tuple[list[Mended], list[Finding]]:
    """Do what can be done in one transaction; if a step fails, all again without it."""
    failed: dict[str, Finding] = {}

    def work(connection: Connection) -> list[Mended]:
        done: list[Mended] = []
        try:
            known = objects.known_version(connection)
        except sqlite.DatabaseError as error:
            if sqlite.code(error) in _NOT_THE_DATABASE:
                raise
            raise _StepFailed(_LEDGER, str(error)) from error
        if not 0 < known <= expected.newest():
            return done
        under_way = Mending(connection, expected.objects(known), tell)
        for about, step in _steps(under_way, found, damaged):
            if about in failed:
                continue
            tell(about, 0, 0)
            try:
                done += step
            except sqlite.DatabaseError as error:
                if sqlite.code(error) in _NOT_THE_DATABASE:
                    raise
                raise _StepFailed(about, str(error)) from error
        return done

    while True:
        try:
            return database.write(work, check_schema=False, rows=1000), list(failed.values())
        except _StepFailed as step:
            if step.about == _LEDGER:
                return [], [*failed.values(), _not_done(_LEDGER, step.why)]
            failed[step.about] = _not_done(step.about, step.why)


def _written_anew(database: Database, done: list[Mended], tell: Progress) -> list[Finding]:
    """Write the file anew, without the pages that belong to nothing."""
    tell("writing the file anew", 0, 0)
    try:
        database.run_alone("VACUUM")
    except MetricsStoreError as error:
        failure = _not_done("writing the file anew", str(error))
        return [replace(failure, action="Do it later: metrics-store vacuum --full")]
    done.append(Mended("written anew", "the file"))
    return []


def _damaged_logs(report: CheckReport) -> frozenset[str]:
    logs = {family.table for family in families.FAMILIES}
    return frozenset(f.table for f in report.findings if f.kind in _LOG_DAMAGE) & logs


def _steps(under_way: Mending, found: CheckReport, damaged: frozenset[str]) -> Iterator[Step]:
    """The steps that the findings call for; each is begun when the one before it is done."""
    kinds, due = set(found.kinds), under_way.due
    unreadable = {f.table for f in found.findings if f.kind == "page_damage" and f.repairable}
    unreadable.discard("")
    if unreadable:
        yield "what cannot be read", mending.forgotten(under_way, sorted(unreadable))
    if unreadable or any(k.startswith(("missing_", "altered_", "extra_")) for k in kinds):
        yield "the schema's objects", mending.schema(under_way)
    if any(f.kind == "ledger_drift" and f.repairable for f in found.findings):
        yield "user_version", mending.version(under_way)
    if "left_over" in kinds:
        yield "what was left over", mending.left_overs(under_way)
    if "bucket_bound" in kinds or "bucket_bound" in under_way.remade:
        yield "the buckets' bounds", mending.bounds(under_way)
    if "store_property" in kinds:
        yield "the store's identity", mending.properties(under_way)
    indexes = {f.table for f in found.findings if f.kind == "index_damage" and f.repairable}
    for name in sorted(indexes):
        yield f"the index {name}", mending.indexes(under_way, [name])
    if "in_flight_and_ended" in kinds:
        for family in due.families():
            yield f"what is in flight: {family.name}", mending.in_flight(under_way, family)
    yield from _numbers(under_way, found, damaged)


def _numbers(under_way: Mending, found: CheckReport, damaged: frozenset[str]) -> Iterator[Step]:
    kinds, remade = set(found.kinds), under_way.remade
    tables = {finding.table for finding in found.findings}
    again = bool(kinds.intersection(_ROLLUPS)) or "rollup" in tables | remade
    everywhere = again and _is_of_all(found, remade)
    paths = "search_paths" in kinds or "workflow_path" in tables | remade
    for family in under_way.due.families():
        own = paths and family.table == "skill_invocation"
        numbers = everywhere or (again and _is_off(found, family))
        if (numbers or own) and family.table not in damaged:
            yield f"the rollups: {family.name}", mending.numbers(under_way, family, paths=own)
    for family in under_way.due.families():
        own_tables = {table.table for table in family.derived}
        if own_tables & (tables | remade) and family.table not in damaged:
            yield f"the tables beside: {family.name}", mending.derived(under_way, family)
    if again and not damaged:
        yield "rollups of no family", mending.strangers(under_way)
    if paths or "search_index" in kinds or "workflow_path_fts" in tables | remade:
        yield "the full-text indexes", mending.search_indexes(under_way)


def _is_of_all(found: CheckReport, remade: set[str]) -> bool:
    """Whether the rollups of every family are to be made anew: not all that is off was named."""
    off = [f for f in found.findings if f.table == "rollup" or f.kind in _ROLLUPS]
    return (
        "rollup" in remade
        or any(finding.kind not in _OF_ONE for finding in off)
        or bool(found.further.keys() & _OF_ONE)
    )


def _is_off(found: CheckReport, family: Family) -> bool:
    return any(
        finding.kind in _OF_ONE and finding.row.startswith(f"scope {scope},")
        for finding in found.findings
        for scope in family.scopes()
    )


def _not_done(about: str, failure: str) -> Finding:
    return Finding(
        "error",
        "not_repaired",
        "",
        "",
        f"{about}: {failure}",
        f"It was left as it is. {RESTORE}",
    )
