"""A tracker's call as a row of the store, once, whoever else brings the same record in.

The legacy record of a call has no id. Its key and an ordinal give the row's, and the call claims
that row: a backfill that was faster is matched, a twin of the same moment gets a row of its own,
and a replay adds nothing. Per key there are as many rows as there were calls or as the file has
records, whichever is more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from metrics_store import clock
from metrics_store.errors import OtherMigration, StaleEpoch
from metrics_store.legacy.control import Control
from metrics_store.legacy_format import record, stored
from metrics_store.legacy_format.moments import ZoneReader, readings
from metrics_store.legacy_format.record import Understood, understand
from metrics_store.rows import Row
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore
from metrics_store.timeline import zone_named

#: Until then a crash may have kept the store from hearing of the migration.
FIRST_DUAL_EPOCH = 2
WRONG_STORE = "Put the store's own file back in its place; this is another one, or a new one."


@dataclass(frozen=True, slots=True)
class Call:
    """A tracker's call that has ended.

    Args:
        id: its own, given when it began.
        raw_invoked_at: the moment as the legacy record has it; None if it could not be found out.
        invoked_us: microseconds since 1970 at the start.
        duration_seconds: as the legacy record has it.
        attributes: JSON text of an object, or None.
    """

    id: str
    skill_name: str
    workflow_path: str | None
    raw_invoked_at: str | None
    invoked_us: int
    completed: bool
    duration_seconds: float | None
    follow_up_actions: tuple[str, ...]
    error_type: str | None
    session_id: str | None = None
    project_path: str | None = None
    attributes: str | None = None

    @classmethod
    def of_values(cls, values: Mapping[str, object]) -> Self:
        """From what ``dataclasses.asdict`` and JSON made of it."""
        actions = values["follow_up_actions"]
        if not isinstance(actions, (list, tuple)):
            raise TypeError("follow_up_actions is no list")
        return cls(**{**values, "follow_up_actions": tuple(actions)})  # type: ignore[arg-type]

    def record(self) -> dict[str, object]:
        """The legacy record of it, in the legacy order."""
        return {
            "skill_name": self.skill_name,
            "invoked_at": self.raw_invoked_at,
            "workflow_path": self.workflow_path,
            "completed": self.completed,
            "duration_seconds": self.duration_seconds,
            "follow_up_actions": list(self.follow_up_actions),
            "error_type": self.error_type,
        }


@dataclass(frozen=True, slots=True)
class Home:
    """Where calls belong.

    Args:
        path: the legacy file, symlinks resolved.
        zone: of its naive moments.
        migration_id, epoch, phase: what the writer believes; None without a migration.
    """

    path: str
    zone: str
    migration_id: str | None = None
    epoch: int = 0
    phase: str = ""

    @classmethod
    def of(cls, control: Control) -> Self:
        """That of a migration."""
        return cls(
            control.json_file,
            control.zone,
            control.migration_id,
            control.epoch,
            control.phase.value,
        )


def take(store: MetricsStore, call: Call, home: Home, *, in_json: bool) -> str:
    """Write a call to the store.

    Args:
        in_json: whether the legacy file has its record, and so counts it in its totals.

    Returns:
        The id of its row.

    Raises:
        Refused: the record cannot be a row.
        StaleEpoch: the phase has changed; look at the control file again.
        OtherMigration: the database belongs to another legacy file.
        WriteError: it was not written.
    """

    def work(connection: Connection) -> str:
        check_epoch(connection, home, store.database.clock.now_us())
        run = connection.execute
        known = run(query("phases.call"), (call.id,)).fetchone()
        if known is not None:
            return str(known[0])
        if run(query("skills.is_ended"), (call.id,)).fetchone():
            return call.id
        row, claims = _row(connection, call, home, in_json=in_json, store=store)
        if row is not None:
            version = store.database.schema_version
            run(query("skills.record_one"), (*row, version))
        row_id = claims if row is None else row.id
        if row_id != call.id:
            run(query("phases.add_call"), (call.id, row_id))
        return row_id

    return store.database.write(work)


def check_epoch(connection: Connection, home: Home, now_us: int) -> None:
    """Refuse a writer whose phase is no longer the migration's; roll a database forward that has
    not heard of the phase yet.

    Raises:
        StaleEpoch, OtherMigration: as :func:`take`.
    """
    if home.migration_id is None:
        return
    found = connection.execute(query("phases.mirrored")).fetchone()
    if found is None and home.epoch > FIRST_DUAL_EPOCH:
        raise OtherMigration("the store knows nothing of it", hint=WRONG_STORE)
    if found is not None:
        migration_id, path, epoch = found[:3]
        if migration_id != home.migration_id:
            raise OtherMigration(f"it is that of {path}")
        if epoch > home.epoch:
            raise StaleEpoch(f"epoch {epoch}, not {home.epoch}")
        if epoch == home.epoch:
            return
    values = (home.migration_id, home.path, home.epoch, home.phase, clock.text(now_us))
    connection.execute(query("phases.mirror"), values)


def _row(
    connection: Connection, call: Call, home: Home, *, in_json: bool, store: MetricsStore
) -> tuple[Row | None, str]:
    """The row to insert, or None and the id of the row that is the call's already."""
    one = understood(call, home.zone, store.database.clock.now_us())
    run = connection.execute
    if run(query("phases.is_inflight"), (call.id,)).fetchone():
        # It began in the database phase; an export may have put it into the file since.
        return record.live_row(one, call.id, call.project_path), call.id
    there = stored.of_key(connection, one)
    ids = json.dumps([row["id"] for row in there])
    claimed = {row_id for (row_id,) in run(query("phases.claimed"), (ids,))}
    free = [row for row in there if row["id"] not in claimed]
    now = store.database.clock.now_us()
    source = source_of(connection, home, now) if in_json else None
    for row in free:
        if stored.says(row, one) or _bare_says(row, one):
            return None, str(row["id"])
    pending = [row for row in free if stored.is_pending(row)]
    if not pending and source is None:
        return record.live_row(one, call.id, call.project_path), call.id
    row_id = str(pending[0]["id"]) if pending else one.id(len(there) + 1)
    new = record.row_of(one, row_id, source, origin="live", project_path=call.project_path)
    return new, row_id


