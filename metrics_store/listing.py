"""Lists: pages of the log, what is in flight, sessions, and workflow paths found by search."""

from __future__ import annotations

import json
from collections.abc import Mapping

from metrics_store import asked, clock, rows
from metrics_store.errors import InvalidQuery
from metrics_store.results import (
    InFlight,
    LoggedInvocation,
    Page,
    Session,
    SessionSkill,
    WorkflowPath,
)
from metrics_store.sql import query
from metrics_store.sqlite import Connection, OperationalError, Value, code

_AFTER_ALL = "~"  # sorts after every moment
_LAST_SEQ = (1 << 63) - 1


def page(
    connection: Connection,
    filters: Mapping[str, str | None],
    span: tuple[str, str],
    limit: int,
    after: str | None,
) -> Page:
    """A page of the log, newest first; see ``Reports.invocations``."""
    wanted = {name: asked.text_or_none(name, value) for name, value in filters.items()}
    count = asked.count("limit", limit)
    since, until = _bounds(connection, wanted, span)
    last_at, last_skill, last_seq = _cursor(after)
    found = connection.execute(
        query("reports.page"),
        {
            **wanted,
            "since": since,
            "until": until,
            "last_at": last_at,
            "last_skill": last_skill,
            "last_seq": last_seq,
            "count": count + 1,
        },
    ).fetchall()
    logged = tuple(logged_invocation(row) for row in found[:count])
    more = len(found) > count
    return Page(logged, _cursor_after(logged[-1]) if more else None)


#: The columns of ``reports.page``, in its order.
_Logged = tuple[
    int, str, str, str, str | None, str | None, str | None, str | None, str, int, float | None,
    str | None, str, str, str | None,
]  # fmt: skip


def logged_invocation(row: _Logged) -> LoggedInvocation:
    """A row of the log as ``reports.page`` selects it."""
    return LoggedInvocation(
        *row[:9],
        completed=bool(row[9]),
        duration_seconds=row[10],
        error_type=row[11],
        follow_up_actions=tuple(json.loads(row[12])),
        origin=row[13],
        attributes=json.loads(row[14]) if row[14] else {},
    )


def in_flight(connection: Connection, skill_name: str | None, limit: int) -> list[InFlight]:
    """What has started and not ended, the latest first."""
    wanted = (asked.text_or_none("skill_name", skill_name), asked.count("limit", limit))
    found = connection.execute(query("reports.in_flight"), wanted).fetchall()
    return [InFlight(*(*row[:7], json.loads(row[7]) if row[7] else {}, row[8])) for row in found]


def session_skills(connection: Connection, session_id: str) -> list[SessionSkill]:
    """What one session did, the most used skill first."""
    wanted = (asked.text("session_id", session_id),)
    found = connection.execute(query("reports.session_skills"), wanted).fetchall()
    return [SessionSkill(*(*row[:7], row[7] / 1e6)) for row in found]


def sessions(connection: Connection, limit: int) -> list[Session]:
    """The latest sessions."""
    found = connection.execute(query("reports.sessions"), (asked.count("limit", limit),)).fetchall()
    return [Session(*(*row[:7], row[7] / 1e6)) for row in found]


def search(connection: Connection, text: str, fts: bool, limit: int) -> list[WorkflowPath]:
    """Workflow paths by their words; see ``Reports.search_workflow_paths``."""
    limit = asked.count("limit", limit)
    if isinstance(asked.text("the text", text), bytes):
        return []
    if fts:
        try:
            return _paths(connection, "reports.search_paths", text, limit)
        except OperationalError as error:
            # SQLITE_ERROR: the statement is ours, so the text is at fault, if the tables are there.
            if code(error) != 1 or "no such table" in str(error):
                raise
            raise InvalidQuery(
                f"{text!r}: {error}", hint="See sqlite.org/fts5.html, or search without FTS."
            ) from error
    # Each word in quotes is a word and never an operator; the last may be the beginning of one.
    words = [word.replace('"', '""') for word in text.replace("\0", " ").split()]
    match = " ".join(f'"{word}"*' for word in words)
    found = _paths(connection, "reports.search_paths", match, limit) if words else []
    return found or (
        _paths(connection, "reports.search_paths_literally", text, limit) if text else []
    )


def _paths(connection: Connection, name: str, text: str, limit: int) -> list[WorkflowPath]:
    return [
        WorkflowPath(
            skill, path, n, completed, failed, total / measured / 1e6 if measured else None, last
        )
        for skill, path, n, completed, failed, measured, total, last in connection.execute(
            query(name), (text, limit)
        )
    ]


def _bounds(
    connection: Connection, wanted: Mapping[str, Value], span: tuple[str, str]
) -> tuple[str, str]:
    """The span the wanted rows lie in: a rare skill's rows are then found at once."""
    since, until = span
    for name, sql in (("skill_name", "span_of_skill"), ("session_id", "span_of_session")):
        if wanted[name] is not None:
            row = connection.execute(query(f"reports.{sql}"), (wanted[name],)).fetchone()
            first, last = row or (None, None)
            since, until = max(since, first or _AFTER_ALL), min(until, last or "")
    return since, until


def _cursor_after(last: LoggedInvocation) -> str:
    return json.dumps([last.invoked_at, last.skill_name, last.seq])


def _cursor(after: str | None) -> tuple[str, str, int]:
    if after is None:
        return (_AFTER_ALL, "", 0)
    try:
        last_at, last_skill, last_seq = json.loads(after)
        if not (isinstance(last_at, str) and isinstance(last_skill, str)):
            raise TypeError
        (last_at + last_skill).encode()
        return (last_at, last_skill, max(0, min(int(last_seq), _LAST_SEQ)))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidQuery(
            f"after is {after!r}", hint="Give what `next` of the page before said."
        ) from error


def span(since: rows.Moment, until: rows.Moment) -> tuple[str, str]:
    """Two moments as the log writes them, to compare with; None is as far as it goes.

    Raises:
        InvalidValue: one of them is no moment.
    """
    return (
        "" if since is None else clock.text(rows.moment_us("since", since)),
        _AFTER_ALL if until is None else clock.text(rows.moment_us("until", until)),
    )
