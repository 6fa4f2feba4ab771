"""What tables hold: the logs' rows against their digests, what is in flight, what was left over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from metrics_store import clock, liveness, rows, sqlite
from metrics_store.families.declaration import Family
from metrics_store.integrity.expected import Expected
from metrics_store.integrity.faults import CORRUPT, FAULTS, lossless
from metrics_store.integrity.looking import REPAIR, RESTORE, Looking
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

_TELL_EVERY = 20_000
#: Every seq is larger; past the other none is looked for.
_BEFORE_ALL = -(1 << 62)
_LAST_SEQ = 1 << 61
#: Stands for a row that cannot be read.
_UNREADABLE: tuple[Any, ...] = ("unreadable",)


def count(looking: Looking, due: Expected) -> int:
    """How many rows all logs have."""
    return sum(
        looking.connection.execute(query("integrity.count").format(table=f.table)).fetchone()[0]
        for f in due.families()
    )


def foreign_keys(looking: Looking) -> int:
    """Look for rows that refer to rows that are not there."""
    found = looking.connection.execute("PRAGMA foreign_key_check").fetchall()
    for table, rowid, parent, _ in found:
        looking.error(
            "foreign_key",
            f"it refers to a row of {parent} that is not there",
            table=table,
            row="" if rowid is None else f"rowid {rowid}",
            action=f"Look for the row of {parent} in the newest backup, and restore that.",
        )
    return len(found)


def bounds(looking: Looking, due: Expected) -> int:
    """Compare the buckets' bounds with those that the migration makes."""
    there = dict(looking.connection.execute(query("integrity.bounds")).fetchall())
    wanted = dict(due.bounds)
    for lower in sorted(wanted.keys() | there.keys()):
        if wanted.get(lower) != there.get(lower):
            detail = f"its bucket is {there.get(lower)}, and it should be {wanted.get(lower)}"
            looking.derived("bucket_bound", detail, table="bucket_bound", row=f"lower {lower}")
    return len(there)


def left_over(looking: Looking, due: Expected) -> int:
    """Look for rows that last no longer than a transaction."""
    count = 0
    for table, why in PASSING.items():
        if not due.has(table):
            continue
        found = looking.connection.execute(query(f"integrity.{table}")).fetchall()
        count += len(found)
        for family, seq in found:
            looking.derived("left_over", why.format(seq=seq), table=table, row=f"family {family}")
    return count


#: Tables that are empty outside a transaction, and what a row in one means.
PASSING = {
    "rollup_deferred": "rows of the log after {seq} are not counted in the rollups",
    "retention_permit": "rows of the log up to {seq} may be deleted",
}


def inflight_table(family: Family) -> str:
    """The table of what a family has in flight, if it has one."""
    return f"{family.name}_inflight"


def in_flight(looking: Looking, due: Expected, family: Family) -> int:
    """Look for what is in flight without a process, or has ended as well."""
    table = inflight_table(family)
    if not due.has(table):
        return 0
    sql = query("integrity.in_flight").format(table=table)
    count = 0
    for name, process, began in looking.connection.execute(sql):
        count += 1
        if isinstance(process, str) and liveness.is_gone(process):
            looking.warning(
                "in_flight_without_process",
                f"it was begun {_ago(looking, began)}, and the process that began it is gone",
                table=table,
                row=f"id {name}",
                action="Close what was left in flight as abandoned: metrics-store reap",
            )
    sql = query("integrity.in_flight_and_ended").format(table=table, log=family.table)
    for (name,) in looking.connection.execute(sql):
        looking.error(
            "in_flight_and_ended",
            f"it is in flight, and {family.table} says that it has ended",
            table=table,
            row=f"id {name}",
            action=f"Take it out of flight: {REPAIR}.",
            repairable=True,
        )
    return count


