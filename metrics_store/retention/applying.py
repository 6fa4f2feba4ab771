"""Deleting what is past its time, in batches so small that no writer waits long for one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from metrics_store import asked, clock, maintenance
from metrics_store.connection import Database
from metrics_store.errors import StoreBusy
from metrics_store.retention.planning import is_held, kinds, of_family
from metrics_store.retention.policy import Policy
from metrics_store.retention.results import Applied, Deleted
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: A batch aims at so many seconds, and as many are left to writers after it: one that waits would
#: else lose the lock to the next batch, again and again.
_AIM = 0.01
_FIRST, _LEAST, _MOST = 16, 4, 2_000
#: Seqs that are looked for at once, in a view that lasts no longer than that.
_LOOK = 2_000
#: Batches between two checkpoints.
_FOLD_EVERY = 4

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class _Pace:
    """How many rows a batch has: as many as go into the time that a writer may wait."""

    size: int = _FIRST
    batches: int = 0
    longest: float = 0.0

    def took(self, rows: int, seconds: float) -> None:
        time.sleep(min(seconds, 5 * _AIM))
        self.batches += 1
        self.longest = max(self.longest, seconds)
        fitting = round(rows * _AIM / max(seconds, 1e-4))
        self.size = max(_LEAST, min(2 * self.size, fitting, _MOST))


def apply(
    database: Database,
    policies: Sequence[Policy],
    now_us: int,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> Applied:
    """Delete what is past its time, and give the space back.

    What the deleted rows added to the rollups stays there, and is noted in the same transaction,
    so that a check can still tell whether the numbers are right. Killed at any moment it is done
    in part, and the next time goes on.

    Args:
        now_us: microseconds since 1970.
        seconds: stop after as long.
        progress: called with a family's name and the rows of it deleted so far.

    Raises:
        InvalidQuery: the seconds are no number from 0 on.
        StoreBusy, StoreNotWritable, DiskFull: what was done stays done.
    """
    database.require_writable()
    began = time.perf_counter()
    most = asked.seconds_or_ever("seconds", seconds)
    until = None if most is None else began + most
    size = os.path.getsize(database.path)
    pace, done = _Pace(), list[Deleted]()
    for policy in policies:
        rows = rollups = 0
        before_at = policy.before_at(now_us)
        if before_at is not None:
            for count in _rows(database, policy, before_at, now_us, pace, until):
                rows += count
                if progress is not None:
                    progress(policy.family.name, rows)
        pace.size = _FIRST
        for at, before in enumerate(policy.periods_before(now_us)):
            if before is not None:
                rollups += sum(_rollups(database, policy, at, before, pace, until))
        if rows or rollups:
            done.append(Deleted(policy.family.name, policy.family.table, rows, rollups))
    complete = not _is_over(until)
    if done and complete:
        freed = maintenance.vacuum(database)
        pace.longest = max(pace.longest, freed.longest_step)
    return Applied(
        families=tuple(done),
        batches=pace.batches,
        longest=pace.longest,
        seconds=time.perf_counter() - began,
        bytes_before=size,
        bytes_after=os.path.getsize(database.path),
        complete=complete,
    )


def _rows(
    database: Database,
    policy: Policy,
    before_at: str,
    now_us: int,
    pace: _Pace,
    until: float | None,
) -> Iterator[int]:
    """Delete a family's rows, batch by batch; gives the rows of each."""
    after = 0
    while not _is_over(until):
        # Looked for in a reading view: while it lasts, nobody waits.
        with database.read() as connection:
            if is_held(connection, policy.family):
                return
            found = connection.execute(
                of_family("due", policy.family), (after, before_at, _LOOK)
            ).fetchall()
        seqs = [seq for (seq,) in found]
        if not seqs:
            return
        after = seqs[-1]
        while seqs and not _is_over(until):
            batch, seqs = seqs[: pace.size], seqs[pace.size :]
            yield _batch(database, policy, batch, before_at, now_us, pace)


def _batch(
    database: Database,
    policy: Policy,
    seqs: Sequence[int],
    before_at: str,
    now_us: int,
    pace: _Pace,
) -> int:
    family = policy.family
    rows = f"row.seq IN ({', '.join(f'{seq:d}' for seq in seqs)})"

    def work(connection: Connection) -> tuple[int, float]:
        began = time.perf_counter()
        if is_held(connection, family):
            return 0, began  # a migration was started since they were looked for
        connection.execute(family.retired(rows))
        if family.keep.remember:
            sql = query("retention.remember")
            connection.execute(sql.format(family=family.name, table=family.table, rows=rows))
        connection.execute(query("retention.permit"), (family.name, seqs[-1]))
        sql = query("retention.delete").format(table=family.table, rows=rows)
        count = connection.execute(sql).rowcount
        connection.execute(query("retention.forbid"), (family.name,))
        note = (family.name, before_at, seqs[-1], count, clock.text(now_us))
        connection.execute(query("retention.note"), note)
        return count, began

    count, began = database.write(work, rows=len(seqs))
    # Left to grow, the log would be folded back in one go, for which everybody waits.
    if pace.batches % _FOLD_EVERY == 0:
        with suppress(StoreBusy):  # others look after the log, too
            database.checkpoint()
    pace.took(len(seqs), time.perf_counter() - began)
    return count


def _rollups(
    database: Database, policy: Policy, at: int, before: str, pace: _Pace, until: float | None
) -> Iterator[int]:
    """Delete a family's rollups that age, batch by batch; gives how many each time."""
    find = of_family("aged", policy.family)
    for scope in policy.family.scopes():
        while not _is_over(until):

            def work(connection: Connection, scope: str = scope) -> tuple[int, float]:
                began = time.perf_counter()
                values = (scope, before, kinds(policy, at), pace.size)
                keys = connection.execute(find, values).fetchall()
                connection.executemany(query("retention.forget"), keys)
                connection.executemany(query("retention.forget_retired"), keys)
                return len(keys), began

            count, began = database.write(work)
            pace.took(max(count, 1), time.perf_counter() - began)
            yield count
            if not count:
                break


def _is_over(until: float | None) -> bool:
    return until is not None and time.perf_counter() >= until
