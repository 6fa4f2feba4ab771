"""`invocations`: the log, newest first, and what is in flight."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from metrics_store.cli.options import Database, Json, moment, open_store, say
from metrics_store.errors import UsageError
from metrics_store.render.log import in_flight_table, log_table
from metrics_store.render.screen import Screen
from metrics_store.results import LoggedInvocation
from metrics_store.store import MetricsStore

Outcome = Literal["completed", "failed", "abandoned"]
#: Rows of one read, so that a long listing holds no long transaction.
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Wanted:
    skill: str | None
    session: str | None
    outcome: str | None
    error: str | None
    since: str | None
    until: str | None
    limit: int


def invocations(
    skill: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this skill.", show_default=False)
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this session.", show_default=False)
    ] = None,
    outcome: Annotated[
        Outcome | None, typer.Option(help="With this outcome.", show_default=False)
    ] = None,
    error: Annotated[
        str | None, typer.Option(metavar="TYPE", help="With this error.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Started then or later: ISO 8601, or '2 days'.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Started then or earlier; a day counts whole.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show at most N.")] = 50,
    after: Annotated[
        str | None,
        typer.Option(metavar="NEXT", help="Go on after a page: its `next`.", show_default=False),
    ] = None,
    in_flight: Annotated[
        bool, typer.Option("--in-flight", help="Show what has started and not ended.")
    ] = False,
    json: Json = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON object a line.")] = False,
    db: Database = None,
) -> None:
    """Show the log, newest first.

    \b
    metrics-store invocations --outcome failed --since "2 days"
    metrics-store invocations --skill code-review --jsonl --limit 100000
    metrics-store invocations --in-flight
    """
    if json and jsonl:
        raise UsageError("--json and --jsonl", hint="One of them.")
    with open_store(db) as store:
        if in_flight:
            if any((session, outcome, error, since, until, after)):
                raise UsageError("--in-flight goes with --skill and --limit only")
            _show_in_flight(store, skill, limit, json=json, jsonl=jsonl)
            return
        now = store.database.clock.now_us()
        wanted = _Wanted(
            skill,
            session,
            outcome,
            error,
            moment("--since", since, now),
            moment("--until", until, now, end=True),
            limit,
        )
        if jsonl:
            _stream(store, wanted, after)
        else:
            _show(store, wanted, after, json=json)


def _page(
    store: MetricsStore, wanted: _Wanted, limit: int, after: str | None
) -> tuple[tuple[LoggedInvocation, ...], str | None]:
    page = store.invocations(
        skill_name=wanted.skill,
        session_id=wanted.session,
        outcome=wanted.outcome,
        error_type=wanted.error,
        since=wanted.since,
        until=wanted.until,
        limit=limit,
        after=after,
    )
    return page.invocations, page.next


def _show(store: MetricsStore, wanted: _Wanted, after: str | None, *, json: bool) -> None:
    screen = Screen()
    rows, following = _page(store, wanted, wanted.limit, after)
    if json:
        screen.json({"invocations": [row.as_dict() for row in rows], "next": following})
        return
    if not rows:
        say("No invocation matches.")
        return
    screen.table(log_table(rows))
    if following is not None:
        say(f"There are more: add --after {shlex.quote(following)}")


def _stream(store: MetricsStore, wanted: _Wanted, after: str | None) -> None:
    screen = Screen()
    left = wanted.limit
    while left > 0:
        rows, after = _page(store, wanted, min(left, _PAGE), after)
        for row in rows:
            screen.json_line(row.as_dict())
        left -= len(rows)
        if after is None:
            return


def _show_in_flight(
    store: MetricsStore, skill: str | None, limit: int, *, json: bool, jsonl: bool
) -> None:
    screen = Screen()
    rows = store.in_flight(skill, limit)
    if json:
        screen.json({"in_flight": [row.as_dict() for row in rows]})
    elif jsonl:
        for row in rows:
            screen.json_line(row.as_dict())
    elif rows:
        screen.table(in_flight_table(rows))
    else:
        say("Nothing is in flight.")
