"""Whether a legacy file is fit to be left: looked at before anything is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from metrics_store import location, sqlite
from metrics_store.errors import (
    LegacyFileError,
    LegacyFileNotFound,
    MetricsStoreError,
    StoreNotFound,
    TornFile,
)
from metrics_store.legacy import json_file
from metrics_store.legacy.json_file import Record
from metrics_store.legacy_format import loading
from metrics_store.legacy_format.moments import ZoneReader, local_zone
from metrics_store.legacy_format.record import Refused, understand
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.timeline import zone_named

#: Bytes of store, copies and backups per byte of JSON; measured on the real files, and rounded up.
_SPACE = 6


@dataclass(frozen=True, slots=True)
class Finding(Result):
    """One thing that was looked at.

    Args:
        name: what.
        verdict: ``ok``, ``warning`` or ``error``; an error keeps the migration from beginning.
        detail: what was found.
        hint: what to do about it; empty if nothing.
    """

    name: str
    verdict: str
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis(Result):
    """What the doctor found.

    Args:
        records, skills: what the file holds.
        size: its bytes.
        zone: in which its naive moments would be read.
    """

    json_file: str
    database: str
    records: int
    skills: int
    size: int
    zone: str
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing keeps the migration from beginning."""
        return all(finding.verdict != "error" for finding in self.findings)


def examine(operator: Operator, zone: str | None = None) -> Diagnosis:
    """Look at everything; nothing is changed.

    Args:
        zone: of the naive moments; by default this machine's.
    """
    path, findings = operator.json_file, []
    found_zone, zone_name = _zone(zone)
    read, records, skills = _read(path, zone_name, operator.clock.now_us())
    findings.append(read)
    size = os.stat(path).st_size if os.path.isfile(path) else 0
    findings.append(_writable(path))
    findings.append(found_zone)
    findings.append(_locks(path))
    database = operator.database()
    findings.append(_store(operator, database))
    findings.append(_space(database, size))
    findings.append(_library())
    return Diagnosis(path, database, records, skills, size, zone_name, tuple(findings))


def _read(path: str, zone: str, now_us: int) -> tuple[Finding, int, int]:
    records = skills = texts = dropped = 0
    why = ""
    reader = ZoneReader(zone or "UTC")
    try:
        for event in json_file.read(Path(path)):
            if isinstance(event, json_file.Totals):
                skills += 1
            if not isinstance(event, Record):
                continue
            records += 1
            try:
                understand(event.value, reader, _has_session(event.value), now_us)
            except Refused:
                texts += 1
            if refusal := loading.refusal_of_record(event.value):
                dropped += 1
                why = why or f"record {event.position}: {refusal}"
    except LegacyFileNotFound:
        detail = "it is not there yet; its tracker has recorded nothing"
        return Finding("file", "warning", detail, "Look at --json-file."), 0, 0
    except TornFile as torn:
        hint = "If its tracker is writing, try again; else: metrics-store legacy import FILE"
        return Finding("file", "error", f"it is not whole: {torn.detail}", hint), records, skills
    except LegacyFileError as error:
        return Finding("file", "error", str(error), error.hint), records, skills
    detail = f"{records:,} records, {skills:,} skills"
    if texts:
        what = "is no row and is" if texts == 1 else "are no rows and are"
        detail += f"; {texts:,} {what} kept as text"
    if dropped == records and records:
        return Finding("file", "ok", f"{detail}; of the shape with session ids"), records, skills
    if dropped:
        detail += f"; {dropped:,} that the legacy tracker does not know ({why})"
        hint = (
            "It drops its whole history over one such record and overwrites the file at its next "
            "save: stop it, and let open_tracker write the file."
        )
        return Finding("file", "warning", detail, hint), records, skills
    return Finding("file", "warning" if texts else "ok", detail), records, skills


def _has_session(value: object) -> bool:
    return isinstance(value, dict) and "session_id" in value


def _writable(path: str) -> Finding:
    directory = os.path.dirname(path)
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".metrics-store-"):
            pass
    except OSError as error:
        detail = f"{directory}: {error.strerror}"
        return Finding("folder", "error", detail, "The control file must lie beside the JSON file.")
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return Finding(
            "folder", "error", f"{path} may not be written", "Run as the tracker's user."
        )
    return Finding("folder", "ok", f"{directory} can be written")


def _zone(wanted: str | None) -> tuple[Finding, str]:
    try:
        name = wanted or local_zone()
        zone_named(name)
    except MetricsStoreError as error:
        return Finding("zone", "error", str(error), error.hint or "Say --zone Europe/Berlin."), ""
    said = "as named" if wanted else "this machine's; say --zone if the trackers run in another"
    return Finding("zone", "ok", f"{name} ({said})"), name


def _locks(path: str) -> Finding:
    kind = location.network_filesystem(path)
    if kind:
        return Finding(
            "locks",
            "warning",
            f"{path} is on {kind}, where locks between hosts may not work",
            "Let one host alone write it, or move it to a local disk first.",
        )
    return Finding("locks", "ok", "a local file system")


def _store(operator: Operator, database: str) -> Finding:
    try:
        store = operator.store()
    except StoreNotFound:
        return Finding("store", "ok", f"{database} will be made")
    except MetricsStoreError as error:
        return Finding("store", "error", str(error), error.hint)
    return Finding("store", "ok", f"{store.path}, schema {store.database.schema_version}")


def _space(database: str, size: int) -> Finding:
    directory = os.path.dirname(database)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    free, needed = shutil.disk_usage(directory).free, size * _SPACE + (1 << 24)
    detail = f"{free >> 20:,} MiB free, some {needed >> 20:,} MiB needed"
    if free < needed:
        return Finding("space", "error", detail, "Free some space; a full disk stops the backfill.")
    return Finding("space", "ok", detail)


def _library() -> Finding:
    version = sqlite.version
    if sqlite.has_wal_reset_fix:
        return Finding("sqlite", "ok", version)
    return Finding(
        "sqlite",
        "warning",
        f"{version} has the WAL-reset bug; metrics_store works around it",
        "pip install pysqlite3",
    )
