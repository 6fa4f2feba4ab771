"""What is past its time: reading only, whoever writes meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence

from metrics_store import clock
from metrics_store.connection import Database
from metrics_store.errors import RetentionRefused
from metrics_store.families import Family
from metrics_store.retention.policy import Policy
from metrics_store.retention.results import Due, Plan
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: A clock that is as far ahead of all that was ever recorded is not believed.
_DOUBTFUL_DAYS = 7
_MIGRATION = "every row is needed for the way back to the JSON file"


def plan(database: Database, policies: Sequence[Policy], now_us: int) -> Plan:
    """What retention would delete.

    Args:
        now_us: microseconds since 1970.

    Raises:
        ReadError: the store cannot be read.
    """
    with database.read() as connection:
        so_far = {row[0]: row[2] for row in connection.execute(query("retention.horizons"))}
        rolled_back = _can_be_rolled_back(connection)
        found = []
        for policy in policies:
            family, before_at = policy.family, policy.before_at(now_us)
            rows, due, oldest = connection.execute(
                of_family("due_of_all", family), (None, before_at or "")
            ).fetchone()
            found.append(
                Due(
                    family=family.name,
                    table=family.table,
                    keep_days=policy.days,
                    before_at=before_at,
                    rows=rows,
                    due=due,
                    oldest_at=oldest,
                    rollups_due=_rollups_due(connection, policy, now_us),
                    deleted=so_far.get(family.name, 0),
                    held=_MIGRATION if before_at and rolled_back and _is_legacy(family) else "",
                )
            )
    return Plan(clock.text(now_us), tuple(found))


def is_held(connection: Connection, family: Family) -> bool:
    """Whether something is in the way of deleting rows of a family."""
    return _is_legacy(family) and _can_be_rolled_back(connection)


def require_plausible(database: Database, policies: Sequence[Policy], now_us: int) -> None:
    """Refuse a clock that is far ahead of everything that was recorded.

    Raises:
        RetentionRefused: it is.
    """
    with database.read() as connection:
        newest = [
            moment
            for policy in policies
            for (moment,) in connection.execute(of_family("newest", policy.family))
            if moment is not None
        ]
    if not newest:
        return
    last_us = clock.parse(max(newest))
    days = (now_us - last_us) / clock.MICROSECONDS / 86_400
    if days > _DOUBTFUL_DAYS:
        raise RetentionRefused(
            f"the clock says {clock.text(now_us)[:16]}Z, and the newest record is of "
            f"{max(newest)[:16]}Z, {days:,.0f} days before",
            hint="If the clock is right: metrics-store retain apply --trust-clock",
        )


def of_family(name: str, family: Family) -> str:
    """A named query of retention for one family."""
    return query(f"retention.{name}").format(
        table=family.table, moment=family.moment, family=family.name, stays=stays(family)
    )


def stays(family: Family) -> str:
    """SQL for whether a row stays however old it is; ``row.`` stands for it."""
    keep = family.keep
    # Every query has the moment before which rows go as its second value.
    conditions = [f"({keep.always.replace('{before}', '?2')})"] if keep.always else []
    if keep.newest_of:
        subject, moment = (
            text.replace("row.", "newer.") for text in (keep.newest_of, family.moment)
        )
        conditions.append(
            f"NOT EXISTS (SELECT 1 FROM {family.table} AS newer WHERE {subject} = {keep.newest_of} "
            f"AND ({moment}, newer.seq) > ({family.moment}, row.seq))"
        )
    return " OR ".join(conditions) or "false"


def kinds(policy: Policy, at: int) -> str:
    """The kinds of rollups that age together, as JSON."""
    return json.dumps(policy.family.keep.aged[at].kinds)


def _rollups_due(connection: Connection, policy: Policy, now_us: int) -> int:
    return sum(
        connection.execute(
            of_family("aged_of_all", policy.family), (scope, before, kinds(policy, at))
        ).fetchone()[0]
        for at, before in enumerate(policy.periods_before(now_us))
        if before is not None
        for scope in policy.family.scopes()
    )


def _is_legacy(family: Family) -> bool:
    return family.name == "skill"


def _can_be_rolled_back(connection: Connection) -> bool:
    return connection.execute(query("retention.can_be_rolled_back")).fetchone() is not None
