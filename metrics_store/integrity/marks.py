"""What should be there and is not: the end of the log, by what backups have seen of it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from metrics_store import manifest, opening
from metrics_store.integrity.expected import Expected
from metrics_store.integrity.looking import REPAIR, Looking
from metrics_store.manifest import LogMark, Manifest
from metrics_store.sql import query
from metrics_store.write_ahead_log import State

_LOSS = (
    "If you have the -wal file, put it back. Else accept what is left: "
    "metrics-store check --accept-loss"
)


def log_state(looking: Looking, state: State | None) -> None:
    """Say what is the matter with the write-ahead log."""
    if state is not None and state.is_lost:
        kind, detail = str(state.kind), state.detail
    elif state is not None and state.kind == "whole" and state.expected is not None:
        return  # it was put back
    elif (told := _told(looking.path)) is not None:
        kind, detail = told
    else:
        return
    looking.error(f"log_{kind}", detail, action=_LOSS)


def _told(path: str) -> tuple[str, str] | None:
    """What was noted when a process refused to open the store."""
    try:
        with open(opening.marker(path), encoding="utf-8", errors="replace") as file:
            noted = json.loads(file.read(10_000))
        return str(noted["kind"]), str(noted["detail"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return "damaged", f"the log was lost; see {opening.marker(path)}"


def high_water(looking: Looking, due: Expected, manifests: Iterable[Manifest]) -> int:
    """Hold the ends of the logs against what backups of this store have seen of them.

    A log only grows within a generation of a store, which ends when a backup is restored.

    Returns:
        How many backups tell something.
    """
    if not due.has("store_property"):
        return 0
    own = [manifest.property_of(looking.connection, name) for name in ("store_id", "generation")]
    for name, value in zip(("store_id", "generation"), own, strict=True):
        if value is None and due.version >= _SINCE:
            looking.warning(
                "store_property",
                f"the store's {name} is missing: backups of it are not known as its own",
                table="store_property",
                row=f"name {name}",
                action=f"Give it a new one: {REPAIR}; then take a backup.",
                repairable=True,
            )
    if None in own:
        return 0
    ours = [m for m in manifests if [m.store_id, m.generation] == own and not m.findings]
    # Each says for itself; the one that has seen most says it best.
    for known in sorted(ours, key=lambda m: (-m.position, m.made_at)):
        for mark in known.logs:
            if due.has(mark.table) and mark.last_seq:
                _compare(looking, due, known, mark)
    return len(ours)


#: The schema version since which a store has an id.
_SINCE = 5


def _compare(looking: Looking, due: Expected, known: Manifest, mark: LogMark) -> None:
    connection = looking.connection
    _, last = connection.execute(query("integrity.ends").format(table=mark.table)).fetchone()
    if last is None or last < mark.last_seq:
        lost = mark.last_seq - (last or 0)
        problem = f"the log ends at seq {last or 0}: {lost:,} rows or more are lost"
    else:
        row = connection.execute(
            query("integrity.id_and_digest").format(table=mark.table), (mark.last_seq,)
        ).fetchone()
        if row == (mark.last_id, mark.last_digest):
            return
        if row is None and mark.last_seq <= _retired(looking, due, mark.table):
            return  # retention let it go
        there = "no such row" if row is None else "another row"
        problem = f"there is {there} at seq {mark.last_seq}"
    looking.error(
        "lost_records",
        f"the backup {known.file} of {known.made_at} has seen the log up to seq {mark.last_seq} "
        f"(id {mark.last_id}), and {problem}",
        table=mark.table,
        row=f"seq {mark.last_seq}",
        action=f"What the backup has, and the store has not, is in it: "
        f"metrics-store restore {known.file}",
    )


def _retired(looking: Looking, due: Expected, table: str) -> int:
    """The last row of a log that retention has deleted; 0 if none."""
    if not due.has("retention_horizon"):
        return 0
    names = {family.table: family.name for family in due.families()}
    sql = query("integrity.retired_up_to")
    row = looking.connection.execute(sql, (names.get(table, ""),)).fetchone()
    return 0 if row is None else int(row[0])
