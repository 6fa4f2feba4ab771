"""`executions`: tasks that models ran, taken in, listed, added up and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from metrics_store.cli import execution_lines
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, moment, open_store, say
from metrics_store.errors import UsageError
from metrics_store.executions.windows import TimeRange
from metrics_store.render.executions import (
    executions_table,
    refusals_table,
    show_execution,
    show_imported,
    show_performance,
    show_statistics,
    show_status,
    similar_table,
)
from metrics_store.render.screen import Screen

app = typer.Typer(
    help="Tasks that models ran: how many, how well, at what cost.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Range = Annotated[
    TimeRange, typer.Option("--range", metavar="SPAN", help="1h, 24h, 7d, 30d or 90d, up to now.")
]
Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="The task.", show_default=False)]


def _text(metavar: str, text: str, *names: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        *names, metavar=metavar, help=text, show_default=False
    )
    return option


@app.callback()
def executions(db: Database = None) -> None:
    """Tasks that models ran: how many, how well, at what cost."""


@app.command()
def record(
    task_id: Annotated[
        str | None,
        typer.Argument(metavar="[TASK_ID]", help="The task; by default a new id."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="It failed.")] = False,
    task_type: Annotated[str | None, _text("TEXT", "What kind of task.", "--type")] = None,
    repo: Annotated[str | None, _text("NAME", "The repository.")] = None,
    tier: Annotated[str | None, _text("NAME", "The model's tier.")] = None,
    pool: Annotated[str | None, _text("NAME", "The type of pool it ran in.")] = None,
    duration: Annotated[float | None, _text("SECONDS", "How long it took.")] = None,
    estimate: Annotated[str | None, _text("DOLLARS", "What it was to cost.")] = None,
    cost: Annotated[str | None, _text("DOLLARS", "What it cost.")] = None,
    quality: Annotated[float | None, _text("SCORE", "0 to 100.")] = None,
    rating: Annotated[int | None, _text("STARS", "1 to 5.")] = None,
    error: Annotated[str | None, _text("TYPE", "What it failed with; means --failed.")] = None,
    summary: Annotated[str | None, _text("TEXT", "What solved it.")] = None,
    at: Annotated[
        str | None, _text("WHEN", "ISO 8601, UTC without an offset, or a span ago.")
    ] = None,
    stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Read executions from standard input, a JSON object a line."),
    ] = False,
    db: Database = None,
) -> None:
    """Record a task that has ended, and print its id.

    With --stdin each line is an object with task_id, success and whatever else is known. All of
    them are recorded, or none.

    \b
    metrics-store executions record fix-17 --tier small --duration 12.5 --cost 0.0031
    metrics-store executions record fix-18 --error TimeoutError
    metrics-store executions record --stdin < executions.jsonl
    """
    fields = {
        "task_type": task_type,
        "repo": repo,
        "model_tier": tier,
        "pool_type": pool,
        "duration_seconds": duration,
        "cost_estimate": estimate,
        "actual_cost": cost,
        "quality_score": quality,
        "user_rating": rating,
        "error_type": error,
        "solution_summary": summary,
    }
    if stdin:
        if task_id is not None or failed or at or any(v is not None for v in fields.values()):
            raise UsageError("--stdin takes everything from standard input")
        execution_lines.record(db)
        return
    with open_store(db, create=True) as store:
        when = moment("--at", at, store.database.clock.now_us())
        batch = {"task_id": task_id, "timestamp": when, "success": not failed and error is None}
        done = store.record_execution(**{**batch, **fields})  # type: ignore[arg-type]
    Screen().line(done, wrap=False)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DuckDB file, or lines of JSON.")],
    zone: Annotated[
        str | None, _text("NAME", "Whose times those without an offset are; UTC by default.")
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in executions from a DuckDB file or JSON lines.

    The same file again adds nothing.

    Exit code 1 if something was refused; the rest is taken in.

    \b
    metrics-store executions import learning.db --zone Europe/Berlin
    metrics-store executions import executions.jsonl
    """
    screen = Screen()
    with open_store(db, create=True) as store, execution_lines.counted() as progress:
        done = store.import_executions(file, zone=zone, progress=progress)
    if json:
        screen.json(done.as_dict())
    else:
        show_imported(screen, done)
        if done.refused:
            screen.table(refusals_table(done))
    if done.refused:
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command("list")
def list_executions(
    repo: Annotated[str | None, _text("NAME", "Of this repository.")] = None,
    task_type: Annotated[str | None, _text("TEXT", "Of this kind.", "--type")] = None,
    tier: Annotated[str | None, _text("NAME", "Of this tier.")] = None,
    pool: Annotated[str | None, _text("NAME", "Of this type of pool.")] = None,
    error: Annotated[str | None, _text("TYPE", "With this error.")] = None,
    failed: Annotated[
        bool | None,
        typer.Option("--failed/--succeeded", help="Only these.", show_default=False),
    ] = None,
    since: Annotated[str | None, _text("WHEN", "Then or later: ISO 8601, or '2 days'.")] = None,
    until: Annotated[str | None, _text("WHEN", "Then or earlier; a day counts whole.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show at most N.")] = 50,
    json: Json = False,
    db: Database = None,
) -> None:
    """List executions, the newest first.

    \b
    metrics-store executions list --tier large --failed --since "2 days"
    """
    screen = Screen()
    with open_store(db) as store:
        now = store.database.clock.now_us()
        found = store.list_executions(
            since=moment("--since", since, now),
            until=moment("--until", until, now, end=True),
            repo=repo,
            task_type=task_type,
            model_tier=tier,
            pool_type=pool,
            error_type=error,
            success=None if failed is None else not failed,
            limit=limit,
        )
    if json:
        screen.json({"executions": [execution.as_dict() for execution in found]})
    elif found:
        screen.table(executions_table(found))
    else:
        say("No execution matches.")


