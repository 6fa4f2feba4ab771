"""`restore`: put a backup into the store while others use it, and take that back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from metrics_store.cli.operating import program, to_execute
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, say
from metrics_store.cli.stages import stages
from metrics_store.clock import Clock
from metrics_store.errors import UsageError
from metrics_store.render import restore as page
from metrics_store.render.screen import Screen
from metrics_store.settings import Settings


def restore(
    context: typer.Context,
    file: Annotated[
        Path | None,
        # Whether it can be read is said in words of ours.
        typer.Argument(metavar="FILE", help="The backup.", readable=False, show_default=False),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it; else only say what would change.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore what was there before the last restore.")
    ] = False,
    other_store: Annotated[
        bool, typer.Option("--other-store", help="Accept the backup of another store.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Put a backup into the store while others use it.

    Processes that have it open go on working.

    The file is verified in full first, on a private copy. What is in the store is copied, under its
    lock, before it is replaced; --undo restores that copy. Without --execute nothing is changed.

    \b
    metrics-store restore m.db.backups/m-20260131T123456123456.db
    metrics-store restore m.db.backups/m-20260131T123456123456.db --execute
    metrics-store restore --undo --execute
    """
    from metrics_store.backup import restoring

    if undo == (file is not None):
        raise UsageError(
            "both FILE and --undo" if undo else "neither FILE nor --undo",
            hint="Name a backup (see `metrics-store backup list`), or take a restore back.",
        )
    if undo and other_store:
        raise UsageError("--undo and --other-store", hint="What is undone is of this store.")
    screen = Screen()
    settings, clock = Settings.load(db), Clock()
    with stages() as progress:
        if file is None:
            done = restoring.undo(settings, clock, execute=execute, progress=progress)
        elif execute:
            done = restoring.restore(
                file, settings, clock, other_store=other_store, progress=progress
            )
        else:
            done = restoring.plan(file, settings, clock, other_store=other_store, progress=progress)
    to_undo = None
    if done.safety is not None:
        to_undo = f"{program()} restore --undo --execute"
        to_undo += f" --db {shlex.quote(str(db))}" if db is not None else ""
    typed = None if execute else to_execute(context)
    if json:
        screen.json(done.as_dict() | {"to_execute": typed, "to_undo": to_undo})
    else:
        page.show_restored(screen, done)
        if typed is not None:
            page.show_dry_end(screen, typed)
        elif to_undo is not None:
            page.show_undo(screen, to_undo)
    if done.problems:
        say("The store was restored, and its check found errors: metrics-store check")
        raise typer.Exit(FOUND_A_PROBLEM)
