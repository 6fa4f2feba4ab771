"""`services beat | set | import`: the commands that write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, moment, open_store
from metrics_store.cli.stages import stages
from metrics_store.errors import SourceError
from metrics_store.render import services as render
from metrics_store.render.screen import Screen

Service = Annotated[str, typer.Argument(metavar="NAME", help="The service.", show_default=False)]


def beat(
    name: Service,
    status: Annotated[str, typer.Argument(metavar="STATUS", help="How it is.", show_default=False)],
    task: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it works on.", show_default=False)
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds its last piece of work took.", show_default=False),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="When the next one is expected.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="The moment it speaks for: ISO 8601, UTC without an offset, or a span ago. By "
            "default now.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Record a heartbeat: that a service lives, and how it is.

    \b
    metrics-store services beat librarian running --task "indexing docs/" --latency 0.8
    metrics-store services beat librarian error --at "5 min"
    """
    screen = Screen()
    with open_store(db, create=True) as store:
        when = moment("--at", at, store.database.clock.now_us())
        done = store.heartbeat(name, status, task, when, latency, every=every)
    if json:
        screen.json(done.as_dict())
    else:
        screen.line(done.heartbeat_timestamp, wrap=False)


def set_service(
    name: Service,
    every: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="How often it is expected.", show_default=False),
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="For how long a heartbeat vouches; by default 2.5 intervals.",
            show_default=False,
        ),
    ] = None,
    bad: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS",
            help="A status that means it is down; may be repeated, and replaces the default ones.",
            show_default=False,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Take back what is not given here.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Say how a service is judged from now on.

    Without options, show how it is.

    What was recorded keeps what was in force then.

    \b
    metrics-store services set librarian --every "5 min"
    metrics-store services set librarian --bad broken --bad error
    metrics-store services set librarian --default
    """
    screen = Screen()
    changes = default or (every, grace, bad) != (None, None, None)
    rest: Literal["default"] | None = "default" if default else None
    with open_store(db, create=changes, writing=changes) as store:
        if changes:
            found = store.set_service(
                name, every=every or rest, grace=grace or rest, bad_statuses=bad or rest
            )
        else:
            found = store.service_setting(name)
    if json:
        screen.json(found.as_dict())
    else:
        render.show_setting(screen, found)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            readable=False,
            help="SQLite with system_status_history, system_status; or CSV or JSONL, gzip too.",
        ),
    ],
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The zone of times without an offset; by default this machine's.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything, report it, and keep nothing.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in heartbeats that are kept elsewhere.

    The same file again adds nothing.

    Exit code 1 if some of it could not be a heartbeat.

    \b
    metrics-store services import monitor.db --zone Europe/Berlin
    metrics-store services import history.csv --dry-run
    """
    screen = Screen()
    if not file.exists():
        raise SourceError(f"{file}: no such file")  # before a store is made for nothing
    with open_store(db, create=not dry_run, writing=not dry_run) as store, stages() as show:
        done = store.import_services(
            file,
            zone=zone,
            dry_run=dry_run,
            progress=(lambda read: show("heartbeats", read, 0)) if show else None,
        )
    if json:
        screen.json({**done.as_dict(), "dry_run": dry_run})
    else:
        render.show_import(screen, done, dry_run=dry_run)
    if done.refused:
        raise typer.Exit(FOUND_A_PROBLEM)