def _bare_says(row: stored.StoredRow, one: Understood) -> bool:
    # A backfill that was faster knows the file's seven members, and the call more.
    bare = one._replace(session_id=None, extra={}, attributes=None)
    return stored.says(row, bare)


def source_of(connection: Connection, home: Home, now_us: int) -> int:
    """The number of the legacy file, noted if it is not known yet."""
    values = (home.path, home.zone, clock.text(now_us))
    connection.execute(query("phases.add_source"), values)
    row = connection.execute(query("phases.source_id"), (home.path,)).fetchone()
    return int(row[0])


def understood(call: Call, zone: str, now_us: int) -> Understood:
    """The record of a call, with what the legacy format has no place for.

    Raises:
        Refused: it cannot be a row.
    """
    extra = json.loads(call.attributes) if call.attributes else {}
    one = understand(call.record(), ZoneReader(zone), False, now_us)
    return one._replace(
        invoked_us=call.invoked_us,
        session_id=call.session_id,
        extra=extra,
        attributes=call.attributes,
        flags=(),
    )


def naive(us: int, zone: str | None) -> str:
    """A moment as the legacy tracker writes it: local time without an offset.

    Args:
        zone: an IANA name; None for this machine's local time, whatever its name.
    """
    local = clock.to_datetime(us).astimezone(None if zone is None else zone_named(zone))
    return local.replace(tzinfo=None).isoformat()


def nearest_us(raw: str, zone: str, about_us: int) -> int:
    """The moment that a legacy text means; of an hour that came twice, the one closer by.

    Args:
        about_us: microseconds since 1970, a moment known to be close.
    """
    return min(readings(raw, zone), key=lambda us: abs(us - about_us))
