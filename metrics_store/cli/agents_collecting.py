"""`agents commits | watch | import`: taking in what agents do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli.agents_sampling import until_told
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, moment, open_store, say
from metrics_store.errors import MetricsStoreError
from metrics_store.render import figures
from metrics_store.render.agents import status_cell
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.agents.importing import AgentsImported
    from metrics_store.agents.watching import BoardTaken

# Commits ---------------------------------------------------------------------------------------


def commits(
    repo: Annotated[
        Path,
        typer.Option("--repo", metavar="PATH", readable=False, help="The repository."),
    ] = Path(),
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="WHEN", help="A moment, or a span ago: '2 days'.", show_default=False
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="Of one branch.", show_default=False),
    ] = None,
    agent_map: Annotated[
        Path | None,
        typer.Option(
            "--agent-map",
            metavar="FILE",
            readable=False,
            show_default=False,
            help="YAML or JSON: '*@bots.example.com': agent-id",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="S", help="Seconds it may take.")
    ] = 600.0,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in the commits of a git repository; again only what is new.

    \b
    metrics-store agents commits --repo ~/src/app --agent-map agents.yaml
    """  # fmt: skip
    from metrics_store.agents.commits import AgentMap

    whose = None if agent_map is None else AgentMap.load(agent_map)
    screen = Screen()
    with open_store(db, create=True) as store:
        start = moment("--since", since, store.database.clock.now_us())
        taken = store.take_commits(repo, since=start, branch=branch, agents=whose, timeout=timeout)
    if json:
        screen.json(taken.as_dict())
        return
    read = figures.plural(taken.read, "commit")
    skipped = f", {figures.number(taken.skipped)} skipped" if taken.skipped else ""
    screen.line(
        f"{read} read: {figures.number(taken.inserted)} new, "
        f"{figures.number(taken.already_there)} already there{skipped}."
    )


# Boards ----------------------------------------------------------------------------------------


def watch(
    board: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            readable=False,
            help="Where task-board.json lies, or another board.",
            show_default=False,
        ),
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Take in what changed until now, and end: for cron.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Follow a task board: its changes become task events.

    It ends with Ctrl-C.

    A restart neither repeats nor misses a change.

    \b
    metrics-store agents watch coordination/
    metrics-store agents watch coordination/ --once
    """  # fmt: skip
    from metrics_store.agents import watching

    screen = Screen()
    with open_store(db, create=True) as store, until_told() as stop:

        def show(taken: BoardTaken) -> None:
            _show_taken(screen, taken, json=json)
            screen.stream.flush()

        if once:
            show(store.take_board(board))
            return
        say(f"watching {watching.board_path(board)}; Ctrl-C ends it")
        watching.watch(store.database, board, stop, taken=show, trouble=_trouble)


def _trouble(error: MetricsStoreError) -> None:
    say(f"warning: {error}", *([f"hint: {error.hint}"] if error.hint else []))


def _show_taken(screen: Screen, taken: BoardTaken, *, json: bool) -> None:
    for problem in taken.left_out:
        say(f"warning: {problem}")
    if json:
        screen.json_line(taken.as_dict())
        return
    for event in taken.events:
        step = event.new_status or figures.NONE
        if event.previous_status not in (None, event.new_status):
            step = f"{event.previous_status} > {step}"
        to = f", {event.assigned_to or 'nobody'}" if event.assigned_to is not None else ""
        screen.line(
            f"{event.recorded_at[11:19]}  ", status_cell(event.event_type), "  ",
            Cell(event.task_id, "bold"), f"  {step}{to}",
        )  # fmt: skip
    tasks = figures.plural(taken.tasks, "task")
    what = figures.plural(len(taken.events), "event") if taken.changed else "nothing changed"
    screen.line(Cell(f"{tasks} on the board: {what}.", "dim"))


# Files -----------------------------------------------------------------------------------------


def import_file(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            readable=False,
            allow_dash=True,
            show_default=False,
            help="A SQLite file with the five tables, or lines of JSON; - is standard input.",
        ),
    ],
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="NAME",
            help="What the lines are of, where they do not tell.",
            show_default=False,
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option("--zone", metavar="NAME", help="Of moments without one; UTC by default."),
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in what there is today; again only what is new.

    Exit code 1 if something is invalid.

    \b
    metrics-store agents import agents.db
    metrics-store agents import samples.jsonl --table agent_metrics --zone Europe/Berlin
    """  # fmt: skip
    screen = Screen()
    with open_store(db, create=True) as store:
        found = store.import_agents(source, table=table, zone=zone)
    if json:
        screen.json(found.as_dict())
    else:
        _show_imported(screen, found)
    if found.total("invalid"):
        raise typer.Exit(FOUND_A_PROBLEM)


def _show_imported(screen: Screen, found: AgentsImported) -> None:
    columns = ("read", "inserted", "already_there", "retired", "invalid")
    table = Table([Column("table"), *(Column(name.replace("_", " "), "right") for name in columns)])
    for name, counts in found.tables.items():
        invalid = Cell(figures.number(counts.invalid), "red" if counts.invalid else "dim")
        others = (counts.read, counts.inserted, counts.already_there, counts.retired)
        table.add(name or "(none)", *map(figures.number, others), invalid)
    if found.tables:
        screen.table(table)
    else:
        say("There is no record in it.")
    if found.ignored:
        say(f"left out, for no table has it: {', '.join(found.ignored)}")
    for problem in found.problems:
        say(f"not taken in: {problem}")
