"""`skills list | show | timeline | search | sessions | summary`: what the store knows of skills."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

import typer

from metrics_store.cli import missing
from metrics_store.cli.options import Database, Json, moment, open_store, say
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.sessions import session_table, sessions_table
from metrics_store.render.skills import (
    paths_table,
    show_skill,
    show_summary,
    skills_table,
    timeline_table,
)
from metrics_store.results import SkillMetrics
from metrics_store.store import MetricsStore
from metrics_store.timeline import Bucket

_TREND_DAYS = 14
_TREND = f"last {_TREND_DAYS} days"

app = typer.Typer(
    help="Which skills run, how often, how long and how well.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Sort = Literal["runs", "name", "completion", "p95", "last"]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show at most N.")]
Skill = Annotated[str, typer.Argument(metavar="NAME", help="The skill.", show_default=False)]


@app.callback()
def skills(db: Database = None) -> None:
    """Which skills run, how often, how long and how well."""


@app.command("list")
def list_skills(
    sort: Annotated[
        Sort,
        typer.Option(
            help="Order: most runs, name, lowest completion, longest p95 or latest use first."
        ),
    ] = "runs",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show at most N.", show_default=False)
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """List all skills: runs, completion, durations, trend, last use.

    \b
    metrics-store skills list --sort p95 --limit 10
    """
    screen = Screen()
    with open_store(db) as store:
        found = _ordered(list(store.get_all_metrics().values()), sort)[:limit]
        trends = store.get_daily_counts(_TREND_DAYS)
        in_flight = 0 if found else len(store.in_flight())
    if json:
        none = [0] * _TREND_DAYS
        screen.json(
            {"skills": [{**m.as_dict(), "trend": trends.get(m.skill_name, none)} for m in found]}
        )
    elif found:
        screen.table(skills_table(found, trends, _TREND))
    else:
        ended = "No skill has ended an invocation yet"
        flying = f"; {figures.plural(in_flight, 'is', 'are')} in flight" if in_flight else ""
        say(f"{ended}{flying}.", "hint: metrics-store record NAME records one.")


def _ordered(found: list[SkillMetrics], sort: Sort) -> list[SkillMetrics]:
    found.sort(key=lambda m: m.skill_name)
    match sort:
        case "name":
            pass
        case "runs":
            found.sort(key=lambda m: -m.total_invocations)
        case "completion":
            found.sort(key=lambda m: m.completion_rate)
        case "p95":
            found.sort(key=lambda m: -(m.p95_duration_seconds or 0.0))
        case "last":
            found.sort(key=lambda m: m.last_invoked or "", reverse=True)
    return found


@app.command()
def show(
    name: Skill,
    exact: Annotated[
        bool, typer.Option("--exact", help="Take percentiles from the log itself, slowly.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show everything of one skill: numbers, errors, paths, actions.

    \b
    metrics-store skills show code-review
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.get_skill_metrics(name, exact=exact)
        if found is None:
            _unknown_skill(store, name)
        trend = store.get_daily_counts(_TREND_DAYS).get(name, [0] * _TREND_DAYS)
    if json:
        screen.json({**found.as_dict(), "trend": trend})
    else:
        show_skill(screen, found, trend, _TREND)


@app.command()
def timeline(
    name: Skill,
    window: Annotated[
        str, typer.Option(metavar="SPAN", help="How far back, such as '12 hours' or '8 weeks'.")
    ] = "30 days",
    bucket: Annotated[
        Bucket | None,
        typer.Option(help="By default hours up to two days, else days.", show_default=False),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Whose days are meant; UTC by default.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="The end: a moment, a span ago, or 'last', the last invocation. By default now.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show how one skill went over time.

    \b
    metrics-store skills timeline code-review --window "8 weeks" --bucket week
    metrics-store skills timeline code-review --zone Europe/Berlin --until last
    """
    screen = Screen()
    with open_store(db) as store:
        known = store.get_skill_metrics(name)
        if known is None:
            _unknown_skill(store, name)
        if until == "last":
            end = known.last_invoked
        else:
            end = moment("--until", until, store.database.clock.now_us(), end=True)
        points = store.get_skill_timeline(name, window, bucket, zone, end)
    if json:
        screen.json({"skill_name": name, "points": [point.as_dict() for point in points]})
        return
    hours = any(point.time_bucket[11:16] != "00:00" for point in points)
    screen.table(timeline_table(points, zone or "UTC", hours=hours))


@app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words of a workflow path.")],
    fts: Annotated[
        bool, typer.Option("--fts", help='Read TEXT as an FTS5 query: AND, OR, NEAR, "phrase".')
    ] = False,
    limit: Limit = 100,
    json: Json = False,
    db: Database = None,
) -> None:
    """Find workflow paths by their words, the most used first.

    \b
    metrics-store skills search security
    metrics-store skills search --fts 'full OR quick'
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.search_workflow_paths(text, fts=fts, limit=limit)
    if json:
        screen.json({"workflow_paths": [path.as_dict() for path in found]})
    elif found:
        screen.table(paths_table(found))
    else:
        say(f"No workflow path has {text!r}.")


@app.command()
def sessions(
    session_id: Annotated[
        str | None,
        typer.Argument(metavar="[SESSION_ID]", help="One session.", show_default=False),
    ] = None,
    limit: Limit = 50,
    json: Json = False,
    db: Database = None,
) -> None:
    """List the latest sessions, or what one session did."""
    screen = Screen()
    with open_store(db) as store:
        if session_id is None:
            listed = store.get_sessions(limit)
            if json:
                screen.json({"sessions": [session.as_dict() for session in listed]})
            elif listed:
                screen.table(sessions_table(listed))
            else:
                say("No invocation bears a session id yet.")
            return
        skills_of_it = store.get_session_skills(session_id)
    if not skills_of_it:
        missing.not_found(f"no session {session_id!r}", "metrics-store skills sessions lists them.")
    if json:
        found = [skill.as_dict() for skill in skills_of_it]
        screen.json({"session_id": session_id, "skills": found})
    else:
        screen.table(session_table(skills_of_it))


@app.command()
def summary(json: Json = False, db: Database = None) -> None:
    """Show the numbers of all skills together."""
    screen = Screen()
    with open_store(db) as store:
        found = store.get_summary()
    if json:
        screen.json(found.as_dict())
    else:
        show_summary(screen, found)


def _unknown_skill(store: MetricsStore, name: str) -> NoReturn:
    names = [known for known, _ in store.get_summary().skills_by_usage]
    hint = missing.meant(name, names, "metrics-store skills list shows all.")
    missing.not_found(f"no invocation of {name!r} was ever recorded", hint)