def _ago(looking: Looking, moment: str) -> str:
    try:
        minutes = max(0, (looking.now_us - clock.parse(moment)) // (60 * clock.MICROSECONDS))
    except (ValueError, TypeError):  # in a damaged row it need not be one
        return f"at {moment}"
    return f"{minutes:,} minutes ago" if minutes < 120 else f"{minutes // 60:,} hours ago"


def digests(looking: Looking, due: Expected, family: Family) -> int:
    """Hold every row of a log against its digest; what cannot be read is a finding too."""
    columns = due.content(family.table)
    count = 0
    for seq, content, digest in log_rows(looking, family.table, columns):
        count += 1
        if count % _TELL_EVERY == 0:
            looking.tell("row digests", count, looking.rows or 0)
        if rows.digest(content) != digest:
            looking.error(
                "row_digest",
                "the row is not what its digest says: somebody or the disk changed it",
                table=family.table,
                row=f"seq {seq}{_named(columns, content)}",
                action="See what the row was in the newest backup, and restore that: "
                "a repair never touches the log.",
            )
    return count


def _named(columns: Sequence[str], content: Sequence[Value]) -> str:
    # Some logs make the id of their other columns.
    return f", id {content[columns.index('id')]!s:.80}" if "id" in columns else ""


def readable(looking: Looking, due: Expected, family: Family) -> int:
    """Read every row of a log, to say which of them cannot be read."""
    return sum(1 for _ in log_rows(looking, family.table, due.content(family.table)))


def log_rows(
    looking: Looking, table: str, columns: Sequence[str]
) -> Iterator[tuple[int, Sequence[Value], Value]]:
    """Every row of a log that can be read: seq, the columns, the digest."""
    factory = looking.connection.text_factory
    looking.connection.text_factory = str  # decoding by a function of ours takes twice as long
    try:
        yield from _log_rows(looking, table, columns)
    finally:
        looking.connection.text_factory = factory


def _log_rows(
    looking: Looking, table: str, columns: Sequence[str]
) -> Iterator[tuple[int, Sequence[Value], Value]]:
    connection = looking.connection
    sql = query("integrity.log_rows").format(table=table, columns=", ".join(columns))
    after = _BEFORE_ALL
    while True:
        try:
            for row in connection.execute(sql, (after + 1, -1)):
                after = max(after, row[0])  # in a damaged page they may be out of order
                yield row[0], row[1:-1], row[-1]
            return
        except FAULTS as error:
            _require_damage(error)
            fault = error
        # The binding is a row ahead of what it gives, so the next one may be readable.
        found = _seek(connection, sql, after + 1)
        if found is None:
            return
        if found is not _UNREADABLE and found[0] <= after:
            # The tree leads back: whatever lies behind cannot be reached in its order.
            _unreadable(looking, table, after, None, fault)
            return
        if found is _UNREADABLE:
            until = _next_readable(connection, sql, after)
            _unreadable(looking, table, after, until, fault)
            if until is None or until <= after + 1:
                return
            after = until - 1
        else:
            after = found[0]
            yield found[0], found[1:-1], found[-1]


def _unreadable(
    looking: Looking, table: str, after: int, until: int | None, error: Exception
) -> None:
    looking.broken.add(table)
    start = "from the first" if after == _BEFORE_ALL else f"from seq {after + 1}"
    end = "to the last" if until is None else f"to seq {until - 1}"
    words = "they cannot be read; the other rows can"
    if after == _BEFORE_ALL and until is None:
        words = "none of its rows can be read"
    looking.error(
        "rows_unreadable",
        f"{words}: {error}",
        table=table,
        row=f"{start} {end}",
        action=f"A backup that has them is the only other place. {RESTORE}",
    )


def _seek(connection: Connection, sql: str, start: int) -> tuple[Any, ...] | None:
    """The first row from one on, what is no UTF-8 in it as lone surrogates; None without one."""
    factory = connection.text_factory
    connection.text_factory = lossless
    try:
        row: tuple[Any, ...] | None = connection.execute(sql, (start, 1)).fetchone()
    except FAULTS as error:
        _require_damage(error)
        return _UNREADABLE
    finally:
        connection.text_factory = factory
    return row


def _next_readable(connection: Connection, sql: str, after: int) -> int | None:
    """The first row that can be read behind one that cannot; None if there is none."""
    bad, step = max(after + 1, 0), 1
    while _seek(connection, sql, bad + step) is _UNREADABLE:
        bad, step = bad + step, step * 2
        if bad > _LAST_SEQ:
            return None
    good = bad + step
    while good - bad > 1:
        middle = (bad + good) // 2
        if _seek(connection, sql, middle) is _UNREADABLE:
            bad = middle
        else:
            good = middle
    row = _seek(connection, sql, good)
    return None if row is None else int(row[0])


def _require_damage(error: Exception) -> None:
    """Let go by only what says that the database is damaged.

    Raises:
        Error: of SQLite: the disk, or a lock.
    """
    # 0: of the binding itself, for a text that is no UTF-8.
    if sqlite.code(error) not in (0, CORRUPT):
        raise error
