"""The proof of a migration: what went in, what is in the store, and every difference.

All of it is read from the store, the control file and the files beside them; nothing is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metrics_store.legacy.control import Control
from metrics_store.phases.conservation import Check, PassLine, checks
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class InStore(Result):
    """What the store holds.

    Args:
        rows: of the log, by origin.
        exported: rows born in the store that an export gave to the JSON file.
        quarantined: texts kept apart, by file and reason.
        baseline: totals that no record explains.
        log_sha256: over the digests of all rows of the log, in order.
    """

    rows: Mapping[str, int]
    total: int
    in_flight: int
    exported: int
    quarantined: tuple[Mapping[str, object], ...]
    baseline: tuple[Mapping[str, object], ...]
    log_sha256: str


@dataclass(frozen=True, slots=True)
class Proof(Result):
    """One document.

    Args:
        checks: what has to be so; the proof is clean if all of it is.
        passes: what went in.
        differences: every one, open ones first; those of a verify that a later one took the place
            of say so under ``superseded``.
        reads: compared reads, added up by epoch, method and outcome.
        changes: of the phase.
        steps: every step of every command.
        files: the JSON file, the archive and every backup, with size and SHA-256.
    """

    migration_id: str
    made_at: str
    json_file: str
    database: str
    zone: str
    phase: str
    epoch: int
    started_at: str
    checks: tuple[Check, ...]
    passes: tuple[PassLine, ...]
    store: InStore
    verifies: tuple[Mapping[str, object], ...]
    differences: tuple[Mapping[str, object], ...]
    reads: tuple[Mapping[str, object], ...]
    changes: tuple[Mapping[str, object], ...]
    steps: tuple[Mapping[str, object], ...]
    files: tuple[Mapping[str, object], ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is unexplained."""
        return all(check.holds for check in self.checks)


def prove(operator: Operator) -> Proof:
    """Write down everything that is known of a migration.

    Raises:
        NoMigration: none was begun.
        OpenError, ReadError: the store cannot be read.
    """
    there = operator.control()
    with operator.store().database.read() as connection:
        passes = tuple(_pass(*row) for row in connection.execute(query("proof.passes")).fetchall())
        in_store = _in_store(connection)
        verifies = _rows(connection, "proof.verifies", _VERIFY)
        differences = tuple(map(_difference, _rows(connection, "proof.differences", _DIFFERENCE)))
        reads = _rows(connection, "proof.reads", _READ)
    steps = tuple(
        {
            "epoch": step.epoch,
            "command": step.command,
            "step": step.step,
            "done_at": step.done_at,
            "detail": dict(step.detail),
        }
        for step in operator.steps(there)
    )
    return Proof(
        there.migration_id,
        operator.now(),
        there.json_file,
        there.database,
        there.zone,
        there.phase,
        there.epoch,
        there.started_at,
        checks(operator, there, passes, differences),
        passes,
        in_store,
        verifies,
        differences,
        reads,
        tuple(
            {
                "epoch": change.epoch,
                "from": change.from_phase,
                "to": change.to_phase,
                "at": change.at,
                "by": change.by,
                "forced": change.forced,
            }
            for change in there.changes
        ),
        steps,
        _files(there, steps),
    )


_VERIFY = [
    "id",
    "source",
    "epoch",
    "sha256",
    "size",
    "started_at",
    "finished_at",
    "compared",
    "equal",
    "explained",
    "unexplained",
    "whole",
]
_DIFFERENCE = [
    "id",
    "verify_id",
    "epoch",
    "found_at",
    "kind",
    "subject",
    "in_json",
    "in_store",
    "json_us",
    "store_us",
    "explanation",
    "explained_at",
    "explained_by",
    "superseded",
]
_READ = [
    "epoch",
    "method",
    "outcome",
    "reason",
    "n",
    "json_us",
    "json_us_max",
    "store_us",
    "store_us_max",
    "first_at",
    "last_at",
]


def _rows(connection: Connection, name: str, names: list[str]) -> tuple[dict[str, object], ...]:
    rows = connection.execute(query(name)).fetchall()
    return tuple(dict(zip(names, row, strict=True)) for row in rows)


def _difference(row: dict[str, object]) -> dict[str, object]:
    superseded = bool(row["superseded"])
    return row | {"superseded": superseded, "open": row["explanation"] is None and not superseded}


def _pass(
    pass_id: int,
    source: str,
    sha256: str,
    size: int,
    started_at: str,
    finished_at: str | None,
    report: str | None,
) -> PassLine:
    found = json.loads(report) if report is not None else {}
    return PassLine(
        pass_id,
        source,
        sha256,
        size,
        started_at,
        finished_at,
        part=report is not None and "source" not in found,
        read=found.get("read"),
        inserted=found.get("inserted"),
        matched=found.get("matched"),
        upgraded=found.get("upgraded"),
        quarantined=found.get("quarantined"),
        torn=found.get("torn"),
    )


def _in_store(connection: Connection) -> InStore:
    run = connection.execute
    rows = dict(run(query("phases.log_counts")).fetchall())
    in_flight = rows.pop("in flight", 0)
    digest = hashlib.sha256()
    for (row_digest,) in run(query("phases.log_digests")):
        digest.update(f"{row_digest}\n".encode())
    names = ("skill_name", "total_invocations", "completed_invocations", "total_duration_seconds")
    return InStore(
        rows,
        sum(rows.values()),
        in_flight,
        run(query("proof.exported")).fetchone()[0],
        _rows(connection, "proof.quarantined", ["source", "reason", "n"]),
        _rows(connection, "proof.baseline", list(names)),
        digest.hexdigest(),
    )


def _files(
    there: Control, steps: tuple[Mapping[str, object], ...]
) -> tuple[dict[str, object], ...]:
    """The JSON file, whatever became its archive, and every backup; what is gone, too."""
    named = {there.json_file: "json"}
    for step in steps:
        detail = step["detail"]
        assert isinstance(detail, dict)
        for path in (detail.get("file"), detail.get("backup"), *(detail.get("files") or ())):
            if isinstance(path, str):
                named.setdefault(path, "archive" if step["step"] == "archive" else "backup")
    for path in sorted((Path(f"{there.database}.legacy") / "backups").glob("before-*")):
        named.setdefault(str(path), "backup")
    return tuple(_file(what, path) for path, what in named.items())


def _file(what: str, path: str) -> dict[str, object]:
    found: dict[str, object] = {"what": what, "path": path, "size": None, "sha256": None}
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return found | {"missing": error.strerror}
    return found | {"size": size, "sha256": digest, "missing": None}
