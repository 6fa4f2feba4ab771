"""`agents`: what agents do, their tasks and commits, and the system that they run on."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from metrics_store.cli.agents_collecting import commits, import_file, watch
from metrics_store.cli.agents_sampling import sample
from metrics_store.cli.missing import not_found
from metrics_store.cli.options import Database, Json, open_store, say
from metrics_store.render.activity import feed_table, show_task, show_velocity, tasks_table
from metrics_store.render.agents import days_table, show_history, status_table
from metrics_store.render.screen import Screen
from metrics_store.render.system import show_rag, show_system

app = typer.Typer(
    help="What agents do: samples, tasks, commits, the system's health.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Days = Annotated[int, typer.Option("--days", min=1, metavar="N", help="UTC days, with today.")]
Last = Annotated[
    str, typer.Option("--last", metavar="SPAN", help="How far back, such as '24h' or '7 days'.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show at most N.")]


@app.callback()
def agents(db: Database = None) -> None:
    """What agents do: samples, tasks, commits, the system's health."""


app.command("sample")(sample)


@app.command()
def status(
    agent: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One agent.", show_default=False)
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show where each agent stands: its newest sample.

    \b
    metrics-store agents status
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.agent_status(agent)
        now = store.database.clock.now_us()
    if agent is not None and not found:
        not_found(f"no sample of {agent!r}", "metrics-store agents status lists all agents.")
    if json:
        screen.json({"agents": [one.as_dict() for one in found]})
    elif found:
        screen.table(status_table(found, now))
    else:
        say("No agent was sampled yet.", "hint: metrics-store agents sample --agent ID --pid PID")


@app.command()
def history(
    agent: Annotated[str, typer.Argument(metavar="ID", help="The agent.", show_default=False)],
    last: Last = "24h",
    limit: Limit = 20,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show the samples of an agent.

    JSON has all of them, without --limit.

    \b
    metrics-store agents history builder --last "7 days"
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.agent_history(agent, last)
        known = found or store.agent_status(agent)
    if not known:
        not_found(f"no sample of {agent!r}", "metrics-store agents status lists all agents.")
    if json:
        screen.json({"agent_id": agent, "samples": [one.as_dict() for one in found]})
    elif found:
        show_history(screen, found, limit)
    else:
        say(f"No sample of it in the last {last}; the newest is of {known[0].recorded_at}.")


@app.command()
def daily(
    agent: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One agent.", show_default=False)
    ] = None,
    days: Days = 14,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show agents day by day.

    The numbers are exact also where single samples are deleted.

    \b
    metrics-store agents daily --days 30
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.agent_daily(agent, days)
        commits_found = store.commit_daily(agent, days)
    if json:
        screen.json(
            {
                "days": [day.as_dict() for day in found],
                "commits": [day.as_dict() for day in commits_found],
            }
        )
    elif found:
        screen.table(days_table(found))
    else:
        say(f"No sample in the last {days} days.")


@app.command()
def hourly(
    agent: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One agent.", show_default=False)
    ] = None,
    last: Last = "24h",
    json: Json = False,
    db: Database = None,
) -> None:
    """Show agents hour by hour, as far back as there are samples.

    \b
    metrics-store agents hourly builder --last 6h
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.agent_hourly(agent, last)
    if json:
        screen.json({"hours": [hour.as_dict() for hour in found]})
    elif found:
        screen.table(days_table(found))
    else:
        say(f"No sample in the last {last}.")


app.command("commits")(commits)


@app.command()
def feed(
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="ID", help="Only its commits.", show_default=False),
    ] = None,
    limit: Limit = 20,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show the newest commits of all repositories that were taken in.

    \b
    metrics-store agents feed --limit 50
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.commit_feed(limit, agent)
    if json:
        screen.json({"commits": [commit.as_dict() for commit in found]})
    elif found:
        screen.table(feed_table(found))
    else:
        say("No commit was taken in yet.", "hint: metrics-store agents commits --repo PATH")


@app.command()
def tasks(
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="WORD", help="Only those.", show_default=False),
    ] = None,
    assigned_to: Annotated[
        str | None,
        typer.Option("--assigned-to", metavar="ID", help="Only those.", show_default=False),
    ] = None,
    limit: Limit = 50,
    json: Json = False,
    db: Database = None,
) -> None:
    """List tasks and where they stand, the last changed first.

    \b
    metrics-store agents tasks --status blocked
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.tasks(status, assigned_to, limit)
    if json:
        screen.json({"tasks": [one.as_dict() for one in found]})
    elif found:
        screen.table(tasks_table(found))
    else:
        say("No such task.", "hint: metrics-store agents watch DIR follows a task board.")


@app.command()
def task(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task.", show_default=False)],
    json: Json = False,
    db: Database = None,
) -> None:
    """Show what happened to a task."""
    screen = Screen()
    with open_store(db) as store:
        found = store.task_history(task_id)
    if not found:
        not_found(f"no event of {task_id!r}", "metrics-store agents tasks lists all tasks.")
    if json:
        screen.json({"task_id": task_id, "events": [event.as_dict() for event in found]})
    else:
        show_task(screen, found)


@app.command()
def velocity(days: Days = 7, json: Json = False, db: Database = None) -> None:
    """Show how many tasks are created and completed a day.

    And how long they take.

    \b
    metrics-store agents velocity --days 30
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.task_velocity(days)
    if json:
        screen.json(found.as_dict())
    else:
        show_velocity(screen, found)


app.command("watch")(watch)


@app.command()
def system(
    last: Last = "24h",
    by: Annotated[
        Literal["hour", "day"], typer.Option("--by", help="What records are put together by.")
    ] = "hour",
    json: Json = False,
    db: Database = None,
) -> None:
    """Show the system's health: the newest record, and the past.

    Hours by default, or days.

    \b
    metrics-store agents system --by day --last "30 days"
    """
    from metrics_store import windows

    screen = Screen()
    with open_store(db) as store:
        newest = store.system_health()
        if by == "hour":
            periods = store.system_hourly(last)
        else:
            periods = store.system_daily(max(1, round(windows.seconds(last) / 86_400)))
    if json:
        current = None if newest is None else newest.as_dict()
        screen.json({"current": current, "by": by, "periods": [p.as_dict() for p in periods]})
    elif newest is not None:
        show_system(screen, newest, periods, by)
    else:
        say("No system health was recorded yet.", "hint: metrics-store agents sample")


@app.command()
def rag(days: Days = 14, json: Json = False, db: Database = None) -> None:
    """Show retrieval (RAG): the newest record, and its days."""
    screen = Screen()
    with open_store(db) as store:
        newest = store.rag_metrics()
        found = store.rag_daily(days)
    if json:
        current = None if newest is None else newest.as_dict()
        screen.json({"current": current, "days": [day.as_dict() for day in found]})
    elif newest is not None:
        show_rag(screen, newest, found)
    else:
        say("No retrieval was recorded yet.", "hint: metrics-store agents import FILE")


app.command("import")(import_file)