@app.command()
def show(task_id: Task, json: Json = False, db: Database = None) -> None:
    """Show everything of one execution.

    \b
    metrics-store executions show fix-17
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.get_execution(task_id)
    if found is None:
        _unknown(task_id)
    if json:
        screen.json(found.as_dict())
    else:
        show_execution(screen, found)


@app.command()
def stats(time_range: Range = "24h", json: Json = False, db: Database = None) -> None:
    """Show the executions of a window.

    Over time, by tier, pool, repository and kind.

    \b
    metrics-store executions stats --range 30d
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.execution_statistics(time_range)
    if json:
        screen.json(found.as_dict())
    else:
        show_statistics(screen, found)


@app.command()
def performance(time_range: Range = "24h", json: Json = False, db: Database = None) -> None:
    """Show durations, costs and memory of a window.

    \b
    metrics-store executions performance --range 7d
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.performance_metrics(time_range)
    if json:
        screen.json(found.as_dict())
    else:
        show_performance(screen, found)


@app.command()
def status(json: Json = False, db: Database = None) -> None:
    """Show how the store and its executions are.

    Exit code 1 if something is wrong.

    \b
    metrics-store executions status
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.database_status()
    if json:
        screen.json(found.as_dict())
    else:
        show_status(screen, found)
    if found.status != "healthy":
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command()
def similar(
    task_id: Annotated[
        str | None, typer.Argument(metavar="[TASK_ID]", help="To whose solution.")
    ] = None,
    embedding: Annotated[
        str | None,
        _text("FILE", "To the vector in a file, a JSON array of 384 numbers; - is stdin."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, metavar="N", help="So many.")] = 5,
    repo: Annotated[str | None, _text("NAME", "Only of this repository.")] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Find executions with the nearest embeddings.

    Nearest to another's, or to a vector.

    \b
    metrics-store executions similar fix-17 -k 10
    metrics-store executions similar --embedding vector.json --repo api
    """
    if (task_id is None) == (embedding is None):
        raise UsageError("TASK_ID or --embedding", hint="One of them.")
    screen = Screen()
    with open_store(db) as store:
        if task_id is None:
            found = store.find_similar_solutions(
                execution_lines.vector(str(embedding)), k, repo=repo
            )
        else:
            wanted = store.get_embedding(task_id)
            if wanted is None:
                _unknown(task_id, "or it has no embedding")
            near = store.find_similar_solutions(wanted, min(k + 1, 1000), repo=repo)
            found = [other for other in near if other.execution.task_id != task_id][:k]
    if json:
        screen.json({"similar": [other.as_dict() for other in found]})
    elif found:
        screen.table(similar_table(found))
    else:
        say("No other execution has an embedding.")


def _unknown(task_id: str, more: str = "") -> NoReturn:
    say(
        f"error: there is no execution {task_id!r}{f', {more}' if more else ''}",
        "hint: metrics-store executions list shows the newest.",
    )
    raise typer.Exit(FOUND_A_PROBLEM)
